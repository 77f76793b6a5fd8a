"""Reading files that others wrote: bounded in size, and every failure is one clear message."""

import gzip
import zlib
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import IO, Any

from forge1sim.errors import CatalogueError

GZIP_MAGIC = b"\x1f\x8b"
MIB = 1024 * 1024
MAX_YAML_VALUES = 200_000
MAX_YAML_DEPTH = 64


def read_bounded(path: Path, limit_bytes: int) -> bytes:
    """Content of a plain or gzip file, at most `limit_bytes` after decompression.

    Raises:
        CatalogueError: no such file, not readable, truncated, or larger than the limit.
    """
    try:
        with path.open("rb") as raw:
            is_gzip = raw.read(2) == GZIP_MAGIC
            raw.seek(0)
            content = _read(gzip.GzipFile(fileobj=raw) if is_gzip else raw, limit_bytes)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise CatalogueError(f"{path}: damaged or truncated gzip file ({error})") from error
    except OSError as error:
        raise CatalogueError(f"{path}: cannot be read ({error.strerror or error})") from error
    if len(content) > limit_bytes:
        raise CatalogueError(f"{path}: larger than {limit_bytes / MIB:g} MiB uncompressed, which is the most allowed")
    return content


def _read(file: IO[bytes] | gzip.GzipFile, limit_bytes: int) -> bytes:
    return file.read(limit_bytes + 1)


def read_yaml_mapping(path: Path, limit_bytes: int) -> dict[str, Any]:
    """The mapping at the top of a YAML file, with plain data only.

    Raises:
        CatalogueError: not YAML (with the line), something other than a mapping of names, or
            nested or unfolding (by aliases) beyond `MAX_YAML_DEPTH` and `MAX_YAML_VALUES`.
    """
    import yaml  # noqa: PLC0415  keeps the start of the command line fast

    text = read_bounded(path, limit_bytes)
    try:
        _check_nesting(path, yaml.parse(text, Loader=_bounded_loader()))
        data = yaml.load(text, Loader=_bounded_loader())  # noqa: S506  it derives from the safe one
    except yaml.MarkedYAMLError as error:
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise CatalogueError(f"{path}{line}: not valid YAML ({error.problem or error.context})") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise CatalogueError(f"{path}: not valid YAML ({_first_line(error)})") from error
    if not isinstance(data, dict) or not all(isinstance(key, str) for key in data):
        raise CatalogueError(f"{path}: holds a {type(data).__name__}; expected a mapping of names to values")
    _check_unfolded(path, data)
    return data


def _check_nesting(path: Path, events: Iterable[Any]) -> None:
    """Refuse deep nesting before the document is built: building recurses in C and would crash."""
    depth = 0
    for event in events:
        kind = type(event).__name__
        depth += kind.endswith("StartEvent")
        depth -= kind.endswith("EndEvent")
        if depth > MAX_YAML_DEPTH:
            line = event.start_mark.line + 1
            raise CatalogueError(f"{path}, line {line}: not valid here (nested more than {MAX_YAML_DEPTH} deep)")


@cache
def _bounded_loader() -> Any:
    """PyYAML's safe loader, in C where it is built in, with a bound on what merge keys (`<<`) unfold to."""
    import yaml  # noqa: PLC0415

    base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

    class BoundedLoader(base):  # type: ignore[misc]
        merged_pairs = 0

        def flatten_mapping(self, node: Any) -> None:
            super().flatten_mapping(node)
            self.merged_pairs += len(node.value)
            if self.merged_pairs > MAX_YAML_VALUES:
                raise yaml.constructor.ConstructorError(None, None, "merge keys unfold to too much", node.start_mark)

    return BoundedLoader


def _check_unfolded(path: Path, data: object) -> None:
    """Refuse what is small on disk and huge or endless once its aliases are followed."""
    waiting, met = [(data, 0)], 0
    while waiting:
        value, depth = waiting.pop()
        met += 1
        if met > MAX_YAML_VALUES or depth > MAX_YAML_DEPTH:
            raise CatalogueError(
                f"{path}: its aliases unfold to more than {MAX_YAML_VALUES} values or {MAX_YAML_DEPTH} levels"
            )
        below = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
        waiting.extend((item, depth + 1) for item in below)


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]

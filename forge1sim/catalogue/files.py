"""Reading files that others wrote: bounded in size, and every failure is one clear message."""

import gzip
import zlib
from functools import cache
from pathlib import Path
from typing import IO, Any

from forge1sim.errors import CatalogueError

GZIP_MAGIC = b"\x1f\x8b"
MIB = 1024 * 1024
MAX_YAML_VALUES = 200_000


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
            aliases that unfold to more than `MAX_YAML_VALUES` values.
    """
    import yaml  # noqa: PLC0415  keeps the start of the command line fast

    text = read_bounded(path, limit_bytes)
    try:
        data = yaml.load(text, Loader=_bounded_loader())  # noqa: S506  it derives from the safe one
    except yaml.MarkedYAMLError as error:
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise CatalogueError(f"{path}{line}: not valid YAML ({error.problem or error.context})") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise CatalogueError(f"{path}: not valid YAML ({_first_line(error)})") from error
    if not isinstance(data, dict) or not all(isinstance(key, str) for key in data):
        raise CatalogueError(f"{path}: holds a {type(data).__name__}; expected a mapping of names to values")
    if _values_at_least(data, MAX_YAML_VALUES):
        raise CatalogueError(f"{path}: holds more than {MAX_YAML_VALUES} values once its aliases are unfolded")
    return data


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


def _values_at_least(data: object, bound: int) -> bool:
    """Whether a walk through the data, aliases followed each time, meets this many values."""
    waiting, met = [data], 0
    while waiting and met < bound:
        value = waiting.pop()
        met += 1
        if isinstance(value, dict):
            waiting.extend(value.values())
        elif isinstance(value, list):
            waiting.extend(value)
    return met >= bound


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]

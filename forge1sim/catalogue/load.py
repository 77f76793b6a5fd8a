"""Loading a catalogue: a shipped one by name, or a user's file that extends another."""

from pathlib import Path
from typing import Any

from pydantic import ValidationError

from forge1sim.catalogue.catalogue import Catalogue
from forge1sim.catalogue.files import MIB, read_yaml_mapping
from forge1sim.errors import CatalogueError

DATA_FOLDER = Path(__file__).parent / "data"
MAX_FILE_BYTES = 4 * MIB
MAX_EXTENDS = 16

# Mappings that a file adds to, name by name; "*" stands for any name. Groups of figures lie below
# them and are replaced whole, so that a new figure never keeps an old figure's evidence.
_MERGED = (
    (),
    ("sources",),
    ("providers",),
    ("providers", "*"),
    ("providers", "*", "rules"),
    ("providers", "*", "usage_tiers"),
    ("providers", "*", "limits"),
    ("providers", "*", "limits", "*"),
    ("models",),
    ("models", "*"),
)
_GROUPS = (
    ("models", "*", "price"),
    ("models", "*", "context"),
    ("models", "*", "speed"),
    ("models", "*", "performance"),
    ("providers", "*", "day"),
    ("providers", "*", "latency"),
    ("providers", "*", "rules", "*"),
    ("providers", "*", "usage_tiers", "*"),
    ("providers", "*", "limits", "*", "*"),
)
_loaded: dict[str, Catalogue] = {}


def shipped_names() -> tuple[str, ...]:
    """Names of the catalogues that come with the package."""
    return tuple(sorted(path.stem for path in DATA_FOLDER.glob("*.yaml")))


def load_catalogue(name_or_path: str | Path) -> Catalogue:
    """A shipped catalogue by name, or a YAML file.

    A file may say `extends:` (a shipped name, or a file in or below its own folder); it then adds
    to that catalogue, replaces groups of figures, and removes what it sets to null. `evidence:` at
    its top (source, effective, grade) stands for groups of that file that name none.

    Raises:
        CatalogueError: unknown name, unreadable or too large file, cyclic `extends`, or bad values.
    """
    shipped = isinstance(name_or_path, str) and name_or_path in shipped_names()
    if shipped and name_or_path in _loaded:
        return _loaded[str(name_or_path)]
    path = _resolve(name_or_path)
    catalogue = _validated(path, _read(path, ()))
    if shipped:
        _loaded[str(name_or_path)] = catalogue
    return catalogue


def _resolve(name_or_path: str | Path) -> Path:
    if isinstance(name_or_path, str) and name_or_path in shipped_names():
        return DATA_FOLDER / f"{name_or_path}.yaml"
    path = Path(name_or_path)
    if not path.is_file():
        raise CatalogueError(
            f"no catalogue {str(name_or_path)!r}: it is neither a file nor shipped ({', '.join(shipped_names())})"
        )
    return path


def _read(path: Path, seen: tuple[Path, ...]) -> dict[str, Any]:
    """The file's mapping, merged over what it extends."""
    path = path.resolve()
    if path in seen or len(seen) >= MAX_EXTENDS:
        chain = " -> ".join(step.name for step in (*seen, path))
        raise CatalogueError(f"{path}: `extends` goes round in a circle or is too deep: {chain}")
    data = read_yaml_mapping(path, MAX_FILE_BYTES)
    evidence = data.pop("evidence", None)
    if evidence is not None:
        if not isinstance(evidence, dict):
            raise CatalogueError(f"{path}: evidence must be a mapping with source, effective and grade")
        data = _with_evidence(data, (), evidence)
    base = data.pop("extends", None)
    if base is None:
        return data
    if not isinstance(base, str):
        raise CatalogueError(f"{path}: extends must be a shipped name or a file name, not {base!r}")
    return merged(_read(_extended_path(path, base), (*seen, path)), data)


def _extended_path(path: Path, base: str) -> Path:
    if base in shipped_names():
        return DATA_FOLDER / f"{base}.yaml"
    extended = (path.parent / base).resolve()
    if not extended.is_relative_to(path.parent):
        raise CatalogueError(f"{path}: extends {base!r} lies outside the folder of this file")
    if not extended.is_file():
        raise CatalogueError(f"{path}: extends {base!r}: no such file, and shipped are {', '.join(shipped_names())}")
    return extended


def _matches(path: tuple[str, ...], patterns: tuple[tuple[str, ...], ...]) -> bool:
    return any(
        len(path) == len(pattern) and all(want in ("*", got) for want, got in zip(pattern, path, strict=True))
        for pattern in patterns
    )


def merged(base: dict[str, Any], over: dict[str, Any], at: tuple[str, ...] = ()) -> dict[str, Any]:
    """`over` laid upon `base`: mappings of names join, everything else is replaced, null removes."""
    result = dict(base)
    for key, value in over.items():
        below = (*at, str(key))
        old = result.get(key)
        if value is None:
            result.pop(key, None)
        elif isinstance(old, dict) and isinstance(value, dict) and _matches(below, _MERGED):
            result[key] = merged(old, value, below)
        else:
            result[key] = value
    return result


def _with_evidence(data: dict[str, Any], at: tuple[str, ...], evidence: dict[str, Any]) -> dict[str, Any]:
    """The same data, with `evidence` put where a group lacks its own."""
    if _matches(at, _GROUPS):
        return {**evidence, **data}
    return {
        key: _with_evidence(value, (*at, str(key)), evidence) if isinstance(value, dict) else value
        for key, value in data.items()
    }


def _validated(path: Path, data: dict[str, Any]) -> Catalogue:
    try:
        return Catalogue.model_validate({"name": path.stem, **data})
    except ValidationError as error:
        problems = [
            f"{path}: {'.'.join(str(part) for part in problem['loc']) or 'catalogue'}: {problem['msg']}"
            f" (got {_short(problem['input'])})"
            for problem in error.errors()
        ]
        raise CatalogueError("\n".join(problems[:20])) from error


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"a {type(value).__name__}"

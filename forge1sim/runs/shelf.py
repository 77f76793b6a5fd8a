"""Scenarios to choose from: those that ship, and those that people saved.

A saved scenario is a folder of its own, named by its content: a link to it always means the same.
It may read the files that were uploaded with it and no others.
"""

import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from forge1sim.errors import RunError, ScenarioError
from forge1sim.runs.document import as_values, as_yaml
from forge1sim.scenario.extends import read_extended
from forge1sim.scenario.load import LoadedScenario, load_scenario

SHIPPED = Path(__file__).resolve().parents[2] / "scenarios"
MAIN = "scenario.yaml"
MOST_FILES, MOST_BYTES = 20, 2 * 1024**3       # of the data files of one scenario
MOST_UPLOADS, MOST_DRAFTS = 40, 200             # older ones go, but for those that were saved or run
_FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_SAVED = re.compile(r"[a-z0-9-]{1,60}@[0-9a-f]{12}")


@dataclass(frozen=True, kw_only=True)
class Saved:
    """A scenario on the shelf: `ref` is what links name it by."""

    ref: str
    path: Path
    title: str

    @property
    def about(self) -> str:
        """What it says of itself in its first sentence; nothing if it cannot be read."""
        try:
            told = as_values(as_one_file(self.path)).get("description")
        except (OSError, ValueError, ScenarioError):
            return ""
        return re.split(r"(?<=[.?!])\s", " ".join(str(told or "").split()))[0]


class Shelf:
    """Shipped scenarios by name (`quickstart`), saved ones as `name@hash`."""

    def __init__(self, folder: Path, shipped: Path = SHIPPED) -> None:
        self._folder, self._shipped = folder, shipped

    def shipped(self) -> list[Saved]:
        """Those that ship, the quick start first."""
        paths = sorted(self._shipped.glob("*.yaml"), key=lambda path: (path.stem != "quickstart", path.stem))
        return [Saved(ref=path.stem, path=_from_here(path), title=path.stem.replace("_", " ")) for path in paths]

    def saved(self, owner: str) -> list[Saved]:
        """Those that one owner saved, by name."""
        found = []
        for note in self._folder.glob(f"*/{_saved_by(owner)}"):
            ref = note.parent.name
            found.append(Saved(ref=ref, path=_from_here(note.parent / MAIN), title=ref.partition("@")[0]))
        return sorted(found, key=lambda one: one.ref)

    def find(self, ref: str) -> Saved:
        """The scenario of a link. Raises RunError if there is none."""
        for one in self.shipped():
            if one.ref == ref:
                return one
        path = self._folder / ref / MAIN
        if not _SAVED.fullmatch(ref) or not path.is_file():
            raise RunError(f"there is no scenario {ref[:80]!r} here; choose one of the list, or upload it again")
        return Saved(ref=ref, path=_from_here(path), title=ref.partition("@")[0])

    def data_files(self, ref: str) -> dict[str, Path]:
        """The files that were uploaded with a saved scenario, by name; none for one that ships."""
        folder = self.find(ref).path.parent
        if folder.resolve() == self._shipped.resolve():
            return {}
        return {path.name: path for path in sorted(folder.iterdir()) if path.name != MAIN and not path.name.startswith(".")}

    def take_in(self, name: str, content: bytes) -> Path:
        """Put an uploaded data file aside until a scenario with it is saved. Raises RunError."""
        folder = self._folder / ".uploads"
        path = folder / hashlib.sha256(content).hexdigest()
        try:
            folder.mkdir(parents=True, exist_ok=True)
            if not path.exists():
                path.write_bytes(content)
            for old in _newest_first(folder.iterdir())[MOST_UPLOADS:]:
                old.unlink(missing_ok=True)
        except OSError as error:
            raise RunError(f"{name[:100]}: cannot be kept: {error.strerror}") from error
        return path

    def save(self, text: str, files: Mapping[str, Path], owner: str = "") -> Saved:
        """Keep a scenario with its data files; with an owner, among those that they saved.

        Raises ScenarioError if it does not load, RunError if it cannot be kept.
        """
        with self.laid_out(text, files) as path:
            loaded = _load(path)
            digest = hashlib.sha256(text.encode())
            for name, file in sorted(files.items()):
                with file.open("rb") as opened:
                    digest.update(f"{name} {hashlib.file_digest(opened, 'sha256').hexdigest()}".encode())
            slug = re.sub(r"[^a-z0-9]+", "-", loaded.name.lower()).strip("-")[:60].strip("-") or "scenario"
            target = self._folder / f"{slug}@{digest.hexdigest()[:12]}"
            try:
                if not target.exists():
                    shutil.copytree(path.parent, target, copy_function=_link_or_copy)
                if owner:
                    (target / _saved_by(owner)).touch()
                self._clear_drafts()
            except OSError as error:
                raise RunError(f"{target}: cannot be written: {error.strerror}") from error
        return self.find(target.name)

    def keep_for_run(self, ref: str) -> None:
        """Keep a scenario as long as there may be runs of it. Raises RunError if there is none."""
        folder = self.find(ref).path.parent
        if folder.resolve() != self._shipped.resolve():
            (folder / ".run").touch()

    def _clear_drafts(self) -> None:
        """Remove the oldest scenarios that nobody saved or ran beyond the number that is kept."""
        drafts = [path.parent for path in self._folder.glob(f"*@*/{MAIN}") if not any(path.parent.glob(".[rs]*"))]
        for old in _newest_first(drafts)[MOST_DRAFTS:]:
            shutil.rmtree(old, ignore_errors=True)

    @contextmanager
    def laid_out(self, text: str, files: Mapping[str, Path]) -> Iterator[Path]:
        """The path of a scenario file with its data files beside it, inside the block. Raises RunError for a bad name."""
        _check(files)
        self._folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=self._folder, prefix=".draft-") as folder:
            for name, file in files.items():
                _link_or_copy(str(file), str(Path(folder) / name))
            path = Path(folder) / MAIN
            path.write_text(text, encoding="utf-8")
            yield path

    def check(self, text: str, files: Mapping[str, Path]) -> LoadedScenario:
        """A draft as it would load. Raises ScenarioError with the file called scenario.yaml, or RunError."""
        with self.laid_out(text, files) as path:
            return _load(path)


def _load(path: Path) -> LoadedScenario:
    """A draft; errors call its file by its name alone."""
    try:
        return load_scenario(path)
    except ScenarioError as error:
        raise ScenarioError([line.replace(f"{path.parent}{os.sep}", "") for line in error.problems]) from None


def as_one_file(path: Path) -> str:
    """The text of a scenario file; with what it extends merged in, if it extends another. Raises ScenarioError."""
    text = path.read_text(encoding="utf-8")
    if not re.search(r"^extends\s*:", text, re.MULTILINE):
        return text
    return as_yaml(read_extended(path).plain())


def _check(files: Mapping[str, Path]) -> None:
    if len(files) > MOST_FILES:
        raise RunError(f"{len(files)} data files, should be at most {MOST_FILES}")
    size = sum(file.stat().st_size for file in files.values())
    if size > MOST_BYTES:
        raise RunError(f"data files of {size / 1e9:.1f} GB, should be at most {MOST_BYTES / 1e9:.1f} GB")
    for name in files:
        if not _FILE_NAME.fullmatch(name) or name == MAIN:
            raise RunError(f"data file {name[:100]!r}: a name has letters, digits, . _ and -, and is not {MAIN}")


def proper_file_name(given: str) -> str:
    """A name for an uploaded file that a saved scenario may have, as near to the given one as can be, and of the same kind."""
    path = Path(given)
    stem = re.sub(r"[^A-Za-z0-9._-]+", "-", path.stem).lstrip("._-")[:80] or "uploaded"
    return f"{stem}{path.suffix}"


def _newest_first(paths: Iterable[Path]) -> list[Path]:
    return sorted(paths, key=lambda path: path.stat().st_mtime, reverse=True)


def _saved_by(owner: str) -> str:
    """The name of the empty file that tells who saved a scenario; owners are secret."""
    return f".saved-by-{hashlib.sha256(owner.encode()).hexdigest()[:16]}"


def _link_or_copy(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def _from_here(path: Path) -> Path:
    """Relative to the working folder where it lies inside, as people would type it."""
    here = Path.cwd()
    return path.resolve().relative_to(here) if path.resolve().is_relative_to(here) else path

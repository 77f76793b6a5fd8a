"""Parts of a long benchmark that are done, kept beside the code: a run that was ended goes on where it was, as long as nothing changed.

A line for each part, with a hash over all that the results depend on. Lines of other code are left alone, and not used.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from benchmarks.common import ROOT

FOLDER = ROOT / "benchmarks" / ".kept"


class Journal:
    """What is done of a benchmark, by part, for the code as it stands."""

    def __init__(self, name: str, depends_on: Iterable[str], folder: Path = FOLDER) -> None:
        self.file = folder / f"{name}.jsonl"
        self.code = _hash_of(depends_on)
        self.done: dict[str, Any] = {one["part"]: one["value"] for one in self._lines() if one["code"] == self.code}

    def keep(self, part: str, value: Any) -> None:
        """Write down that a part is done, at once."""
        self.file.parent.mkdir(exist_ok=True)
        with self.file.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"code": self.code, "part": part, "value": value}) + "\n")
        self.done[part] = value

    def _lines(self) -> Iterator[dict[str, Any]]:
        if not self.file.exists():
            return
        for line in self.file.read_text(encoding="utf-8").splitlines():
            try:
                yield json.loads(line)
            except ValueError:
                continue            # a line that was being written when the run was ended


def _hash_of(depends_on: Iterable[str]) -> str:
    """SHA-256 over files and the Python files of folders, as paths from the root of the repository."""
    digest = hashlib.sha256()
    for name in depends_on:
        path = ROOT / name
        for file in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
            digest.update(file.relative_to(ROOT).as_posix().encode())
            digest.update(file.read_bytes())
    return digest.hexdigest()

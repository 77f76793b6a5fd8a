"""Which files a scenario may name: only those in folders that its reader allows.

A scenario may come from a stranger. It reads data from its own folder and below, and from data
folders that the operator names; it names policies from policy folders that the operator names.
Links are followed before the question is asked.
"""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

POLICY_FOLDERS_VARIABLE = "FORGE1SIM_POLICY_FOLDERS"
DATA_FOLDERS_VARIABLE = "FORGE1SIM_DATA_FOLDERS"
SHARED = "shared:"
_CHECKOUT_DATA = Path(__file__).resolve().parents[3] / "shared" / "data"


@dataclass(frozen=True, slots=True, kw_only=True)
class Folders:
    """Folders that the operator allows besides the scenario's own. Policies come from `policies` only."""

    data: tuple[Path, ...] = ()
    policies: tuple[Path, ...] = ()

    @classmethod
    def of(cls, data: Iterable[Path] = (), policies: Iterable[Path] = ()) -> "Folders":
        """The folders given, then those of the environment, then the data folder beside a checkout."""
        beside = (_CHECKOUT_DATA,) if _CHECKOUT_DATA.is_dir() else ()
        return cls(
            data=(*data, *_from_environment(DATA_FOLDERS_VARIABLE), *beside),
            policies=(*policies, *_from_environment(POLICY_FOLDERS_VARIABLE)),
        )

    def data_file(self, name: str, scenario_folder: Path) -> Path:
        """The data file that a scenario names: `file.csv` beside it, or `shared:file.csv`.

        Raises:
            ValueError: outside the allowed folders, or missing; the message says what would be right.
        """
        if name.startswith(SHARED):
            if not self.data:
                raise ValueError(f"no data folder is known; name one with --data-folder or {DATA_FOLDERS_VARIABLE}")
            return find_inside(name.removeprefix(SHARED), self.data, "the data folders")
        return find_inside(name, (scenario_folder,), "the scenario's folder")

    def policy_file(self, name: str) -> Path:
        """The file of a user's policy, in one of the policy folders.

        Raises:
            ValueError: outside the allowed folders, or missing; the message says what would be right.
        """
        if not self.policies:
            raise ValueError(f"no policy folder is allowed; name one with --policy-folder or {POLICY_FOLDERS_VARIABLE}")
        return find_inside(name, self.policies, "the policy folders")


def _from_environment(variable: str) -> tuple[Path, ...]:
    return tuple(Path(part) for part in os.environ.get(variable, "").split(os.pathsep) if part)


def find_inside(name: str, folders: Iterable[Path], called: str) -> Path:
    """The file `name` in the first of `folders` that has it. Raises ValueError if it lies outside or is missing."""
    if not name or "\0" in name:
        raise ValueError("no file is named")
    if Path(name).is_absolute():
        raise ValueError(f"an absolute path leaves {called}; name a file inside")
    outside = False
    for folder in folders:
        root = folder.resolve()
        path = (root / name).resolve()
        if not path.is_relative_to(root):
            outside = True
        elif path.is_file():
            return path
    if outside:
        raise ValueError(f"the path leaves {called}; name a file inside")
    raise ValueError(f"no such file in {called}")

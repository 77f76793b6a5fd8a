"""The lock file: exact versions with hashes, from nowhere in particular, covering all we declare."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

SUPPORTED = ("3.11", "3.12", "3.13", "3.14")


def locked_requirements(root: Path) -> list[tuple[Requirement, list[str]]]:
    """Each requirement of the lock with its hashes."""
    text = (root / "requirements.lock").read_text().replace("\\\n", " ")
    result = []
    for line in filter(None, map(str.strip, text.splitlines())):
        requirement, *hashes = re.split(r"\s+--hash=", line)
        result.append((Requirement(requirement), hashes))
    return result


def declared_requirements(root: Path) -> list[Requirement]:
    """What pyproject.toml asks for: to run, to build, to develop."""
    project = tomllib.loads((root / "pyproject.toml").read_text())
    groups = project["dependency-groups"]
    declared = [*project["build-system"]["requires"], *project["project"]["dependencies"]]
    declared += [entry for group in groups.values() for entry in group if isinstance(entry, str)]
    return [Requirement(entry) for entry in declared]


def test_every_requirement_is_one_version_with_hashes(root):
    requirements = locked_requirements(root)
    assert len(requirements) > 50
    for requirement, hashes in requirements:
        assert re.fullmatch(r"==[\w.!+]+", str(requirement.specifier)), requirement
        assert hashes, requirement
        assert all(re.fullmatch(r"sha256:[0-9a-f]{64}", entry) for entry in hashes), requirement


def test_it_names_no_place(root):
    """A lock made behind a mirror must work elsewhere: no address, no option, no path."""
    for line in (root / "requirements.lock").read_text().splitlines():
        assert re.fullmatch(r"[\w.\-]+==[\w.!+]+( ; [^/@]+)?( \\)?|    --hash=sha256:[0-9a-f]{64}( \\)?", line), line


@pytest.mark.parametrize("python", SUPPORTED)
def test_it_holds_all_we_declare_for_each_python(root, python):
    where = {"python_version": python, "python_full_version": f"{python}.0", "sys_platform": "linux"}
    versions: dict[str, list[str]] = {}
    for requirement, _ in locked_requirements(root):
        if requirement.marker is None or requirement.marker.evaluate(where):
            versions.setdefault(canonicalize_name(requirement.name), []).append(str(requirement.specifier)[2:])
    assert all(len(found) == 1 for found in versions.values())
    for declared in declared_requirements(root):
        found = versions.get(canonicalize_name(declared.name))
        assert found, f"{declared} is not in requirements.lock; run make lock"
        assert declared.specifier.contains(found[0]), f"{declared}, locked {found[0]}; run make lock"

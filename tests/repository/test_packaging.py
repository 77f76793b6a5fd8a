"""What is installed outside a checkout is whole."""

import subprocess
import tomllib
from pathlib import Path, PurePath

import pytest


def test_every_data_file_of_the_packages_is_shipped(root: Path):
    if not (root / ".git").exists():
        pytest.skip("needs a clone")
    project = tomllib.loads((root / "pyproject.toml").read_text())
    patterns = project["tool"]["setuptools"]["package-data"]
    listing = subprocess.run(
        ["git", "ls-files", "policies", "forge1sim"], cwd=root, check=True, capture_output=True, text=True
    )
    for name in listing.stdout.splitlines():
        package, _, inside = name.partition("/")
        if not name.endswith(".py"):
            # "**/*.yaml" also means files at the top, which PurePath.match alone would not
            suffixes = {PurePath(pattern).suffix for pattern in patterns.get(package, [])}
            assert PurePath(inside).suffix in suffixes, f"{name}: add its suffix to package-data of {package}"

"""Compiled code is kept where it can be; where it cannot, code runs all the same, and what is there is used."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from policies.compile import JIT_DISABLED

pytestmark = pytest.mark.skipif(JIT_DISABLED, reason="nothing is kept uncompiled")

ASK = """
from policies import compile as compiling
from policies.order import tie_key
print(tie_key(1, 2, 3), sum(tie_key.stats.cache_hits.values()), compiling.is_kept(), compiling.is_warm("tie_key"))
"""


def _ask(cache: Path, root: Path) -> list[str]:
    environment = {**os.environ, "FORGE1SIM_CACHE": str(cache), "PYTHONPATH": str(root)}
    done = subprocess.run([sys.executable, "-c", ASK], env=environment, cwd=root, capture_output=True, text=True, check=True)
    return done.stdout.split()[1:]


def test_code_is_kept(tmp_path, root) -> None:
    assert _ask(tmp_path, root) == ["0", "True", "True"]
    assert _ask(tmp_path, root) == ["1", "True", "True"]


def test_without_a_folder_code_is_compiled_each_time(tmp_path, root) -> None:
    (tmp_path / "file").touch()
    assert _ask(tmp_path / "file", root) == ["0", "False", "False"]
    assert _ask(tmp_path / "file", root) == ["0", "False", "False"]


@pytest.mark.skipif(hasattr(os, "geteuid") and os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_is_read(tmp_path, root) -> None:
    _ask(tmp_path, root)
    folders = [tmp_path, *(path for path in tmp_path.rglob("*") if path.is_dir())]
    for folder in folders:
        folder.chmod(0o555)
    try:
        assert _ask(tmp_path, root) == ["1", "False", "True"]
    finally:
        for folder in folders:
            folder.chmod(0o755)

"""Compiled, as plain Python and with bounds checked, the emulator does the same to the bit."""

import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent


def play(root: Path, **flags: str) -> tuple[str, str]:
    environment = {**os.environ, "PYTHONPATH": str(root), "PYTHONWARNINGS": "error::RuntimeWarning", **flags}
    run = subprocess.run(
        [sys.executable, str(HERE / "sequence.py")], capture_output=True, text=True, env=environment, check=False, timeout=300
    )
    assert run.returncode == 0, run.stderr
    digest, outcomes = run.stdout.split(" ", 1)
    return digest, outcomes


def test_compiled_and_plain_python_agree(root) -> None:
    compiled, plain = play(root), play(root, NUMBA_DISABLE_JIT="1")
    assert compiled == plain
    counts = [int(count) for count in compiled[1].strip(" []\n").split(",")]
    assert all(count > 0 for count in counts), f"an outcome never occurred: {counts}"


def test_twice_is_the_same_and_nothing_is_read_out_of_bounds(root) -> None:
    assert play(root) == play(root, NUMBA_BOUNDSCHECK="1")

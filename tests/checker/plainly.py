"""Run a script of this folder with NUMBA_DISABLE_JIT=1, where functions of `policies` can be replaced."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
TIMEOUT_S = 1_800


def start(script: str, *arguments: object) -> subprocess.Popen[str]:
    """Start `script` in its own process."""
    environment = {**os.environ, "NUMBA_DISABLE_JIT": "1", "PYTHONPATH": str(HERE.parent.parent), "PYTHONWARNINGS": "ignore"}
    command = [sys.executable, str(HERE / script), *map(str, arguments)]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def result(process: subprocess.Popen[str]) -> Any:
    """The JSON that a script printed."""
    out, errors = process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == 0, errors
    return json.loads(out)


def together(script: str, arguments: list[list[object]]) -> list[Any]:
    """Results of several runs of a script, side by side."""
    processes = [start(script, *each) for each in arguments]
    try:
        return [result(process) for process in processes]
    finally:
        for process in processes:
            process.kill()

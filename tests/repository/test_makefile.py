"""`make` picks a Python that works and never takes half an environment for a whole one."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="needs make")


def make(folder: Path, *arguments: str, path: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run make in `folder`, with the programs in `path` found before all others."""
    outer = {name: value for name, value in os.environ.items() if name not in {"MAKEFLAGS", "MAKELEVEL", "MFLAGS", "VENV"}}
    search = outer["PATH"] if path is None else f"{path}{os.pathsep}{outer['PATH']}"
    command = ["make", "--no-print-directory", *arguments]
    return subprocess.run(
        command, cwd=folder, env=outer | {"PATH": search}, capture_output=True, text=True, timeout=60, check=False
    )


def program(path: Path, body: str) -> Path:
    """A shell script at `path`."""
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def checkout(root: Path, tmp_path: Path) -> Path:
    """What `make setup` reads, with an environment's builder that only pretends."""
    folder = tmp_path / "checkout"
    folder.mkdir()
    for name in ("Makefile", "pyproject.toml", "requirements.lock"):
        shutil.copy(root / name, folder)
    program(
        folder / "python",
        """case "$1" in
        -c) exit 0 ;;
        -m) rm -rf "$4"; mkdir -p "$4/bin"; echo built >>built.txt; cp pip "$4/bin/python" ;;
        esac""",
    )
    program(folder / "pip", 'echo "$@" >>installed.txt')
    return folder


def test_an_old_python3_is_passed_over(root, tmp_path):
    program(tmp_path / "bin" / "python3", "exit 1")
    program(tmp_path / "bin" / "python3.13", "exit 127")  # a launcher of nothing
    program(tmp_path / "bin" / "python3.12", f'exec "{sys.executable}" "$@"')
    result = make(root, "python", path=tmp_path / "bin")
    assert (result.returncode, result.stdout) == (0, "python3.12\n")


def test_without_a_python_one_line_says_what_to_do(root):
    result = make(root, "python", "PYTHON=no-such-python")
    assert result.returncode == 2
    explanation, verdict = result.stderr.splitlines()
    assert "needs Python 3.11 to 3.14" in explanation
    assert "make PYTHON=" in explanation
    assert verdict.startswith("make: ***")


def test_setup_runs_once_with_hashes_and_then_does_nothing(checkout):
    for _ in range(2):
        assert make(checkout, "setup", "PYTHON=./python").returncode == 0
    locked, project = (checkout / "installed.txt").read_text().splitlines()
    assert "--require-hashes -r requirements.lock" in locked
    assert "--no-deps --no-build-isolation --editable ." in project


def test_a_new_lock_builds_a_new_environment_and_new_metadata_only_reinstalls(checkout):
    make(checkout, "setup", "PYTHON=./python")
    later = (checkout / ".venv" / ".installed").stat().st_mtime + 10
    os.utime(checkout / "pyproject.toml", (later, later))
    make(checkout, "setup", "PYTHON=./python")
    assert (checkout / "built.txt").read_text().count("built") == 1
    assert len((checkout / "installed.txt").read_text().splitlines()) == 3
    os.utime(checkout / "requirements.lock", (later, later))
    make(checkout, "setup", "PYTHON=./python")
    assert (checkout / "built.txt").read_text().count("built") == 2


@pytest.mark.parametrize("failing", ["--require-hashes", "--editable"])
def test_an_interrupted_setup_is_not_taken_for_a_whole_one(checkout, failing):
    program(checkout / "pip", f'echo "$@" >>installed.txt; case "$*" in *{failing}*) exit 1 ;; esac')
    assert make(checkout, "setup", "PYTHON=./python").returncode != 0
    assert not (checkout / ".venv" / ".installed").exists()
    assert (checkout / ".venv" / ".locked").exists() == (failing == "--editable")
    program(checkout / "pip", 'echo "$@" >>installed.txt')
    shutil.copy(checkout / "pip", checkout / ".venv" / "bin" / "python")
    assert make(checkout, "setup", "PYTHON=./python").returncode == 0
    assert (checkout / ".venv" / ".installed").exists()


@pytest.mark.parametrize(
    ("status", "writes_report", "said"),
    [
        (0, True, "Every SLO held"),
        (1, True, "At least one SLO was missed"),
        (1, False, None),  # a crash also ends with 1
        (2, True, None),
        (130, False, None),
    ],
)
def test_demo_accepts_a_missed_slo_but_no_failure(checkout, status, writes_report, said):
    make(checkout, "setup", "PYTHON=./python")
    writing = "mkdir demo_run; echo >demo_run/report.html;" if writes_report else ""
    program(checkout / ".venv" / "bin" / "forge1sim", f'echo "$@"; {writing} exit {status}')
    result = make(checkout, "demo")
    assert "run scenarios/quickstart.yaml --out demo_run" in result.stdout
    if said is None:
        assert result.returncode == 2
        assert f"The quick start failed (exit status {status})" in result.stderr
    else:
        assert result.returncode == 0
        assert said in result.stdout
        assert result.stdout.endswith("Report: demo_run/report.html\n")


@pytest.mark.parametrize(
    ("closing_line", "make_status", "passes"),
    [
        ("=== 5 passed, 1 skipped in 1.00s ===", 0, True),
        ("=== 3 skipped in 1.00s ===", 0, False),
        ("=== no tests ran in 0.01s ===", 0, False),
        ("", 0, False),
        ("=== 1 failed, 5 passed in 1.00s ===", 2, False),
    ],
)
def test_ci_uses_a_fresh_environment_and_fails_unless_tests_ran(root, tmp_path, closing_line, make_status, passes):
    script = tmp_path / ".ci" / "run"
    script.parent.mkdir()
    shutil.copy(root / ".ci" / "run", script)
    program(tmp_path / "bin" / "make", f'echo "$CI $VENV"; test -e "$VENV" && exit 9; echo "{closing_line}"; exit {make_status}')
    result = subprocess.run(
        [script], env=os.environ | {"PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}"},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (result.returncode == 0) == passes
    first, *_, last = result.stdout.splitlines()
    ci, environment = first.split()
    assert ci == "true"
    assert not Path(environment).parent.exists(), "the scratch folder is left behind"
    assert last == closing_line

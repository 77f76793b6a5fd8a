"""Who may import whom: the contracts hold here, and each breaks when it should."""

import ast
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PURE_PACKAGES = {"policies", "numpy", "numba", "pydantic"}
# In the standard library, but no part of a decision.
IMPURE_STDLIB = {"random", "secrets", "time", "asyncio", "threading", "socket", "subprocess", "sqlite3", "urllib", "http"}


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    """Run import-linter on the packages and the configuration in `folder`."""
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache", "--no-logo"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def test_contracts_hold(root):
    result = lint(root)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.fixture
def copy(root: Path, tmp_path: Path) -> Path:
    """The packages' sources and their contracts, to be spoilt."""
    shutil.copy(root / "pyproject.toml", tmp_path)
    for package in ("policies", "forge1sim"):
        for file in (root / package).rglob("*.py"):
            target = tmp_path / file.relative_to(root)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, target)
    return tmp_path


def append(folder: Path, module: str, line: str) -> None:
    """Add `line` to `module` (a package takes it in its `__init__`), which need not exist yet."""
    path = folder.joinpath(*module.split("."))
    file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    for parent in reversed(file.relative_to(folder).parents[:-1]):
        (folder / parent).mkdir(exist_ok=True)
        (folder / parent / "__init__.py").touch()
    with file.open("a") as stream:
        stream.write(f"\n{line}\n")


@pytest.mark.parametrize(
    ("module", "line", "contract"),
    [
        ("policies.limits", "import forge1sim.workload", "policies decide from their arguments alone"),
        ("policies.limits", "import random", "policies decide from their arguments alone"),
        ("policies.limits", "from time import monotonic", "policies decide from their arguments alone"),
        ("policies.charge", "def later():\n    import asyncio", "policies decide from their arguments alone"),
        ("policies.state", "import live_adapter", "policies decide from their arguments alone"),
        ("policies.log", "from policies import limits", "the words that all share"),
        ("forge1sim.workload.table", "import live_adapter", "forge1sim never imports live_adapter"),
        ("forge1sim.providers", "from policies.limits import free", "the provider emulator is a witness"),
        ("forge1sim.providers", "import policies.gateway", "the provider emulator is a witness"),
        ("forge1sim.drivers.simpy_driver", "import forge1sim.drivers.compiled_driver", "the SimPy and the compiled driver"),
        ("forge1sim.drivers.compiled_driver", "import forge1sim.drivers.simpy_driver", "the SimPy and the compiled driver"),
        ("forge1sim.check", "import policies.limits", "the log checker shares words"),
        ("forge1sim.check", "from policies import charge", "the log checker shares words"),
    ],
)
def test_a_forbidden_import_breaks_its_contract(copy, module, line, contract):
    for needed in ("policies.gateway", "forge1sim.drivers.simpy_driver", "forge1sim.drivers.compiled_driver"):
        append(copy, needed, "")
    append(copy, module, line)
    result = lint(copy)
    report = " ".join(result.stdout.split())
    assert result.returncode == 1, result.stdout + result.stderr
    assert any(contract in part and part.rstrip().endswith("BROKEN") for part in broken_lines(report)), result.stdout


def broken_lines(report: str) -> list[str]:
    """Pieces of the report that end with the verdict on one contract."""
    pieces = report.replace(" KEPT", " KEPT\n").replace(" BROKEN", " BROKEN\n").splitlines()
    return [piece for piece in pieces if piece.endswith("BROKEN")]


def test_a_checker_may_use_the_shared_words(copy):
    append(copy, "forge1sim.check", "from policies import log, schema\nimport policies.bundle")
    assert lint(copy).returncode == 0


def imported_packages(file: Path) -> set[str]:
    """Top-level names that a source file imports, anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file.name}: imports are absolute"
            found.add(str(node.module).partition(".")[0])
    return found


def test_policies_import_only_numpy_numba_and_pydantic(root):
    """An allow-list, since no list of what is forbidden can be complete."""
    allowed = PURE_PACKAGES | (set(sys.stdlib_module_names) - IMPURE_STDLIB)
    for file in sorted((root / "policies").rglob("*.py")):
        # llvmlite is Numba's own back end: intrinsics are written in it, its version names the cache
        extra = {"llvmlite"} if file.name in {"arena.py", "compile.py", "plug.py"} else set()
        assert imported_packages(file) <= allowed | extra, file.relative_to(root)

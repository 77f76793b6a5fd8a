"""`compiled`: Numba's njit with a cache that is never stale.

Numba notices a change of the file that a function stands in, but not of a helper that was
inlined from another file. The cache folder is therefore ours, and named by a hash of every source that
compiled code may stand in, of the versions and of the CPU: a changed helper means a
new folder. With NUMBA_DISABLE_JIT=1 the functions stay plain Python.
"""

import hashlib
import os
import platform
import shutil
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, TypeVar, cast

import llvmlite
import numba
import numpy as np

from policies.keeping import cache_in
from policies.linking import EntryCompiler, HelperCompiler, compile_helper

Function = TypeVar("Function", bound=Callable[..., Any])

JIT_DISABLED = bool(numba.config.DISABLE_JIT)
_PACKAGES = ("policies", "forge1sim")
# Nothing in them is compiled, nor read by what is (import-linter holds it): a page may change without a minute of compiling.
_NEVER_COMPILED = {
    f"forge1sim/{part}" for part in (
        "check", "cli", "experiments", "forecast", "planning", "report", "results", "runs", "statistics", "workbench",
    )
}  # fmt: skip
_KEPT_FOLDERS = 8
# Nothing here makes or keeps an array, so nothing needs to count references to any.
_OPTIONS = {"error_model": "numpy", "_nrt": False}
_INSIDE = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True, "pipeline_class": HelperCompiler}
_FLAGS = ("NUMBA_BOUNDSCHECK", "NUMBA_OPT", "NUMBA_CPU_NAME", "NUMBA_CPU_FEATURES", "NUMBA_DEBUGINFO")


def source_hash() -> str:
    """SHA-256 over all that compiled code depends on: sources, versions, CPU, compiler flags."""
    digest = hashlib.sha256()
    root = Path(__file__).parent.parent
    for package in _PACKAGES:
        for path in sorted((root / package).rglob("*.py")):
            name = path.relative_to(root).as_posix()
            if "/".join(name.split("/")[:2]) not in _NEVER_COMPILED:
                digest.update(name.encode() + b"\0" + path.read_bytes())
    versions = (sys.version, numba.__version__, np.__version__, llvmlite.__version__, platform.machine())
    flags = tuple(os.environ.get(flag, "") for flag in _FLAGS)
    digest.update(repr((versions, flags, _cpu())).encode())
    return digest.hexdigest()


def _cpu() -> str:
    from llvmlite import binding  # noqa: PLC0415  (native library, loaded once needed)

    return f"{binding.get_host_cpu_name()} {binding.get_host_cpu_features().flatten()}"


def cache_folder() -> Path:
    """Where compiled code is kept: FORGE1SIM_CACHE, else the user's cache folder."""
    base = os.environ.get("FORGE1SIM_CACHE") or os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "forge1sim" / "compiled"


def _own_folder() -> Path:
    """The folder of these very sources, made if it can be; folders of sources long gone are removed."""
    base = cache_folder()
    folder = base / source_hash()[:24]
    with suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
        os.utime(folder)
        others = sorted((p for p in base.iterdir() if p.is_dir()), key=lambda p: p.stat().st_mtime, reverse=True)
        for old in others[_KEPT_FOLDERS:]:
            shutil.rmtree(old, ignore_errors=True)
    return folder


if JIT_DISABLED:
    # The keyed hash wraps around in uint64 on purpose; NumPy scalars would warn of it.
    np.seterr(over="ignore")
    FOLDER = None
else:
    FOLDER = _own_folder()
    if os.access(FOLDER, os.W_OK):
        numba.config.CACHE_DIR = str(FOLDER)        # for policies of users' own


def is_kept() -> bool:
    """Whether what is compiled now will be there for other processes."""
    return FOLDER is not None and os.access(FOLDER, os.W_OK)


def is_warm(function: str) -> bool:
    """Whether the function of this name was compiled and kept for exactly these sources before."""
    return JIT_DISABLED or (FOLDER is not None and any(FOLDER.rglob(f"*.{function}-*.nbi")))


def compiled(function: Function) -> Function:
    """Compile `function` on first call from Python and keep the result on disk.

    Compiled code that calls it takes it in as a helper.
    """
    return _entry(function)


def unlocked(function: Function) -> Function:
    """Like `compiled`, for calls that take long: other threads of Python run meanwhile."""
    return _entry(function, nogil=True)


def _entry(function: Function, **options: bool) -> Function:
    if JIT_DISABLED:
        return function
    entry: Any = numba.njit(pipeline_class=EntryCompiler, **options, **_OPTIONS)(function)
    entry._cache = cache_in(FOLDER, function)
    helper = _helper(function)
    entry.get_call_template, entry.get_overload = helper.get_call_template, helper.get_overload
    return cast(Function, entry)


def quick(function: Function, arguments: int) -> Function:
    """A `compiled` function of so many whole numbers, for Python to call many times.

    It skips the search for the version that fits the types of the arguments, which takes longer than the call.
    """
    if JIT_DISABLED:
        return function
    return cast(Function, cast(Any, function).compile((numba.types.int64,) * arguments))


def inlined(function: Function) -> Function:
    """Compile for the use of other compiled functions only: no cache entry. Python must not call it."""
    if JIT_DISABLED:
        return function
    return cast(Function, _helper(function))


def leaf(function: Function) -> Function:
    """Like `inlined`, for the smallest helpers: compiled right into each caller."""
    if JIT_DISABLED:
        return function
    return cast(Function, _helper(function, forceinline=True))


def rare(function: Function) -> Function:
    """Like `inlined`, for what seldom happens: kept apart, so that what often happens stays small and close together."""
    if JIT_DISABLED:
        return function
    dispatcher = _helper(function)
    dispatcher.is_rare = True
    return cast(Function, dispatcher)


def _helper(function: Callable[..., Any], **options: bool) -> Any:
    """A function for compiled callers, who see one version for all whole numbers: int64.

    Numba would compile a version for every mix of constants and widths among the arguments.
    """
    dispatcher: Any = numba.njit(**options, **_INSIDE, **_OPTIONS)(function)
    find = dispatcher.get_call_template

    def find_widened(arguments: Any, keywords: Any) -> Any:
        return find(tuple(_widened(argument) for argument in arguments), keywords)

    dispatcher.get_call_template = find_widened
    dispatcher.compile = partial(compile_helper, dispatcher)
    return dispatcher


def _widened(argument: Any) -> Any:
    argument = numba.types.unliteral(argument)
    if isinstance(argument, numba.types.Integer) and argument != numba.types.uint64:
        return numba.types.int64
    return argument

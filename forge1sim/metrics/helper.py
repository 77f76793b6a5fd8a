"""How the fold is compiled: `entry` for what Python calls, `helper` for what only compiled code calls.

Beside what `policies.compile` does: helpers are always inlined (a third faster here, since they
are small and called for every row), and nothing counts references to arrays, since nothing here
makes or keeps one (another 15 %). With NUMBA_DISABLE_JIT=1 both leave functions plain Python.
"""

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba

from policies.compile import JIT_DISABLED
from policies.linking import EntryCompiler, HelperCompiler

Function = TypeVar("Function", bound=Callable[..., Any])
_OPTIONS = {"error_model": "numpy", "_nrt": False}
_ENTRY = {"cache": not JIT_DISABLED, "nogil": True, "pipeline_class": EntryCompiler}
_INSIDE = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True, "pipeline_class": HelperCompiler}


def entry(function: Function) -> Function:
    """Compile on first call and keep the result on disk, in the folder that `policies.compile` chose. Other threads run meanwhile."""
    return cast(Function, numba.njit(**_ENTRY, **_OPTIONS)(function))


def helper(function: Function) -> Function:
    """Compile for use inside compiled code; it cannot be called from Python then."""
    return cast(Function, numba.njit(forceinline=True, **_INSIDE, **_OPTIONS)(function))


def seldom(function: Function) -> Function:
    """Like `helper`, but not inlined: for what happens now and then."""
    return cast(Function, numba.njit(**_INSIDE, **_OPTIONS)(function))

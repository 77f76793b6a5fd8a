"""`inline`: compile a helper into its caller."""

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba

from policies.compile import JIT_DISABLED
from policies.linking import HelperCompiler

Function = TypeVar("Function", bound=Callable[..., Any])


def inline(function: Function) -> Function:
    """Compile `function` and have it inlined wherever compiled code calls it.

    A call that stays a call passes every table's descriptor and counts references to it, which
    costs more than most helpers do. Python cannot call the result, unless compiling is disabled.
    """
    if JIT_DISABLED:
        return function
    inlining = numba.njit(
        forceinline=True, no_cpython_wrapper=True, no_cfunc_wrapper=True, error_model="numpy", _nrt=False,
        pipeline_class=HelperCompiler,
    )  # fmt: skip
    return cast(Function, inlining(function))

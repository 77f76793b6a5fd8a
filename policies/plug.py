"""Plugging a user's routing policy into compiled code without compiling that anew.

Compiled code calls the policy through the address of a function of one fixed type, so that a
driver is compiled once and kept, whichever policy it runs. Uncompiled, the address is the
function itself.
"""

from collections.abc import Callable
from typing import Any

import numba
from llvmlite import ir
from numba import from_dtype, types
from numba.core import cgutils
from numba.extending import intrinsic, overload

from policies.compile import JIT_DISABLED
from policies.state import DEPLOYMENT, REQUEST, TENANT

_FLOATS = types.Array(types.float64, 1, "C")
SIGNATURE = types.int64(
    from_dtype(REQUEST), types.Array(types.int64, 1, "C"), types.Array(from_dtype(DEPLOYMENT), 1, "C"),
    from_dtype(TENANT), _FLOATS, _FLOATS, types.int64,
)  # fmt: skip
_FUNCTION = types.FunctionType(SIGNATURE)
_plugged: list[Any] = []
"""Compiled policies whose addresses were given out: they must outlive every run."""


def plug(policy: Callable[..., int]) -> Any:
    """What drivers take as `user_policy`. `policy` is plain Python or compiled already."""
    if JIT_DISABLED:
        return policy
    dispatcher: Any = policy if hasattr(policy, "py_func") else numba.njit(error_model="numpy")(policy)
    dispatcher.compile(SIGNATURE)
    _plugged.append(dispatcher)
    code = dispatcher.overloads[SIGNATURE.args]
    return int(code.library.get_pointer_to_function(code.fndesc.llvm_cfunc_wrapper_name))


@intrinsic  # type: ignore[untyped-decorator]  # Numba leaves its decorators untyped
def _function_at(typing_context: Any, address: Any) -> Any:
    del typing_context, address

    def generate(context: Any, builder: ir.IRBuilder, _signature: Any, arguments: Any) -> Any:
        function = cgutils.create_struct_proxy(_FUNCTION)(context, builder)
        pointer = context.get_value_type(types.voidptr)
        function.c_addr = builder.inttoptr(arguments[0], pointer)
        function.py_addr = pointer(None)
        function.jit_addr = pointer(None)
        return function._getvalue()

    return _FUNCTION(types.int64), generate


def ask_policy(
    user_policy: Any, request: Any, candidates: Any, deployments: Any, tenant: Any, params: Any, memory: Any, now_us: int
) -> int:
    """Call a plugged policy."""
    return int(user_policy(request, candidates, deployments, tenant, params, memory, now_us))


@overload(ask_policy)  # type: ignore[untyped-decorator]
def _ask_policy(
    user_policy: Any, request: Any, candidates: Any, deployments: Any, tenant: Any, params: Any, memory: Any, now_us: Any
) -> Any:
    def implementation(
        user_policy: Any, request: Any, candidates: Any, deployments: Any, tenant: Any, params: Any, memory: Any, now_us: Any
    ) -> Any:
        return _function_at(user_policy)(request, candidates, deployments, tenant, params, memory, now_us)

    return implementation

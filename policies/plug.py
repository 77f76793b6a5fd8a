"""Plugging a user's policy into compiled code without compiling that anew.

Compiled code calls the policy through the address of a function of one fixed type, so that a
driver is compiled once and kept, whichever policy it runs. Uncompiled, a place in a list stands
for the address. Such a number holds in this process: who loads a state elsewhere plugs anew.
"""

from collections.abc import Callable
from typing import Any

import numba
from llvmlite import ir
from numba import from_dtype, types
from numba.core import cgutils
from numba.extending import intrinsic, overload

from policies.compile import JIT_DISABLED
from policies.state import CLAIM, DEPLOYMENT, POOL, REQUEST, ROOM, TENANT

_FLOATS = types.Array(types.float64, 1, "C")
SIGNATURES: dict[str, Any] = {
    "routing": types.int64(
        from_dtype(REQUEST), types.Array(types.int64, 1, "C"), types.Array(from_dtype(DEPLOYMENT), 1, "C"),
        from_dtype(TENANT), _FLOATS, _FLOATS, types.int64,
    ),
    "scaling": types.int64(from_dtype(POOL), _FLOATS, _FLOATS, types.int64),
    "tier": types.int64(
        from_dtype(REQUEST), from_dtype(ROOM), types.Array(from_dtype(CLAIM), 1, "C"), _FLOATS, types.int64
    ),
}  # fmt: skip
_plugged: list[Any] = []
"""Policies whose numbers were given out: they must outlive every run."""


def plug(policy: Callable[..., int], kind: str) -> int:
    """The number by which `ask_policy` and its like find a policy. It is plain Python or compiled already."""
    if JIT_DISABLED:
        _plugged.append(policy)
        return len(_plugged) - 1
    signature = SIGNATURES[kind]
    dispatcher: Any = policy if hasattr(policy, "py_func") else numba.njit(error_model="numpy")(policy)
    dispatcher.compile(signature)
    _plugged.append(dispatcher)
    code = dispatcher.overloads[signature.args]
    return int(code.library.get_pointer_to_function(code.fndesc.llvm_cfunc_wrapper_name))


def _function_at(kind: str) -> Any:
    """For compiled code: the function of this kind at an address."""
    function_type = types.FunctionType(SIGNATURES[kind])

    @intrinsic  # type: ignore[untyped-decorator]  # Numba leaves its decorators untyped
    def function_at(typing_context: Any, address: Any) -> Any:
        del typing_context, address

        def generate(context: Any, builder: ir.IRBuilder, _signature: Any, arguments: Any) -> Any:
            function = cgutils.create_struct_proxy(function_type)(context, builder)
            pointer = context.get_value_type(types.voidptr)
            function.c_addr = builder.inttoptr(arguments[0], pointer)
            function.py_addr = pointer(None)
            function.jit_addr = pointer(None)
            return function._getvalue()

        return function_type(types.int64), generate

    return function_at


_routing_at, _scaling_at, _tier_at = _function_at("routing"), _function_at("scaling"), _function_at("tier")


def ask_policy(
    user_policy: int, request: Any, candidates: Any, deployments: Any, tenant: Any, params: Any, memory: Any, now_us: int
) -> int:
    """Call a plugged routing policy."""
    return int(_plugged[user_policy](request, candidates, deployments, tenant, params, memory, now_us))


@overload(ask_policy)  # type: ignore[untyped-decorator]
def _ask_policy(
    user_policy: Any, request: Any, candidates: Any, deployments: Any, tenant: Any, params: Any, memory: Any, now_us: Any
) -> Any:
    def implementation(
        user_policy: Any, request: Any, candidates: Any, deployments: Any, tenant: Any, params: Any, memory: Any, now_us: Any
    ) -> Any:
        return _routing_at(user_policy)(request, candidates, deployments, tenant, params, memory, now_us)

    return implementation


def ask_scaling(user_policy: int, pool: Any, params: Any, memory: Any, now_us: int) -> int:
    """Call a plugged scaling policy."""
    return int(_plugged[user_policy](pool, params, memory, now_us))


@overload(ask_scaling)  # type: ignore[untyped-decorator]
def _ask_scaling(user_policy: Any, pool: Any, params: Any, memory: Any, now_us: Any) -> Any:
    def implementation(user_policy: Any, pool: Any, params: Any, memory: Any, now_us: Any) -> Any:
        return _scaling_at(user_policy)(pool, params, memory, now_us)

    return implementation


def ask_tier(user_policy: int, request: Any, limit: Any, tiers: Any, params: Any, now_us: int) -> int:
    """Call a plugged tier policy."""
    return int(_plugged[user_policy](request, limit, tiers, params, now_us))


@overload(ask_tier)  # type: ignore[untyped-decorator]
def _ask_tier(user_policy: Any, request: Any, limit: Any, tiers: Any, params: Any, now_us: Any) -> Any:
    def implementation(user_policy: Any, request: Any, limit: Any, tiers: Any, params: Any, now_us: Any) -> Any:
        return _tier_at(user_policy)(request, limit, tiers, params, now_us)

    return implementation

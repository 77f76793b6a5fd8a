"""Plugging a user's routing policy into compiled code without compiling that anew.

Compiled code calls the policy through an address of one fixed type, so that a driver is
compiled once and kept, whichever policy it runs.
"""

from collections.abc import Callable
from typing import Any

import numba
from numba import from_dtype, types

from policies.compile import JIT_DISABLED
from policies.state import DEPLOYMENT, REQUEST, TENANT

_FLOATS = types.Array(types.float64, 1, "C")
SIGNATURE = types.int64(
    from_dtype(REQUEST), types.Array(types.int64, 1, "C"), types.Array(from_dtype(DEPLOYMENT), 1, "C"),
    from_dtype(TENANT), _FLOATS, _FLOATS, types.int64,
)  # fmt: skip


class Plug(types.WrapperAddressProtocol):  # type: ignore[misc]
    """A compiled policy as compiled code takes it: an address and its type."""

    def __init__(self, dispatcher: Any) -> None:
        dispatcher.compile(SIGNATURE)
        self._kept = dispatcher
        compiled = dispatcher.overloads[SIGNATURE.args]
        self._address = int(compiled.library.get_pointer_to_function(compiled.fndesc.llvm_cfunc_wrapper_name))

    def __wrapper_address__(self) -> int:
        return self._address

    def signature(self) -> Any:
        """The one type that every routing policy has."""
        return SIGNATURE


def plug(policy: Callable[..., int]) -> Any:
    """What drivers take as `user_policy`. `policy` is plain Python or compiled already."""
    if JIT_DISABLED:
        return policy
    dispatcher = policy if hasattr(policy, "py_func") else numba.njit(error_model="numpy")(policy)
    return Plug(dispatcher)



"""`prefetch`: have memory loaded before it is needed."""

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from numpy.typing import NDArray

from policies.arena import TableType
from policies.compile import JIT_DISABLED


def prefetch(array: NDArray[Any], place: int) -> None:
    """Have the processor load `array[place]` while other work goes on. Changes nothing; `place` may lie outside."""


@intrinsic  # type: ignore[untyped-decorator]  # Numba leaves its decorators untyped
def _prefetch(typing_context: Any, array: Any, place: Any) -> Any:
    del typing_context
    signature = types.void(array, types.int64)

    def generate(context: Any, builder: ir.IRBuilder, sig: Any, arguments: Any) -> Any:
        is_table = isinstance(sig.args[0], TableType)
        rows = builder.extract_value(arguments[0], 0) if is_table else context.make_array(sig.args[0])(context, builder, arguments[0]).data
        address = builder.bitcast(builder.gep(rows, [arguments[1]]), cgutils.voidptr_t)
        kind = ir.FunctionType(ir.VoidType(), [cgutils.voidptr_t, *[cgutils.int32_t] * 3])
        function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
        for_writing, keep, data = cgutils.int32_t(1), cgutils.int32_t(3), cgutils.int32_t(1)
        builder.call(function, [address, for_writing, keep, data])
        return context.get_dummy_value()

    return signature, generate


if not JIT_DISABLED:
    prefetch = _prefetch

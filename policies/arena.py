"""One block of memory for a whole state machine, opened as named tables.

A call into compiled code pays per array argument; one byte array with typed windows costs one.
A state is then also copied, saved, compared and hashed as one value. Windows are views:
they own nothing and must not outlive the block.
"""

from typing import Any, cast

import numpy as np
from llvmlite import ir
from numba import carray, types
from numba.extending import intrinsic, overload
from numpy.typing import NDArray

ALIGNMENT = 64


@intrinsic
def _as_pointer(typing_context: Any, address: Any) -> Any:
    del typing_context, address
    signature = types.voidptr(types.int64)

    def generate(context: Any, builder: ir.IRBuilder, _signature: Any, arguments: Any) -> Any:
        return builder.inttoptr(arguments[0], context.get_value_type(types.voidptr))

    return signature, generate


def window(block: NDArray[np.uint8], start: int, stop: int, dtype: np.dtype[Any]) -> NDArray[Any]:
    """Rows of `dtype` in bytes [start, stop) of `block`, without a copy."""
    return block[start:stop].view(dtype)


@overload(window)
def _window(block: Any, start: Any, stop: Any, dtype: Any) -> Any:
    element = dtype.dtype
    size = element.size if isinstance(element, types.Record) else element.bitwidth // 8

    def implementation(block: Any, start: Any, stop: Any, dtype: Any) -> Any:
        return carray(_as_pointer(block.ctypes.data + start), ((stop - start) // size,), dtype)

    return implementation


def allocate(sections: list[tuple[np.dtype[Any], int]], header_words: int) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """A zeroed block for `sections` of (dtype, rows), and its header of byte offsets.

    Header word 2k is where section k starts, 2k + 1 where it stops. The block starts on a
    64-byte boundary, and so does every section. Header words that sections leave free are the
    caller's.
    """
    if 2 * len(sections) > header_words:
        raise ValueError(f"{len(sections)} sections need {2 * len(sections)} header words, there are {header_words}")
    position = _round_up(8 * header_words)
    bounds: list[int] = []
    for dtype, rows in sections:
        bounds += [position, position + dtype.itemsize * rows]
        position = _round_up(bounds[-1])
    raw = np.zeros(position + ALIGNMENT, dtype=np.uint8)
    shift = -raw.ctypes.data % ALIGNMENT
    block = raw[shift : shift + position]
    header = cast("NDArray[np.int64]", block[: 8 * header_words].view(np.int64))
    header[: len(bounds)] = bounds
    return block, header


def _round_up(position: int) -> int:
    return -(-position // ALIGNMENT) * ALIGNMENT

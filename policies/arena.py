"""One block of memory for a whole state machine, opened as named tables.

A call into compiled code pays per array argument; one byte array with typed windows costs one.
A state is then also copied, saved, compared and hashed as one value. Windows are views:
they own nothing and must not outlive the block.
"""

import operator
from collections.abc import Callable
from typing import Any, TypeVar, cast

import numpy as np
from llvmlite import ir
from numba import carray, from_dtype, types
from numba.core import cgutils
from numba.core.datamodel import models
from numba.core.imputils import lower_builtin, lower_cast, lower_getattr, lower_getattr_generic
from numba.core.typeconv import Conversion
from numba.core.typing.templates import AbstractTemplate, AttributeTemplate, infer_global, signature
from numba.extending import infer_getattr, intrinsic, overload, register_model
from numba.np.arrayobj import getitem_arraynd_intp, populate_array
from numpy.typing import NDArray

from policies.compile import JIT_DISABLED

Tables = TypeVar("Tables")
ALIGNMENT = 64
WORDS_PER_TABLE = 3         # of a header: where a table starts, where it stops, its rows
_WORD = ir.IntType(64)


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


class TableType(types.Type):
    """In compiled code: a table of an open block, which is where its rows are and how many.

    An array carries seven words around, and to compile each access to one takes many times as long.
    A slice of a table is an array, and so is a table where an array is asked for.
    """

    def __init__(self, dtype: Any) -> None:
        self.dtype = dtype
        super().__init__(name=f"Table({dtype})")

    @property
    def mangling_args(self) -> tuple[str, list[Any]]:
        """What goes into the names of functions: short."""
        return "Table", [self.dtype]

    @property
    def as_array(self) -> Any:
        """The type of the array of these rows."""
        return types.Array(self.dtype, 1, "C")

    def can_convert_to(self, _typing_context: Any, other: Any) -> Any:
        """A table is an array of its rows."""
        return Conversion.safe if other == self.as_array else None


@register_model(TableType)
class _TableModel(models.StructModel):
    def __init__(self, manager: Any, kind: TableType) -> None:
        super().__init__(manager, kind, [("data", types.CPointer(kind.dtype)), ("rows", types.intp)])


@infer_getattr
class _TableAttributes(AttributeTemplate):
    key = TableType

    def resolve_size(self, _table: Any) -> Any:
        return types.intp


@lower_getattr(TableType, "size")
def _size_of(_context: Any, builder: ir.IRBuilder, _table: Any, value: Any) -> Any:
    return builder.extract_value(value, 1)


@infer_global(operator.getitem)
class _Get(AbstractTemplate):
    def generic(self, arguments: Any, keywords: Any) -> Any:
        del keywords
        table, place = arguments
        if isinstance(table, TableType) and isinstance(place, types.Integer):
            return signature(table.dtype, table, place)
        if isinstance(table, TableType) and isinstance(place, types.SliceType):
            return signature(table.as_array, table, place)
        return None


@infer_global(operator.setitem)
class _Set(AbstractTemplate):
    def generic(self, arguments: Any, keywords: Any) -> Any:
        del keywords
        table, place, _ = arguments
        if isinstance(table, TableType) and isinstance(place, types.Integer):
            return signature(types.none, table, place, table.dtype)
        return None


def _address(context: Any, builder: ir.IRBuilder, sig: Any, arguments: Any) -> Any:
    place = context.cast(builder, arguments[1], sig.args[1], types.intp)
    if context.enable_boundscheck:
        cgutils.do_boundscheck(context, builder, place, builder.extract_value(arguments[0], 1), 0)
    return builder.gep(builder.extract_value(arguments[0], 0), [place], inbounds=True)


@lower_builtin(operator.getitem, TableType, types.Integer)
def _get(context: Any, builder: ir.IRBuilder, sig: Any, arguments: Any) -> Any:
    return context.unpack_value(builder, sig.args[0].dtype, _address(context, builder, sig, arguments))


@lower_builtin(operator.setitem, TableType, types.Integer, types.Any)
def _set(context: Any, builder: ir.IRBuilder, sig: Any, arguments: Any) -> None:
    table, _, given = sig.args
    value = context.cast(builder, arguments[2], given, table.dtype)
    context.pack_value(builder, table.dtype, value, _address(context, builder, sig, arguments))


@lower_builtin(operator.getitem, TableType, types.SliceType)
def _get_slice(context: Any, builder: ir.IRBuilder, sig: Any, arguments: Any) -> Any:
    table, place = sig.args
    array = _as_array(context, builder, table, table.as_array, arguments[0])
    return getitem_arraynd_intp(context, builder, sig.return_type(table.as_array, place), (array, arguments[1]))


@lower_cast(TableType, types.Array)
def _as_array(context: Any, builder: ir.IRBuilder, table: Any, array_type: Any, value: Any) -> Any:
    del table
    array = context.make_array(array_type)(context, builder)
    size = _WORD(context.get_abi_sizeof(context.get_data_type(array_type.dtype)))
    shape, strides = (cgutils.pack_array(builder, [word]) for word in (builder.extract_value(value, 1), size))
    populate_array(array, data=builder.extract_value(value, 0), shape=shape, strides=strides, itemsize=size, meminfo=None)
    return array._getvalue()


class OpenBlock(types.Type):
    """In compiled code: a block opened as named tables, carried around as one address."""

    def __init__(self, tables: str) -> None:
        super().__init__(name=f"OpenBlock({tables})")


class _OpenBlockModel(models.PrimitiveModel):
    def __init__(self, manager: Any, kind: Any) -> None:
        super().__init__(manager, kind, _WORD)


def handle(block: NDArray[np.uint8]) -> Any:
    """What Python hands to compiled code for a block: its address, as a whole number.

    Unboxing an array costs eight times as much. Whoever holds a handle must hold the block too.
    """
    return block if JIT_DISABLED else int(block.ctypes.data)


def opener(tables: Callable[..., Tables], dtypes: tuple[np.dtype[Any], ...]) -> Callable[[Any], Tables]:
    """The function that opens a block as `tables`, a NamedTuple of one array of each dtype. Views, no copies.

    In plain Python of a block, in compiled code of a block or a handle.
    """
    kind: Any = type(f"Open{tables.__name__}", (OpenBlock,), {})
    open_block = tables_of(kind, tables._fields, dtypes)  # type: ignore[attr-defined]

    def open_tables(block: Any) -> Tables:
        return tables(*tables_in(block, dtypes))

    @overload(open_tables)
    def _open_tables(block: Any) -> Any:
        def implementation(block: Any) -> Any:
            return open_block(block)

        return implementation

    return open_tables


def tables_of(kind: type[OpenBlock], names: tuple[str, ...], dtypes: tuple[np.dtype[Any], ...]) -> Any:
    """Give compiled code `opened.name` for every table; returns the intrinsic that opens a block or a handle.

    Table k has header words 3k to 3k + 2: start, stop, rows. One address in place of two dozen arrays
    keeps calls between compiled functions small, and compiling fast.
    """
    instance = kind(kind.__name__)
    register_model(kind)(_OpenBlockModel)
    places = {name: place for place, name in enumerate(names)}
    table_types = {name: TableType(from_dtype(dtype)) for name, dtype in zip(names, dtypes, strict=True)}

    @infer_getattr
    class _Tables(AttributeTemplate):
        key = kind

        def generic_resolve(self, opened: Any, name: str) -> Any:
            del opened
            return table_types.get(name)

    @lower_getattr_generic(kind)
    def _table(context: Any, builder: ir.IRBuilder, opened: Any, base: Any, name: str) -> Any:
        del opened
        return _table_at(context, builder, base, places[name], table_types[name])

    @intrinsic
    def open_block(typing_context: Any, block: Any) -> Any:
        del typing_context
        signature = instance(block)

        def generate(context: Any, builder: ir.IRBuilder, sig: Any, arguments: Any) -> Any:
            if isinstance(sig.args[0], types.Integer):
                return arguments[0]
            array = context.make_array(sig.args[0])(context, builder, arguments[0])
            return builder.ptrtoint(array.data, _WORD)

        return signature, generate

    return open_block


def _header_word(builder: ir.IRBuilder, header: Any, word: int) -> Any:
    """A word that never changes while compiled code runs, so that LLVM reads it once."""
    loaded = builder.load(builder.gep(header, [_WORD(word)]))
    loaded.set_metadata("invariant.load", builder.module.add_metadata([]))
    return loaded


def _table_at(context: Any, builder: ir.IRBuilder, base: Any, place: int, table: TableType) -> Any:
    """LLVM code for table `place` of the block at address `base`."""
    kind = context.get_value_type(table)
    header = builder.inttoptr(base, _WORD.as_pointer())
    start = _header_word(builder, header, WORDS_PER_TABLE * place)
    rows = _header_word(builder, header, WORDS_PER_TABLE * place + 2)
    data = builder.inttoptr(builder.add(base, start), kind.elements[0])
    return builder.insert_value(builder.insert_value(kind(ir.Undefined), data, 0), rows, 1)


def tables_in(block: NDArray[np.uint8], dtypes: tuple[np.dtype[Any], ...]) -> list[NDArray[Any]]:
    """The tables of a block, in order, as views for Python."""
    header = block[: 8 * WORDS_PER_TABLE * len(dtypes)].view(np.int64)
    return [window(block, header[3 * place], header[3 * place + 1], dtype) for place, dtype in enumerate(dtypes)]


def allocate(sections: list[tuple[np.dtype[Any], int]], header_words: int) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """A zeroed block for `sections` of (dtype, rows), and its header of byte offsets.

    Header words 3k to 3k + 2 are where section k starts and stops, and its rows. The block starts
    on a 64-byte boundary, and so does every section. Header words that sections leave free are
    the caller's.
    """
    needed = WORDS_PER_TABLE * len(sections)
    if needed > header_words:
        raise ValueError(f"{len(sections)} sections need {needed} header words, there are {header_words}")
    position = _round_up(8 * header_words)
    bounds: list[int] = []
    for dtype, rows in sections:
        bounds += [position, position + dtype.itemsize * rows, rows]
        position = _round_up(bounds[-2])
    raw = np.zeros(position + ALIGNMENT, dtype=np.uint8)
    shift = -raw.ctypes.data % ALIGNMENT
    block = raw[shift : shift + position]
    header = cast("NDArray[np.int64]", block[: 8 * header_words].view(np.int64))
    header[: len(bounds)] = bounds
    return block, header


def _round_up(position: int) -> int:
    return -(-position // ALIGNMENT) * ALIGNMENT

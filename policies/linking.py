"""How compiled code is put together: every helper is optimized once, inside the entry points that use it.

Numba by itself optimizes each function together with all that it calls, and emits machine code for it,
before its callers do the same again. With helpers several calls deep that is nine tenths of
the time to compile. Here a helper stays as it was written until an entry point collects all that it needs.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from numba.core import types
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import Compiler
from numba.np import arrayobj


class _WithoutEngine:
    """The code generator as helpers see it: there is no machine code of theirs to tell anything."""

    def __init__(self, codegen: Any) -> None:
        self._codegen = codegen

    def __getattr__(self, name: str) -> Any:
        return getattr(self._codegen, name)

    def set_env(self, _name: str, _env: Any) -> None:
        """Helpers never reach Python, so that nothing reads their environment."""


class _Library(JITCodeLibrary):
    """Of an entry point: collects every helper below it, then optimizes them all at once."""

    def finalize(self) -> None:
        for library in closure_of(self):
            self._reload_init.update(library._reload_init)
            self._final_module.link_in(_own_module_of(library), preserve=True)
        self._optimize_final_module()
        self._final_module.verify()
        self._finalize_final_module()

    def _optimize_final_module(self) -> None:
        passes, builder = self._codegen._module_pass_manager()
        with self._recorded_timings.record("Module passes", builder):
            passes.run(self._final_module, builder)


class _HelperLibrary(_Library):
    """Of a helper: what was written, neither linked nor optimized nor emitted."""

    def __init__(self, codegen: Any, name: str) -> None:
        super().__init__(codegen, name)
        self._linked: Any = None

    @property
    def codegen(self) -> Any:
        return _WithoutEngine(self._codegen)

    def finalize(self) -> None:
        self._finalize_dynamic_globals()
        self._finalized = True

    def own_module(self) -> Any:
        """This helper alone, ready to be linked into several libraries."""
        return super()._get_module_for_linking()

    def _get_module_for_linking(self) -> Any:
        """For libraries that are not ours: this helper with all that it needs."""
        if self._linked is None:
            self._linked = self.own_module().clone()
            for library in closure_of(self):
                self._linked.link_in(_own_module_of(library), preserve=True)
        return self._linked

    def get_pointer_to_function(self, _name: str) -> int:
        self._ensure_finalized()
        return 0


def closure_of(library: Any) -> list[Any]:
    """All libraries that one needs, helpers' own included, each once."""
    found: dict[Any, None] = {}
    waiting = list(library._linking_libraries)
    while waiting:
        needed = waiting.pop()
        if needed not in found:
            found[needed] = None
            if isinstance(needed, _HelperLibrary):
                waiting.extend(needed._linking_libraries)
    return list(found)


def _own_module_of(library: Any) -> Any:
    return library.own_module() if isinstance(library, _HelperLibrary) else library._get_module_for_linking()


def _plain_index(context: Any, builder: Any, index_type: Any, index: Any, _size: Any) -> Any:
    return context.cast(builder, index, index_type, types.intp)


@contextmanager
def _rows_from_zero() -> Iterator[None]:
    """In our own code no index is negative: that no table is read from its end is a sixth fewer instructions.

    NUMBA_BOUNDSCHECK still finds an index that is.
    """
    usual = arrayobj.fix_integer_index
    arrayobj.fix_integer_index = _plain_index
    try:
        yield
    finally:
        arrayobj.fix_integer_index = usual


class _Into(Compiler):
    """Numba's own pipeline, into a library of the given kind."""

    library_class: type[_Library]

    def compile_extra(self, func: Callable[..., Any]) -> Any:
        """Let the function's code go into a library of this kind."""
        if self.state.library is None:
            codegen = self.state.targetctx.codegen()
            self.state.library = self.library_class(codegen, func.__qualname__)
            self.state.library.enable_object_caching()
        with _rows_from_zero():
            return super().compile_extra(func)


class EntryCompiler(_Into):
    """Compiles what Python calls."""

    library_class = _Library


class HelperCompiler(_Into):
    """Compiles what only compiled code calls."""

    library_class = _HelperLibrary

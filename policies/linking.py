"""How compiled code is put together: every helper is optimized once, inside the entry points that use it.

Numba by itself optimizes each function together with all that it calls, and emits machine code for it,
before its callers do the same again. With helpers several calls deep that is nine tenths of
the time to compile. Here a helper stays as it was written until an entry point collects all that it needs.
"""

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

from numba.core import sigutils, types
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import CompilerBase, Flags
from numba.core.compiler_machinery import PassManager
from numba.core.typed_passes import (
    IRLegalization,
    NativeLowering,
    NoPythonBackend,
    NopythonTypeInference,
    PreLowerStripPhis,
)
from numba.core.untyped_passes import (
    DeadBranchPrune,
    FixupArgs,
    GenericRewrites,
    IRProcessing,
    ReconstructSSA,
    RewriteSemanticConstants,
    TranslateByteCode,
)
from numba.np import arrayobj, linalg


def _load_numba_without_blas() -> None:
    """Numba looks for SciPy's linear algebra while it is loaded, and whoever uses that looks again. Our code does not."""
    look = linalg.ensure_blas
    linalg.ensure_blas = lambda: None
    try:
        import numba.np.arraymath  # noqa: F401, PLC0415  (for what it registers)
    finally:
        linalg.ensure_blas = look


_load_numba_without_blas()


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
        own = _defined(self._final_module)
        for library in closure_of(self):
            self._reload_init.update(library._reload_init)
            self._final_module.link_in(_own_module_of(library), preserve=True)
        # Nobody else calls the helpers: what they are never given, or never answer, falls away.
        for name in _defined(self._final_module) - own:
            self._final_module.get_function(name).linkage = "internal"
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


def _defined(module: Any) -> set[str]:
    return {function.name for function in module.functions if not function.is_declaration}


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


# Numba's own, less what our code has no use for: closures, `with`, array expressions, literals as types.
_PASSES = (
    TranslateByteCode, FixupArgs, IRProcessing, RewriteSemanticConstants, DeadBranchPrune, GenericRewrites, ReconstructSSA,
    NopythonTypeInference, PreLowerStripPhis, IRLegalization, NativeLowering, NoPythonBackend,
)  # fmt: skip


@contextmanager
def _no_collection() -> Iterator[None]:
    """To compile makes millions of objects that stay: to look through them again and again is a fifth of the time."""
    is_outermost = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if is_outermost:
            gc.enable()


class _SteadyFlags(Flags):
    """Flags that do not change any more. Numba compares them at every operator, by all their values."""

    __slots__ = ("_hash",)
    _known: ClassVar[list["_SteadyFlags"]] = []

    @classmethod
    def of(cls, flags: Flags) -> "_SteadyFlags":
        """The same object for the same values."""
        for known in cls._known:
            if Flags.__eq__(known, flags):
                return known
        cls._known.append(cls(flags))
        return cls._known[-1]

    def __init__(self, flags: Flags) -> None:
        super().__init__(flags)
        self._hash = int(super().__hash__())

    def copy(self) -> "_SteadyFlags":
        return self

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        return self is other or bool(super().__eq__(other))


class _Into(CompilerBase):
    """Compiles into a library of the given kind."""

    library_class: type[_Library]

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.state.flags = _SteadyFlags.of(self.state.flags)

    def define_pipelines(self) -> list[PassManager]:
        """The one way from source to LLVM."""
        manager = PassManager("forge1sim")
        for each in _PASSES:
            manager.add_pass(each, each.__name__)
        manager.finalize()
        return [manager]

    def compile_extra(self, func: Callable[..., Any]) -> Any:
        """Let the function's code go into a library of this kind."""
        if self.state.library is None:
            codegen = self.state.targetctx.codegen()
            self.state.library = self.library_class(codegen, func.__qualname__)
            self.state.library.enable_object_caching()
        with _rows_from_zero(), _no_collection():
            return super().compile_extra(func)


class EntryCompiler(_Into):
    """Compiles what Python calls."""

    library_class = _Library


class HelperCompiler(_Into):
    """Compiles what only compiled code calls."""

    library_class = _HelperLibrary


def _keep_apart(library: Any, name: str) -> None:
    for attribute in ("cold", "noinline"):
        library._final_module.get_function(name).add_function_attribute(attribute)


def compile_helper(dispatcher: Any, sig: Any) -> Any:
    """What a dispatcher does to compile, without a cache and without listeners, of whom there is one more at each depth."""
    arguments = tuple(sigutils.normalize_signature(sig)[0])
    if arguments not in dispatcher.overloads:
        compiled = dispatcher._compiler.compile(arguments, None)
        if getattr(dispatcher, "is_rare", False):
            _keep_apart(compiled.library, compiled.fndesc.llvm_func_name)
        dispatcher.add_overload(compiled)
    return dispatcher.overloads[arguments].entry_point

"""Numba's cache of compiled code, in a folder of ours: read where it can be read, written where it can be written.

By itself Numba writes a file to try each folder, and goes to another one, or nowhere, if it cannot.
"""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

from numba.core.caching import CompileResultCacheImpl, FunctionCache, UserProvidedCacheLocator


class _Place(UserProvidedCacheLocator):
    """Where the code of one source file is kept."""

    folder: Any = None

    def __init__(self, function: Callable[..., Any], file: str) -> None:
        super().__init__(function, file)
        self._cache_path = str(self.folder / self.get_suitable_cache_subpath(file))

    @classmethod
    def from_function(cls, function: Callable[..., Any], file: str) -> "_Place":
        """What Numba calls to try a place: there is but one."""
        return cls(function, file)

    def ensure_cache_path(self) -> None:
        """What Numba calls before it writes."""
        (self.folder / self.get_suitable_cache_subpath(self._py_file)).mkdir(parents=True, exist_ok=True)


class _Code(CompileResultCacheImpl):
    _locator_classes = (_Place,)


class _Cache(FunctionCache):
    _impl_class = _Code

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """Code that was kept, or None."""
        with suppress(OSError):
            return super().load_overload(sig, target_context)
        return None

    def save_overload(self, sig: Any, data: Any) -> None:
        """Keep compiled code; what cannot be kept is compiled again."""
        with suppress(OSError):
            super().save_overload(sig, data)


def cache_in(folder: Any, function: Callable[..., Any]) -> Any:
    """The cache of a function in `folder`, a path that is the same in all of a process."""
    _Place.folder = folder
    return _Cache(function)

"""The plain Python behind compiled functions, all the way down.

`compiled.py_func` alone is not enough: it still calls compiled helpers, and those made by
`inlined` must not be called from Python at all.
"""

from collections.abc import Callable
from types import FunctionType, ModuleType
from typing import Any

Globals = dict[str, Any]


class _PlainModule:
    """A module of ours in which every compiled function is plain Python."""

    def __init__(self, names: Globals) -> None:
        self.__dict__ = names


def plain(function: Callable[..., Any]) -> Callable[..., Any]:
    """The Python function that `function` was compiled from, calling plain Python only.

    What is not compiled is returned as it is.
    """
    made: dict[int, Globals] = {}
    result: Callable[..., Any] = _plain_value(function, made)
    return result


def _plain_value(value: Any, made: dict[int, Globals]) -> Any:
    if isinstance(value, ModuleType) and value.__name__.partition(".")[0] == "policies":
        return _PlainModule(_plain_globals(vars(value), made))
    source = getattr(value, "py_func", None)
    if not isinstance(source, FunctionType):
        return value
    return FunctionType(
        source.__code__, _plain_globals(source.__globals__, made), source.__name__, source.__defaults__, source.__closure__
    )


def _plain_globals(names: Globals, made: dict[int, Globals]) -> Globals:
    """A copy of a module's names with every compiled function replaced; made once, for modules that meet again."""
    if id(names) not in made:
        copy = made[id(names)] = dict(names)
        copy.update({name: _plain_value(value, made) for name, value in names.items()})
    return made[id(names)]

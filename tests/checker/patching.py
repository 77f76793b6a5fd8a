"""Replace a function of `policies` wherever it is bound. Plain Python only: NUMBA_DISABLE_JIT=1."""

import importlib
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from policies.compile import JIT_DISABLED

_PACKAGES = ("policies", "forge1sim.drivers", "forge1sim.providers", "running", "live_adapter.driver", "tests.live_adapter.fed")


@contextmanager
def replaced(module_name: str, name: str, make: Callable[[Any], Any]) -> Iterator[None]:
    """Inside the block `make(original)` stands for the function in every module that has imported it."""
    assert JIT_DISABLED, "compiled functions have taken each other in: run with NUMBA_DISABLE_JIT=1"
    original = getattr(importlib.import_module(module_name), name)
    substitute = make(original)
    bound = [
        (module, key)
        for module_key, module in list(sys.modules.items())
        if module_key.startswith(_PACKAGES) and module is not None
        for key, value in list(vars(module).items())
        if value is original
    ]
    try:
        for module, key in bound:
            setattr(module, key, substitute)
        yield
    finally:
        for module, key in bound:
            setattr(module, key, original)

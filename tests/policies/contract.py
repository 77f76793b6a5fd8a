"""The contract that shipped policies hold as a user's must: every check of it, on one policy."""

from typing import Any

from policies import conformance
from policies.compile import JIT_DISABLED
from policies.plain import plain


def check_contract(kind: str, policy: Any, file: str) -> None:
    """Raises `conformance.Broken` for the first check that fails; compiled code is checked where there is any."""
    python = plain(policy)
    conformance.check_answers(kind, python, file)
    conformance.check_pure(kind, python, file)
    conformance.check_deterministic(kind, python, file)
    if not JIT_DISABLED:
        conformance.check_same_compiled(kind, python, policy, file)

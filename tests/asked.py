"""Questions of a run to a pool, asked until they are answered."""

import time
from typing import Any

from forge1sim.runs import Answer, RunPool


def until_answered(pool: RunPool, run_id: str, question: str, **arguments: Any) -> tuple[Answer, list[dict[str, Any]]]:
    """The answer, and what was seen of its progress."""
    seen, until_s = [], time.monotonic() + 300
    while not (answer := pool.ask(run_id, question, **arguments)).status.is_over:
        seen += [answer.progress] if answer.progress else []
        assert time.monotonic() < until_s
        time.sleep(0.02)
    return answer, seen

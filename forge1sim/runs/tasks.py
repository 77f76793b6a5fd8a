"""What a worker does with a scenario: run it, or answer a question for which it has to be run again.

A question's answer is a value for JSON, kept in the run's folder.
"""

from collections.abc import Callable
from typing import Any

from forge1sim.life import life_of
from forge1sim.notable import notable_requests
from forge1sim.run import explain
from forge1sim.scenario.load import LoadedScenario


def _life(loaded: LoadedScenario, driver: str, seed: int, *, request: int) -> list[str]:
    """The life of one request in sentences."""
    return explain(loaded, driver, seed, request)


QUESTIONS: dict[str, Callable[..., Any]] = {"explain": _life, "life": life_of, "notable": notable_requests}

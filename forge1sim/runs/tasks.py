"""Questions about a run for which it has to be run again, by name.

Each takes the scenario, driver and seed, and arguments of its own. An answer is a value for JSON, kept in the run's folder.
"""

from collections.abc import Callable
from typing import Any

from forge1sim.life import life_of
from forge1sim.notable import notable_requests

QUESTIONS: dict[str, Callable[..., Any]] = {"life": life_of, "notable": notable_requests}

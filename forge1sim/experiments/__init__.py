"""Answers with error bars: replications, comparisons, sweeps, searches.

What is meant for notebooks is named here. Heavy imports stand inside functions, so that a command that needs one part
does not pay for the others.
"""

from forge1sim.ask import Ask
from forge1sim.experiments.replications import (
    Best,
    Compared,
    Difference,
    Replications,
    compare,
    replications,
    select_best,
)
from forge1sim.experiments.steady_state import SteadyState, steady_state
from forge1sim.experiments.sweeps import Sweep, sweep
from forge1sim.experiments.tuning.tune import Tuning, tune
from forge1sim.statistics import Interval, Precision

__all__ = [
    "Ask", "Best", "Compared", "Difference", "Interval", "Precision", "Replications", "SteadyState", "Sweep", "Tuning", "compare",
    "replications", "select_best", "steady_state", "sweep", "tune",
]  # fmt: skip

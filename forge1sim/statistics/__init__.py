"""Pure numbers about replications: intervals, corrections, warm-up, when to stop, which is best. Knows nothing of scenarios.

Where an interval cannot be trusted it has no bounds (NaN) and says why.
"""

from forge1sim.statistics.corrections import CORRECTIONS, adjusted
from forge1sim.statistics.interval import CONFIDENCE, Floats, Interval
from forge1sim.statistics.means import mean_interval, paired_interval, paired_p_value
from forge1sim.statistics.quantiles import (
    fewest_events,
    mean_of_quantiles,
    pooled_quantile,
    quantile_interval,
)
from forge1sim.statistics.ratios import ratio_interval
from forge1sim.statistics.selection import Selection, select
from forge1sim.statistics.stopping import Precision, Watch
from forge1sim.statistics.warm_up import WarmUp, batch_means_interval, deletion_interval, mser5

__all__ = [
    "CONFIDENCE", "CORRECTIONS", "Floats", "Interval", "Precision", "Selection", "WarmUp", "Watch", "adjusted",
    "batch_means_interval", "deletion_interval", "fewest_events", "mean_interval", "mean_of_quantiles", "mser5",
    "paired_interval", "paired_p_value", "pooled_quantile", "quantile_interval", "ratio_interval", "select",
]  # fmt: skip

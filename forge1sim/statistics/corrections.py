"""Many questions at once: of twenty true "no difference" one is called a difference at 95 %. The correction is statsmodels'."""

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from forge1sim.errors import ExperimentError
from forge1sim.statistics.interval import Floats

Correction = Literal["holm", "bonferroni", "none"]
CORRECTIONS = ("holm", "bonferroni", "none")


def adjusted(p_values: ArrayLike, correction: Correction = "holm") -> Floats:
    """Adjusted p-values, shape (n,): reject below 1 - confidence, and any false rejection at all is that unlikely.

    NaN stays NaN and counts as no question. Raises ExperimentError for p-values outside [0, 1].
    """
    if correction not in CORRECTIONS:
        raise ExperimentError(f"correction is {correction!r}, must be one of {', '.join(CORRECTIONS)}")
    found = np.array(p_values, dtype=np.float64)
    asked = ~np.isnan(found)
    if ((found[asked] < 0) | (found[asked] > 1)).any():
        raise ExperimentError(f"p-values are {found.tolist()}, must be between 0 and 1")
    if correction != "none" and asked.any():
        from statsmodels.stats.multitest import multipletests  # noqa: PLC0415

        found[asked] = multipletests(found[asked], method=correction)[1]
    return found

"""The tool's own intervals, at its own stop and through the real simulator, hold the truth as often as they say.

400 experiments over seven cases. A coverage of 92.5 % or more is rejected, and the test fails, where so few hits have less
than one chance in a hundred. `python -m benchmarks --only coverage_p99` makes 2,000 of each case for a release.
"""

import numpy as np
from joblib import Parallel, delayed
from scipy import stats

from benchmarks.coverage import CASES, FIGURES, FULL, Full, hits, outcomes

EXPERIMENTS = dict(zip([case.name for case in CASES], (95, 60, 30, 95, 60, 30, 30), strict=True))
PER_CASE_CHANCE = 1e-4
"""That of a case alone is a check for gross errors: there are 21 of them."""


def test_intervals_at_their_own_stop_hold_the_truth():
    dearest_first = CASES[::-1]
    work = (delayed(hits)(case, range(EXPERIMENTS[case.name]), case.known_truth()) for case in dearest_first)
    found = dict(zip([case.name for case in dearest_first], Parallel(n_jobs=2)(work), strict=True))
    total = sum(EXPERIMENTS.values())
    assert total == 400
    told = {name: {figure: f"{hit} of {EXPERIMENTS[name]}" for figure, hit in one.items()} for name, one in found.items()}
    for figure in FIGURES:
        together = sum(one[figure] for one in found.values())
        assert stats.binomtest(together, total, 0.925, "less").pvalue >= 0.01, f"{figure}: {together} of {total}: {told}"
        for name, one in found.items():
            assert stats.binomtest(one[figure], EXPERIMENTS[name], 0.925, "less").pvalue >= PER_CASE_CHANCE, f"{name}: {told}"


def test_the_known_truth_of_the_full_scenario_is_still_true():
    """40 replications that neither the truth nor an experiment has seen."""
    truth = Full().known_truth()
    for figure, values in outcomes(FULL, 2_000_000_000, 40).items():
        assert abs(values.mean() - truth[figure]) < 4.5 * values.std(ddof=1) / np.sqrt(len(values)), figure

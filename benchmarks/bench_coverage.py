"""Coverage of the tool's own 95 % intervals at its own stop, 2,000 experiments in each of seven cases; two hours on two cores.

The least over the cases, each of mean, p95 and p99 of the wait. Required: 93 to 97 % in every case (docs/replications.md). Run by
itself, `python -m benchmarks.bench_coverage 200` makes 200 experiments in each case and prints every case.
"""

import sys

from benchmarks.coverage import CASES, FIGURES, Case, Truth, hits

RESULTS = ("coverage_mean", "coverage_p95", "coverage_p99")
EXPERIMENTS = 2_000
_AT_ONCE = 20


def coverage(case: Case, experiments: int) -> dict[str, float]:
    """Share of experiments whose interval holds the truth, by figure."""
    from joblib import Parallel, delayed

    truth: Truth = case.truth()
    parts = [range(start, min(start + _AT_ONCE, experiments)) for start in range(0, experiments, _AT_ONCE)]
    found = Parallel(n_jobs=-1)(delayed(hits)(case, part, truth) for part in parts)
    return {figure: sum(one[figure] for one in found) / experiments for figure in FIGURES}


def run(experiments: int = EXPERIMENTS) -> dict[str, float]:
    """The smallest coverage over the cases; every case is printed."""
    by_case = []
    for case in CASES:
        by_case.append(coverage(case, experiments))
        shown = ", ".join(f"{figure} {share:.2%}" for figure, share in by_case[-1].items())
        print(f"{case.name}: {shown} of {experiments:,}", flush=True)
    return {f"coverage_{figure}": min(one[figure] for one in by_case) for figure in FIGURES}


if __name__ == "__main__":
    print(run(*(int(number) for number in sys.argv[1:])))

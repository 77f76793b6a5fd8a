"""Coverage of the tool's own 95 % intervals at its own stop, 2,000 experiments in each of seven cases; two hours on two cores.

The least over the cases, each of mean, p95 and p99 of the wait. Required: 93 to 97 % in every case (docs/replications.md). Run by
itself, `python -m benchmarks.bench_coverage 200` makes 200 experiments in each case and prints every case. Ended midway, it goes on
where it was when it is called again, as long as nothing changed that its results rest on.
"""

import sys

from benchmarks.coverage import CASES, FIGURES, Case, Truth, hits
from benchmarks.journal import Journal

RESULTS = ("coverage_mean", "coverage_p95", "coverage_p99")
EXPERIMENTS = 2_000
_AT_ONCE = 20
_DEPENDS_ON = (
    "policies", "forge1sim/drivers", "forge1sim/metrics", "forge1sim/providers", "forge1sim/statistics", "forge1sim/theory",
    "forge1sim/workload", "forge1sim/run.py", "forge1sim/experiments/outcome.py", "forge1sim/experiments/replications.py",
    "forge1sim/experiments/steady_state.py", "benchmarks/coverage.py", "tests/experiments/full.yaml", "scenarios/theory/mmc.yaml",
    "scenarios/theory/md1.yaml",
)  # fmt: skip


def coverage(case: Case, experiments: int, journal: Journal) -> dict[str, float]:
    """Share of experiments whose interval holds the truth, by figure. What the journal has is not made again."""
    from joblib import Parallel, delayed

    if (known := journal.done.get(f"{case.name}: truth")) is None:
        known = case.truth()
        journal.keep(f"{case.name}: truth", dict(known))
    truth: Truth = known
    parts = {f"{case.name}: {start}": range(start, min(start + _AT_ONCE, experiments)) for start in range(0, experiments, _AT_ONCE)}
    missing = [name for name, part in parts.items() if journal.done.get(name, {}).get("count") != len(part)]
    made = Parallel(n_jobs=-1, return_as="generator")(delayed(hits)(case, parts[name], truth) for name in missing)
    for name, found in zip(missing, made, strict=True):
        journal.keep(name, {**found, "count": len(parts[name])})
    return {figure: sum(journal.done[name][figure] for name in parts) / experiments for figure in FIGURES}


def run(experiments: int = EXPERIMENTS) -> dict[str, float]:
    """The smallest coverage over the cases; every case is printed."""
    by_case, journal = [], Journal("coverage", _DEPENDS_ON)
    for case in CASES:
        by_case.append(coverage(case, experiments, journal))
        shown = ", ".join(f"{figure} {share:.2%}" for figure, share in by_case[-1].items())
        print(f"{case.name}: {shown} of {experiments:,}", flush=True)
    return {f"coverage_{figure}": min(one[figure] for one in by_case) for figure in FIGURES}


if __name__ == "__main__":
    print(run(*(int(number) for number in sys.argv[1:])))

"""The fluid program of a plan at the size of a platform: a day, and a week by representative blocks, solved to 1%.

Three tiers, twelve models, twelve kinds of account with usage tiers, limits by request, token, day and month, reservations, and
enterprise served though an account is lost; 24 blocks, ten demand scenarios. HiGHS called directly gets the same matrix whole.
CPU time of this process; `python -m benchmarks.bench_lp` prints the details alone.
"""

import highspy
import numpy as np

from benchmarks.common import cpu_s
from benchmarks.planned import day, week
from forge1sim.planning.fluid import Proposal, propose
from forge1sim.planning.fluid.program import build
from forge1sim.planning.problem import Problem
from forge1sim.solvers import let_highs_greet

RESULTS = ("lp_seconds", "lp_week_seconds", "lp_build_seconds", "lp_over_direct_highs")
GAP = 0.01
DIRECT_LIMIT_S = 900.0          # of wall time; a direct solve that is cut off counts as if it had ended there


def run() -> dict[str, float]:
    """Build and solve the day and the week; the day, by HiGHS directly, too."""
    of_day, day_s = cpu_s(lambda: propose(day(), gap=GAP))
    _print("day", of_day, day_s)
    of_week, week_s = cpu_s(lambda: propose(week(), gap=GAP))
    _print("week", of_week, week_s)
    _, build_s = cpu_s(lambda: build(day()))
    return {"lp_seconds": day_s, "lp_week_seconds": week_s, "lp_build_seconds": build_s, "lp_over_direct_highs": day_s / _direct_s(day())}


def _direct_s(problem: Problem) -> float:
    """CPU seconds of HiGHS on the whole matrix, without building it."""
    table = build(problem).table
    lp, matrix = highspy.HighsLp(), table.matrix()
    lp.num_col_, lp.num_row_ = table.column_count, table.row_count
    lp.col_cost_, lp.col_lower_, lp.col_upper_ = table.cost, table.low, table.high
    lp.row_lower_, lp.row_upper_ = np.full(table.row_count, -np.inf), table.most
    kinds = highspy.HighsVarType
    lp.integrality_ = [kinds.kInteger if whole else kinds.kContinuous for whole in table.whole]
    lp.a_matrix_.format_ = highspy.MatrixFormat.kRowwise
    lp.a_matrix_.start_, lp.a_matrix_.index_ = matrix.indptr.astype(np.int32), matrix.indices.astype(np.int32)
    lp.a_matrix_.value_ = matrix.data
    let_highs_greet()
    model = highspy.Highs()  # type: ignore[no-untyped-call]
    for option, value in (("output_flag", False), ("threads", 1), ("mip_rel_gap", GAP), ("time_limit", DIRECT_LIMIT_S)):
        model.setOptionValue(option, value)
    model.passModel(lp)
    _, seconds = cpu_s(model.run)
    info = model.getInfo()
    print(f"HiGHS directly: {table.row_count} rows, {table.column_count} columns, {matrix.nnz} entries: {seconds:.1f} s, "
          f"{model.modelStatusToString(model.getModelStatus())}, gap {info.mip_gap:.2%}", flush=True)  # fmt: skip
    return seconds


def _print(name: str, proposal: Proposal, seconds: float) -> None:
    accounts = sum(proposal.counts.of_kind(kind) for kind in range(len(proposal.counts.accounts)))
    print(f"{name}: {seconds:.1f} s, {accounts} accounts, USD {proposal.usd_per_month:,.0f} a month (fees {proposal.fixed_usd:,.0f}), "
          f"gap {proposal.solver_gap:.2%}, {'proven' if proposal.proven else 'not proven'}", flush=True)  # fmt: skip


if __name__ == "__main__":
    for name, value in run().items():
        print(f"{name} = {value:.3f}")

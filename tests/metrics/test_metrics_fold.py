"""Laws of the fold: cuts change nothing, nothing is lost, and small cases come out as by hand."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forge1sim.errors import RunError
from forge1sim.metrics import Metrics, MetricsStatic
from forge1sim.metrics import columns as c
from forge1sim.metrics.summary import littles_law, summarise
from policies import log
from tests.metrics.make_log import START_US, cut, make_log, make_static

ROWS = make_log(make_static(), requests=1500, places=1)
ROWS_OPEN = make_log(make_static(), requests=1500, places=1, drain=False)


def folded(rows, static: MetricsStatic | None = None, end_us: int | None = None) -> Metrics:
    metrics = Metrics(static or make_static())
    metrics.fold(rows)
    metrics.close(end_us)
    return metrics


def row(
    kind: int, at_us: int, request: int = 0, *, code=0, attempt=0, deployment=-1, tenant=0, limit=-1, v=()
) -> tuple:
    return (START_US + at_us, request, kind, code, attempt, deployment, tenant, limit, *(*v, 0, 0, 0, 0, 0)[:5])


def rows_of(*rows: tuple) -> np.ndarray:
    return np.array(list(rows), log.ROW)


@settings(deadline=None, max_examples=25)
@given(st.lists(st.integers(0, ROWS.size), max_size=12), st.booleans())
def test_any_cut_of_the_log_gives_the_same_state(places, look_between):
    whole, parts = folded(ROWS), Metrics(make_static())
    for chunk in cut(ROWS, places):
        parts.fold(chunk)
        if look_between:
            parts.close()
            summarise(parts)
    parts.close()
    assert np.array_equal(whole.state.block, parts.state.block)


@pytest.mark.parametrize("rows", [ROWS, ROWS_OPEN], ids=["drained", "still open"])
def test_every_request_is_counted_once_and_marginals_agree(rows):
    metrics = folded(rows)
    state = metrics.state
    counts = summarise(metrics)["requests"]
    assert counts["arrived"] == np.count_nonzero(rows["kind"] == log.ARRIVE)
    assert counts["arrived"] == sum(
        counts[name] for name in ("served", "rejected", "expired", "cancelled", "in_system")
    )
    served = counts["served"]
    assert served == state.flow[:, :, c.F_SERVED].sum() == state.tier_intervals[:, :, c.T_SERVED].sum()
    assert served == state.wanted[:, c.W_SERVED].sum() == state.hour_models[..., c.H_SERVED].sum()
    assert served == state.tier_histograms[:, : c.LATENCY_BINS].sum() == state.tenant_detail[:, c.TENANT_WAIT :].sum()
    attempts = np.count_nonzero(rows["kind"] == log.DISPATCH)
    assert attempts == state.tenant[:, c.ATTEMPTS].sum() == state.deployment_intervals[:, :, c.D_ATTEMPTS].sum()
    assert (
        attempts == state.group_intervals[:, :6, c.REQUESTS].sum()
    )  # the first six groups are one for each deployment
    refused = np.count_nonzero(rows["kind"] == log.REFUSED)
    assert (
        refused
        == state.tenant[:, c.REFUSALS].sum()
        == state.deployment[:, c.DEPLOYMENT_REFUSAL :].sum()
    )


def test_money_is_exact_and_the_same_in_every_marginal():
    billed = {log.COMPLETE: "v2", log.REFUSED: "v2"}
    expected = sum(int(ROWS[name][ROWS["kind"] == kind].sum()) for kind, name in billed.items())
    in_flight = (ROWS["kind"] == log.CANCEL) & (ROWS["v0"] == 1)
    expected += 5000 * int(np.count_nonzero(in_flight))  # the toy bills 5000 nano-USD for an attempt cut short
    metrics = folded(ROWS)
    state = metrics.state
    assert expected == state.tenant[:, c.COST].sum() == state.flow[:, :, c.F_COST].sum()
    assert expected == state.tier_intervals[:, :, c.T_COST].sum() == state.deployment_intervals[:, :, c.D_COST].sum()
    assert summarise(metrics)["cost_nano_usd"] == expected


@pytest.mark.parametrize("rows", [ROWS, ROWS_OPEN], ids=["drained", "still open"])
def test_littles_law_holds_to_the_microsecond(rows):
    law = littles_law(folded(rows))
    assert law["equal"]
    assert law["in_system_integral_us"] == law["time_spent_us"] > 0


def test_levels_are_those_of_a_plain_count():
    metrics = folded(ROWS)
    change = np.where(
        ROWS["kind"] == log.ARRIVE,
        1,
        np.where(np.isin(ROWS["kind"], (log.COMPLETE, log.REJECT, log.EXPIRE, log.CANCEL)), -1, 0),
    )
    level = np.cumsum(change)
    assert metrics.state.block[c.OPEN_MAX] == level.max()
    integral = int((level[:-1] * np.diff(ROWS["time_us"])).sum())
    assert metrics.state.tier_intervals[:, :, c.T_SYSTEM_US].sum() == integral
    flight = np.where(
        ROWS["kind"] == log.DISPATCH, 1, np.where(np.isin(ROWS["kind"], (log.COMPLETE, log.REFUSED)), -1, 0)
    )
    flight -= (ROWS["kind"] == log.CANCEL) & (ROWS["v0"] == 1)
    busy = int((np.cumsum(flight)[:-1] * np.diff(ROWS["time_us"])).sum())
    assert metrics.state.deployment_intervals[:, :, c.D_BUSY_US].sum() == busy


def test_one_request_by_hand():
    """Waits 3 s, is refused once, and is answered by another model of another account after 10 s."""
    metrics = folded(rows_of(
        row(log.ARRIVE, 0, limit=0, v=(100, 500, 2**62, 0, 300)),
        row(log.QUEUE, 0, code=log.NO_CAPACITY, v=(0, 1)),
        row(log.DISPATCH, 3_000_000, code=1, attempt=1, deployment=0, v=(9, 600, 3_000_000)),
        row(log.REFUSED, 4_000_000, code=log.THROTTLE, attempt=1, deployment=0, v=(0, 0, 7, 0, 1_000_000)),
        row(log.BACKOFF, 4_000_000, code=log.RETRYING, attempt=1, v=(5_000_000,)),
        row(log.DISPATCH, 5_000_000, attempt=2, deployment=3, v=(9, 600, 3_000_000)),
        row(log.COMPLETE, 10_000_000, attempt=2, deployment=3, limit=0,
            v=(100 | 40 << 32, 80, 1000, 10_000_000, 3_000_000 | 900 << 48)),
    ))  # fmt: skip
    summary = summarise(metrics)
    tier = summary["tiers"]["enterprise"]  # its target is 0.5 s
    assert (tier["queued"], tier["attempts"], tier["retries"], tier["refusals"], tier["rate_limited"]) == (
        1,
        2,
        1,
        1,
        1,
    )
    assert (tier["other_model"], tier["other_deployment"], tier["on_time"]) == (1, 1, 0)
    assert (tier["input_tokens"], tier["cached_tokens"], tier["output_tokens"]) == (100, 40, 80)
    assert tier["cost_nano_usd"] == 1007
    assert tier["wait_p50_s"] == pytest.approx(3.0, rel=0.02)
    assert tier["latency_p99_s"] == pytest.approx(10.0, rel=0.02)
    assert tier["satisfaction"] == pytest.approx(100 * (0.166 + 0.9) / 2)
    assert summary["refusals"] == {"throttle": 1}
    state = metrics.state
    assert state.tier_intervals[:, 0, c.T_WAITING_US].sum() == 3_000_000
    assert state.deployment_intervals[:, 0, c.D_BUSY_US].sum() == 1_000_000
    assert state.deployment_intervals[:, 3, c.D_BUSY_US].sum() == 5_000_000
    assert state.deployment_intervals[0, 0, c.D_BUSY_US] == 1_000_000  # intervals last 5 s
    assert state.deployment_intervals[1, 3, c.D_BUSY_US] == 5_000_000


@pytest.mark.parametrize(("kind", "code"), [(log.CANCEL, log.CLIENT_GONE), (log.REJECT, log.PREEMPTED)])
def test_an_attempt_cut_short_is_billed_once_on_top_of_refused_ones(kind, code):
    metrics = folded(rows_of(
        row(log.ARRIVE, 0),
        row(log.DISPATCH, 0, attempt=1, deployment=0, v=(9, 600)),
        row(log.REFUSED, 1, code=log.TIMEOUT, attempt=1, deployment=0, v=(0, 0, 7, 0, 1)),
        row(log.DISPATCH, 1, attempt=2, deployment=2, v=(9, 600)),
        row(kind, 5, code=code, attempt=2, deployment=2, v=(1, 5, 7 + 11, 0, 11)),
    ))  # fmt: skip
    state = metrics.state
    assert summarise(metrics)["cost_nano_usd"] == 18
    assert state.flow[0, :, c.F_COST].tolist() == [7, 0, 11, 0, 0, 0]
    assert state.flow[0, :, c.F_UNANSWERED_COST].tolist() == [7, 0, 11, 0, 0, 0]
    assert state.deployment[:, c.FLIGHT_NOW].tolist() == [0] * 6


def test_a_cancel_while_waiting_bills_nothing_again():
    metrics = folded(rows_of(
        row(log.ARRIVE, 0),
        row(log.DISPATCH, 0, attempt=1, deployment=0, v=(9, 600)),
        row(log.REFUSED, 1, code=log.TIMEOUT, attempt=1, deployment=0, v=(0, 0, 7, 0, 1)),
        row(log.QUEUE, 2, code=log.COOLING, attempt=1),
        row(log.CANCEL, 5, code=log.CLIENT_GONE, attempt=1, v=(-1, 5, 7, 0, 0)),
    ))  # fmt: skip
    assert summarise(metrics)["cost_nano_usd"] == 7
    assert metrics.state.tier[0, c.WAITING_NOW] == 0


def test_busiest_minute_is_kept_inside_longer_intervals():
    static = make_static(horizon_s=7 * 24 * 3600)
    assert static.interval_us == 600_000_000
    rows = []
    for request in range(30):  # 20 in the third minute, 10 in the fourth
        at_us = 130_000_000 if request < 20 else 190_000_000
        rows.append(row(log.ARRIVE, at_us, request))
        rows.append(row(log.DISPATCH, at_us, request, attempt=1, deployment=0, v=(0, 50)))
    metrics = folded(rows_of(*rows), static)
    group = metrics.state.group_intervals[0, 0]
    assert (group[c.REQUESTS], group[c.PEAK + c.REQUESTS], group[c.PEAK + c.TOKENS]) == (30, 20, 1000)
    assert group[c.PEAK + c.IN_FLIGHT] == 30


def test_limits_on_what_is_used_are_compared_with_what_was_used():
    """Reserved were 50 tokens, 10 of them output at most (40 input, 15 cached); 4 came out. In the next minute."""
    metrics = folded(rows_of(
        row(log.ARRIVE, 0, v=(40, 10)),
        row(log.DISPATCH, 0, attempt=1, deployment=0, v=(9, 50)),
        row(log.COMPLETE, 61_000_000, attempt=1, deployment=0, v=(40 | 15 << 32, 4, 9, 61_000_000, 0)),
    ), make_static(horizon_s=7 * 24 * 3600))  # fmt: skip
    group = metrics.state.group_intervals[0, 0]
    sent, used = (c.REQUESTS, c.TOKENS, c.INPUT), (c.UNCACHED, c.OUTPUT, c.TOTAL)
    assert [group[one] for one in sent] == [group[c.PEAK + one] for one in sent] == [1, 50, 40]
    assert [group[one] for one in used] == [group[c.PEAK + one] for one in used] == [25, 4, 44]


def test_accounts_are_paid_while_active_and_within_the_horizon():
    static = make_static(horizon_s=3600)
    metrics = folded(
        rows_of(row(log.ACCOUNT, 600_000_000, -1, code=log.STANDBY, v=(1,))), static, START_US + 7200 * 1_000_000
    )
    assert (metrics.state.account[:, c.PAID_US] / 1e6).tolist() == [3600.0, 600.0, 3600.0]
    assert metrics.state.account_active[:, 1].sum() == 600_000_000


def test_nothing_at_all_gives_a_summary_of_nothing():
    summary = summarise(Metrics(make_static()))
    assert summary["requests"]["arrived"] == 0
    assert summary["tiers"]["standard"]["wait_p99_s"] is None


def test_many_requests_at_once_make_the_table_of_open_requests_grow():
    arrivals = [row(log.ARRIVE, 0, request, tenant=request % 30) for request in range(20_000)]
    ends = [row(log.REJECT, 1, request, tenant=request % 30, code=1, v=(-1, 1)) for request in reversed(range(20_000))]
    metrics = folded(rows_of(*arrivals, *ends))
    assert metrics.state.block[c.OPEN_MAX] == 20_000
    assert summarise(metrics)["rejections"] == {"no_capacity": 20_000}
    assert littles_law(metrics)["equal"]


BAD = {
    "back in time": ([row(log.ARRIVE, 5), row(log.QUEUE, 4)], "back in time"),
    "never arrived": ([row(log.QUEUE, 4)], "has not arrived"),
    "ended twice": ([row(log.ARRIVE, 0), row(log.REJECT, 1), row(log.REJECT, 2)], "already ended"),
    "arrives twice": ([row(log.ARRIVE, 0), row(log.ARRIVE, 1)], "already in the system"),
    "unknown tenant": ([row(log.ARRIVE, 0, tenant=30)], "does not have"),
    "unknown model": ([row(log.ARRIVE, 0, limit=6)], "does not have"),
    "unknown deployment": ([row(log.ARRIVE, 0), row(log.DISPATCH, 0, deployment=6)], "does not have"),
    "no deployment": ([row(log.ARRIVE, 0), row(log.DISPATCH, 0)], "does not have"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_row_that_cannot_be_is_refused_by_name(name):
    rows, words = BAD[name]
    with pytest.raises(RunError, match=words):
        Metrics(make_static()).fold(rows_of(*rows))


def test_rows_of_another_layout_are_refused():
    with pytest.raises(RunError, match="dtype"):
        Metrics(make_static()).fold(np.zeros(3))


def test_plain_python_gives_the_same_numbers(tmp_path: Path):
    compiled_block = folded(ROWS[:1200]).state.block
    script = (
        "import sys, numpy as np; sys.path.insert(0, sys.argv[2])\n"
        "from make_log import make_log, make_static\nfrom forge1sim.metrics import Metrics\n"
        "m = Metrics(make_static()); m.fold(make_log(make_static(), requests=1500, places=1)[:1200]); m.close()\n"
        "np.save(sys.argv[1], m.state.block)"
    )
    command = [sys.executable, "-W", "error", "-c", script, str(tmp_path / "block.npy"), str(Path(__file__).parent)]
    subprocess.run(command, check=True, env={**os.environ, "NUMBA_DISABLE_JIT": "1"}, cwd=Path(__file__).parents[2])
    assert np.array_equal(np.load(tmp_path / "block.npy"), compiled_block)

"""Which limit was full, when, and whom it held up: against logs written by hand."""

from dataclasses import replace

import numpy as np
import pytest

from forge1sim.metrics import Metrics
from forge1sim.metrics import columns as c
from forge1sim.metrics.limit_tables import limit_span_table, limit_table, limit_tier_table
from forge1sim.metrics.static import LimitFacts
from forge1sim.metrics.tables import tier_table
from policies import log
from tests.metrics.make_log import START_US, make_static

MINUTE_US = 60_000_000
NEAR, FAR = 0, 3      # deployments; by the toy's layout they are also limit groups


def static_with_limits(**changes):
    """Two limits on requests per minute, and one a day whose use is not measured; deployments 0, 3, 3."""
    facts = (
        LimitFacts(name="near.rpm", model_class="m", allows="10 requests per minute", group=NEAR, dimension=c.REQUESTS, per_min=10.0),
        LimitFacts(name="far.rpm", model_class="m", allows="40 requests per minute", group=FAR, dimension=c.REQUESTS, per_min=40.0),
        LimitFacts(name="far.rpd", model_class="", allows="500 requests per day", group=FAR, dimension=-1, per_min=0.35),
    )  # fmt: skip
    return replace(make_static(horizon_s=24 * 3600), limits=facts, **changes)


def answered(request: int, at_us: int, deployment: int, *, wait_us: int = 0, tenant: int = 0, limit: int = -1) -> list[tuple]:
    """The rows of a request that waits so long (if at all), naming that limit, and is answered at once."""
    def row(kind: int, time_us: int, attempt: int, where: int, named: int, *values: int) -> tuple:
        return (START_US + time_us, request, kind, 1, attempt, where, tenant, named, *(*values, 0, 0, 0, 0, 0)[:5])

    rows = [row(log.ARRIVE, at_us, 0, -1, -1)]
    if wait_us:
        rows.append(row(log.QUEUE, at_us, 0, -1, limit))
    sent_us = at_us + wait_us
    rows.append(row(log.DISPATCH, sent_us, 1, deployment, 0, 0, 10, wait_us))
    rows.append(row(log.COMPLETE, sent_us, 1, deployment, 0, 5, 5, 100, wait_us, wait_us | 900 << 48))
    return rows


def folded(static, requests) -> Metrics:
    rows = sorted((row for rows in requests for row in rows), key=lambda row: (row[0], row[1]))
    metrics = Metrics(static)
    metrics.fold(np.array(rows, log.ROW))
    metrics.close(START_US + static.horizon_us)
    return metrics


@pytest.fixture(scope="module")
def metrics() -> Metrics:
    """In the second hour ten requests a minute go through NEAR, every third of them after 2 s; ten through FAR, at once."""
    hour, number, requests = 3600 * 1_000_000, 0, []
    for minute in range(60):
        for place in range(10):
            at_us = hour + minute * MINUTE_US + place * 5_000_000
            waits = 2_000_000 if place % 3 == 0 else 0
            requests.append(answered(number, at_us, NEAR, wait_us=waits, tenant=place % 3, limit=0))
            requests.append(answered(number + 1, at_us, FAR))
            number += 2
    return folded(static_with_limits(), requests)


def test_the_full_limit_is_the_one_that_is_full(metrics):
    table = limit_table(metrics)
    assert table["limit"].tolist() == ["near.rpm", "far.rpm", "far.rpd"]
    assert table["full_s"].tolist() == [3600.0, 0.0, 0.0]
    assert table["peak_use"][:2].tolist() == pytest.approx([1.0, 0.25])
    assert table["mean_use"][:2].tolist() == pytest.approx([1 / 24, 1 / 96])
    assert np.isnan(table["mean_use"][2])
    assert table["account"].tolist() == ["openai-1", "anthropic-1", "anthropic-1"]


def test_it_is_full_when_it_was(metrics):
    spans = limit_span_table(metrics)
    assert spans["limit"].tolist() == ["near.rpm"]
    assert ((spans["start_us"] - START_US) / 1e6).tolist() == [3600.0]
    assert ((spans["end_us"] - START_US) / 1e6).tolist() == [7200.0]


def test_waits_belong_to_it_and_to_the_tier_that_waited(metrics):
    table, tiers = limit_table(metrics), limit_tier_table(metrics)
    assert table["waited_s"].tolist() == [480.0, 0.0, 0.0]
    assert table["named"].tolist() == [240, 0, 0]
    assert dict(zip(tiers["tier"].tolist(), tiers["waited_s"].tolist(), strict=True)) == {"enterprise": 480.0}


def test_a_limit_without_a_measure_of_use_is_known_by_what_names_it():
    requests = [answered(number, 7300 * 1_000_000 + number, FAR, wait_us=3_000_000, limit=2) for number in range(5)]
    metrics = folded(static_with_limits(), requests)
    table, spans = limit_table(metrics), limit_span_table(metrics)
    assert table["named"].tolist() == [0, 0, 5]
    assert table["waited_s"].tolist() == [0.0, 0.0, 15.0]
    assert spans["limit"].tolist() == ["far.rpd"]
    assert ((spans["start_us"] - START_US) / 3.6e9).tolist() == [2.0]


def test_a_tenants_own_limit_is_none_of_the_platform():
    metrics = folded(static_with_limits(), [answered(0, 0, NEAR, wait_us=1_000_000, limit=3)])
    assert limit_table(metrics)["named"].tolist() == [0, 0, 0]
    assert metrics.state.named[0, 0].tolist() == [0, 0, 0, 1]


def test_no_waiting_time_is_lost(metrics):
    tiers = tier_table(metrics)
    total_s = float(np.nansum(tiers["served"] * tiers["wait_mean_s"]))
    assert limit_table(metrics)["waited_s"].sum() == pytest.approx(total_s)


def test_a_platform_without_limits_has_empty_tables():
    metrics = Metrics(make_static())
    for table in (limit_table(metrics), limit_tier_table(metrics), limit_span_table(metrics)):
        assert all(len(column) == 0 for column in table.values())

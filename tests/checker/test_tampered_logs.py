"""A true log passes; each change of a row is told by the rule that it breaks."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from running import check, run
from worlds import rich_world

from forge1sim.check import check_log
from policies import log

Rows = NDArray[np.void]


@pytest.fixture(scope="module")
def world():
    return rich_world()


@pytest.fixture(scope="module")
def rows(world) -> Rows:
    return run(world)


def first(rows: Rows, kind: int, **fields: int) -> int:
    """Number of the first row of a kind with these fields."""
    fits = rows["kind"] == kind
    for name, value in fields.items():
        fits &= rows[name] == value
    return int(np.flatnonzero(fits)[0])


def changed(kind: int, field: str, by: int) -> Callable[[Rows], Rows]:
    def change(rows: Rows) -> Rows:
        rows[first(rows, kind)][field] += by
        return rows

    return change


def without(kind: int, **fields: int) -> Callable[[Rows], Rows]:
    return lambda rows: np.delete(rows, first(rows, kind, **fields))


def twice(kind: int) -> Callable[[Rows], Rows]:
    return lambda rows: np.insert(rows, first(rows, kind), rows[first(rows, kind)])


def to_closed_deployment(rows: Rows) -> Rows:
    """The tenant that may use one small model alone is sent to the large one."""
    number = first(rows, log.DISPATCH, tenant=12)
    rows["deployment"][rows["request"] == rows[number]["request"]] = 0
    return rows


def test_the_log_as_it_is_breaks_nothing(world, rows):
    report = check(world, rows)
    assert report.findings == []
    assert report.complete
    assert report.rows == len(rows)
    assert report.requests == report.served + report.rejected + report.expired + report.cancelled + report.in_system
    assert report.cost_nano_usd == sum(report.tenant_nano_usd.values()) == sum(report.deployment_nano_usd.values()) > 0


@pytest.mark.parametrize(
    ("rule", "change"),
    [
        ("life", twice(log.ARRIVE)),
        ("life", twice(log.COMPLETE)),
        ("life", without(log.ARRIVE)),
        ("life", without(log.DISPATCH)),
        ("life", without(log.BACKOFF)),
        ("life", changed(log.COMPLETE, "attempt", 1)),
        ("time", changed(log.COMPLETE, "time_us", -60_000_000)),
        ("price", changed(log.COMPLETE, "v2", 1)),
        ("worst_case", changed(log.COMPLETE, "v2", 10**9)),
        ("fields", changed(log.COMPLETE, "v3", 1)),
        ("fields", changed(log.DISPATCH, "v0", 1)),
        ("ledger", changed(log.REJECT, "v2", 1)),
        ("cooldown", without(log.COOL)),
        ("cooldown", changed(log.COOL, "v1", -1)),
        ("keys", without(log.ACCOUNT, code=log.ACTIVE, v2=0)),
        ("retry", changed(log.BACKOFF, "v0", -10_000_000)),
        ("eligible", to_closed_deployment),
    ],
)
def test_a_change_is_told(world, rows, rule, change):
    assert rule in check(world, change(rows.copy())).rules


def test_a_check_stops_after_enough_findings(world, rows):
    spoilt = rows.copy()
    spoilt["v2"][spoilt["kind"] == log.COMPLETE] += 1
    report = check_log([spoilt], world.platform, world.bundle, start_us=world.start_us, most_findings=7)
    assert len(report.findings) == 7
    assert not report.complete


def test_chunks_make_no_difference(world, rows):
    parts = np.array_split(rows, 17)
    assert check_log(parts, world.platform, world.bundle, start_us=world.start_us) == check(world, rows)

"""What the ledger has of the last minutes or hours, summed in the database: a ledger of millions of attempts stays quick to look at.

Counts and costs are of all attempts in the span. Quantiles and what needs whole requests are of each `stride`-th request
where there are more than SAMPLE attempts, so that what is sorted has a bound.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import sqlalchemy as sa

from live_adapter.tables import ATTEMPTS, LedgerError, demand_there, missing_tables

SAMPLE = 50_000
MINUTE_US = 60_000_000
BUCKETS = 60
QUANTILES = (50, 95, 99)
_SERVED = "served"
_MOST_NAMES = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """One part of the span, from `from_us`: attempts sent, how many were not served, latency of those served by QUANTILES."""

    from_us: int
    attempts: int
    errors: int
    latency_us: tuple[int, ...] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantSums:
    """Of a tenant. Costs are of all its attempts; requests are those sampled, and each is one of the first four kinds.

    `at_once`: answered in time by the first attempt; `retried`: in time, by a later one; `late`: answered, not in time; `refused`: never.
    """

    tenant: str
    cost_nano_usd: int
    attempts: int
    at_once: int = 0
    retried: int = 0
    late: int = 0
    refused: int = 0

    @property
    def requests(self) -> int:
        """All that were sampled."""
        return self.at_once + self.retried + self.late + self.refused

    @property
    def score(self) -> float:
        """Satisfaction from 0 to 100: 1 for in time at once, 3/4 for in time after a retry, 1/4 for late, 0 for refused."""
        whole = self.at_once + 0.75 * self.retried + 0.25 * self.late
        return 100.0 * whole / self.requests if self.requests else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Sums:
    """The span [from_us, to_us) of a ledger, which ends with its newest attempt. `latency_us` by QUANTILES, None if none was served."""

    from_us: int
    to_us: int
    width_us: int
    stride: int
    run_attempts: int                                   # of the newest run, whenever they were sent
    attempts: int
    errors: int
    cost_nano_usd: int
    recent_per_s: float                                 # requests that were sent for the first time, in the last minute of the ledger
    latency_us: tuple[int, ...] | None
    moments: tuple[Moment, ...]
    tenants: tuple[TenantSums, ...]
    accounts: Mapping[str, tuple[int, int, float]]      # attempts, errors, attempts under way on average
    statuses: Mapping[str, int]


def sums_of(url: str, span_us: int, in_time_us: int) -> Sums | None:
    """The last `span_us` of a ledger; None while it is empty. Raises LedgerError."""
    demand_there(url)
    try:
        engine = _engine(url)
        if missing := missing_tables(engine):
            raise LedgerError(f"the ledger has no table {missing[0]!r}: fold its journal again (`forge1sim gateway ledger`)")
        with engine.connect() as connection:
            return _sums(connection, span_us, in_time_us)
    except (sa.exc.SQLAlchemyError, ImportError) as error:
        raise LedgerError(f"the ledger cannot be read: {str(error).splitlines()[0]}") from error


@lru_cache(maxsize=8)
def _engine(url: str) -> sa.Engine:
    return sa.create_engine(url, pool_size=2, max_overflow=2, pool_timeout=5)


def _sums(connection: sa.Connection, span_us: int, in_time_us: int) -> Sums | None:
    at = ATTEMPTS.c
    newest = connection.execute(sa.select(sa.func.max(at.sent_us))).scalar_one()
    if newest is None:
        return None
    width_us = max(1, span_us // BUCKETS)
    to_us = int(newest) + 1
    from_us = to_us - width_us * BUCKETS
    inside = sa.and_(at.sent_us >= from_us, at.sent_us < to_us)
    bad = sa.func.sum(sa.case((at.status != _SERVED, 1), else_=0))
    bucket = ((at.sent_us - from_us) // width_us).label("bucket")
    counted = {
        int(row[0]): row
        for row in connection.execute(sa.select(bucket, sa.func.count(), bad, sa.func.sum(at.cost_nano_usd)).where(inside).group_by(bucket))
    }  # fmt: skip
    attempts = sum(int(row[1]) for row in counted.values())
    stride = max(1, -(-attempts // SAMPLE))
    sampled = sa.and_(inside, at.request % stride == 0)
    by_bucket = _quantiles(connection, sampled, bucket)
    moments = tuple(
        Moment(
            from_us=from_us + number * width_us, attempts=int(counted[number][1]) if number in counted else 0,
            errors=int(counted[number][2]) if number in counted else 0, latency_us=by_bucket.get(number),
        )
        for number in range(BUCKETS)
    )  # fmt: skip
    busy = sa.func.sum(at.ended_us - at.sent_us)
    accounts = connection.execute(sa.select(at.account, sa.func.count(), bad, busy).where(inside).group_by(at.account).limit(_MOST_NAMES))
    statuses = connection.execute(sa.select(at.status, sa.func.count()).where(inside).group_by(at.status))
    seen_us = max(1, min(to_us - from_us, to_us - _first(connection, from_us)))
    return Sums(
        from_us=from_us, to_us=to_us, width_us=width_us, stride=stride, run_attempts=_run_attempts(connection), attempts=attempts,
        errors=sum(moment.errors for moment in moments), cost_nano_usd=sum(int(row[3]) for row in counted.values()),
        recent_per_s=_recent_per_s(connection, to_us),
        latency_us=_quantiles(connection, sampled, sa.literal(0).label("bucket")).get(0), moments=moments,
        tenants=_tenants(connection, inside, sampled, in_time_us),
        accounts={str(name): (int(count), int(errors), int(spent) / seen_us) for name, count, errors, spent in accounts},
        statuses={str(name): int(count) for name, count in statuses},
    )  # fmt: skip


def _first(connection: sa.Connection, from_us: int) -> int:
    return int(connection.execute(sa.select(sa.func.min(ATTEMPTS.c.sent_us)).where(ATTEMPTS.c.sent_us >= from_us)).scalar_one())


def _run_attempts(connection: sa.Connection) -> int:
    newest = sa.select(sa.func.max(ATTEMPTS.c.run_us)).scalar_subquery()
    return int(connection.execute(sa.select(sa.func.count()).where(ATTEMPTS.c.run_us == newest)).scalar_one())


def _recent_per_s(connection: sa.Connection, to_us: int) -> float:
    """Over the last minute, or since the first attempt if that is less long ago."""
    at = ATTEMPTS.c
    count, first_us = connection.execute(
        sa.select(sa.func.sum(sa.case((at.attempt == 1, 1), else_=0)), sa.func.min(at.sent_us)).where(at.sent_us >= to_us - MINUTE_US)
    ).one()
    return int(count) / (max(1_000_000, to_us - int(first_us)) / 1e6)


def _quantiles(connection: sa.Connection, where: sa.ColumnElement[bool], bucket: sa.Label[Any]) -> dict[int, tuple[int, ...]]:
    """Quantiles by bucket: the least latency that so many per cent do not exceed."""
    at = ATTEMPTS.c
    plain = sa.select(bucket, (at.ended_us - at.sent_us).label("took_us")).where(where, at.status == _SERVED).subquery()
    ranked = sa.select(
        plain.c.bucket, plain.c.took_us,
        sa.func.row_number().over(partition_by=plain.c.bucket, order_by=plain.c.took_us).label("place"),
        sa.func.count().over(partition_by=plain.c.bucket).label("all"),
    ).subquery()  # fmt: skip
    picked = [sa.func.max(sa.case((ranked.c.place == (ranked.c.all * of + 99) // 100, ranked.c.took_us))) for of in QUANTILES]
    rows = connection.execute(sa.select(ranked.c.bucket, *picked).group_by(ranked.c.bucket))
    return {int(number): tuple(int(value) for value in values) for number, *values in rows}


def _tenants(
    connection: sa.Connection, inside: sa.ColumnElement[bool], sampled: sa.ColumnElement[bool], in_time_us: int
) -> tuple[TenantSums, ...]:
    """Those who spent most, dearest first."""
    at = ATTEMPTS.c
    cost = sa.func.sum(at.cost_nano_usd).label("cost")
    spent = connection.execute(
        sa.select(at.tenant, cost, sa.func.count()).where(inside).group_by(at.tenant).order_by(cost.desc(), at.tenant).limit(_MOST_NAMES)
    ).all()  # fmt: skip
    whole = sa.select(
        at.tenant, sa.func.max(sa.case((at.status == _SERVED, 1), else_=0)).label("served"), sa.func.max(at.attempt).label("attempts"),
        (sa.func.max(at.ended_us) - sa.func.min(at.sent_us)).label("took_us"),
    ).where(sampled).group_by(at.run_us, at.request, at.tenant).subquery()  # fmt: skip
    served, in_time, first = whole.c.served == 1, whole.c.took_us <= in_time_us, whole.c.attempts == 1
    kinds = (sa.and_(served, in_time, first), sa.and_(served, in_time, ~first), sa.and_(served, ~in_time), ~served)
    counts: Sequence[Any] = [sa.func.sum(sa.case((kind, 1), else_=0)) for kind in kinds]
    fates = {row[0]: row[1:] for row in connection.execute(sa.select(whole.c.tenant, *counts).group_by(whole.c.tenant))}
    names = ("at_once", "retried", "late", "refused")
    return tuple(
        TenantSums(
            tenant=str(tenant), cost_nano_usd=int(cost_nano_usd), attempts=int(count),
            **dict(zip(names, (int(one) for one in fates.get(tenant, (0, 0, 0, 0))), strict=True)),
        )
        for tenant, cost_nano_usd, count in spent
    )  # fmt: skip

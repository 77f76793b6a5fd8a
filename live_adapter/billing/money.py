"""Whole nano-USD: shared out so that nothing is lost, read and written without floats; and the months that are billed."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation

from live_adapter.billing.errors import BillingError

NANO = 1_000_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_MONTH = re.compile(r"(\d{4})-(0[1-9]|1[0-2])")
_MOST_USD = Decimal(1_000_000_000)


def apportion(total: int, weights: Sequence[int]) -> list[int]:
    """Share a whole number by weights; the shares are whole and sum to it exactly.

    What rounding down leaves goes, one each, to the largest remainders, the first of equal ones first. Raises BillingError
    if the total or a weight is negative, or there is something to share and no weight.
    Source: method of largest remainder (Hamilton).
    """
    if total < 0 or any(weight < 0 for weight in weights):
        raise BillingError(f"cannot share {total} by weights down to {min(weights, default=0)}: neither may be negative")
    whole = sum(weights)
    if whole == 0:
        if total:
            raise BillingError(f"cannot share {total} among {len(weights)} that all weigh nothing")
        return [0] * len(weights)
    shares = [total * weight // whole for weight in weights]
    by_remainder = sorted(range(len(weights)), key=lambda at: -(total * weights[at] % whole))
    for at in by_remainder[: total - sum(shares)]:
        shares[at] += 1
    return shares


def usd(nano_usd: int) -> Decimal:
    """Nano-USD as USD, exactly."""
    return Decimal(nano_usd).scaleb(-9)


def written(nano_usd: int) -> str:
    """Nano-USD as USD with nine decimals, such as `0.000000042`."""
    return f"{usd(nano_usd):.9f}"


def nano_usd_of(text: str) -> int:
    """Nano-USD of a decimal number of USD, halves of a nano to the even one. Raises BillingError if it is none, or above a billion."""
    try:
        found = Decimal(text.strip().removeprefix("$").replace(",", ""))
    except InvalidOperation:
        raise BillingError(f"{text!r} is no amount of USD, such as 12.345") from None
    if not found.is_finite() or abs(found) > _MOST_USD:
        raise BillingError(f"{text!r} is no amount of USD between plus and minus {_MOST_USD:,}")
    return round(found * NANO)


def moment(time_us: int) -> datetime:
    """A time in UTC."""
    return _EPOCH + time_us * _MICROSECOND


def month_of(time_us: int) -> str:
    """The month in UTC, such as `2026-12`."""
    return f"{moment(time_us):%Y-%m}"


def month_span_us(month: str) -> tuple[int, int]:
    """First microsecond of a month in UTC, and of the one that follows. Raises BillingError if it is not as `2026-12`."""
    found = _MONTH.fullmatch(month)
    if not found or not 1970 <= int(found[1]) < 9999:
        raise BillingError(f"month is {month!r}, must be as 2026-12")
    year, number = int(found[1]), int(found[2])
    begins, ends = datetime(year, number, 1, tzinfo=UTC), datetime(year + number // 12, number % 12 + 1, 1, tzinfo=UTC)
    return (begins - _EPOCH) // _MICROSECOND, (ends - _EPOCH) // _MICROSECOND

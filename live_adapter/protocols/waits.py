"""When a provider says to come back, in all the forms in which it is said: microseconds, bounded.

A wait is at least 0 and at most LONGEST_WAIT_US; NaN and what cannot be read count as not said (None). Moments are judged by the
answer's own Date header where there is one, so that a provider whose clock is wrong does no harm.
Sources: RFC 9110 section 10.2.3 (Retry-After), OpenAI's rate limit guide (`6m0s`), Google's RetryInfo (`26s`); November 2026.
"""

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import lru_cache
from zoneinfo import ZoneInfo

LONGEST_WAIT_US = 32 * 86_400 * 1_000_000       # no provider tells of more than a month
_SECOND_US = 1_000_000
_UNITS_US = {"ms": 1_000, "s": _SECOND_US, "m": 60 * _SECOND_US, "h": 3_600 * _SECOND_US, "d": 86_400 * _SECOND_US}
_NUMBER_UNIT = r"\d{1,15}(?:\.\d{0,15})?(?:ms|d|h|m|s)"
_PART = re.compile(r"(\d+(?:\.\d*)?)(ms|d|h|m|s)")
_SPAN = re.compile(rf"(?:{_NUMBER_UNIT}){{1,8}}")
# "Please try again in 11.054s", "Please retry in 26.3s", "Your quota will reset after 5h59m59s"
_SAID = re.compile(rf"(?:again|retry|reset)[^.\d]{{0,20}}? (?:in|after) ((?:{_NUMBER_UNIT}){{1,8}})", re.IGNORECASE)
_REGAIN = re.compile(r"regain access on (\d{4}-\d\d-\d\d)(?: at (\d\d:\d\d))? ?UTC", re.IGNORECASE)
_MOST_READ = 2_000


def number_us(text: str | None, unit_us: int) -> int | None:
    """A number of units, such as the seconds of Retry-After. Below 0 is 0."""
    try:
        value = float(text) if text is not None else math.nan
    except ValueError:
        return None
    return None if math.isnan(value) else _bounded(value * unit_us)


@lru_cache(4_096)
def span_us(text: str) -> int | None:
    """`11.054s`, `6m0s`, `120ms`."""
    if not _SPAN.fullmatch(text.strip()):
        return None
    return _bounded(sum(float(number) * _UNITS_US[unit] for number, unit in _PART.findall(text)))


def sentence_us(message: str, headers: Mapping[str, str], now_us: int) -> int | None:
    """What a message for people says of it."""
    message = message[:_MOST_READ]
    if found := _SAID.search(message):
        return span_us(found.group(1))
    if found := _REGAIN.search(message):
        return moment_us(f"{found.group(1)}T{found.group(2) or '00:00'}Z", headers, now_us)
    return None


def moment_us(text: str, headers: Mapping[str, str], now_us: int) -> int | None:
    """From now to a moment given as RFC 3339 or as an HTTP date; 0 for one that has passed."""
    at = _read(text)
    if at is None:
        return None
    began = _read(headers.get("date", ""))
    if began is not None:
        return _bounded((at - began) / timedelta(microseconds=1))
    return _bounded(at.timestamp() * _SECOND_US - now_us)


def to_next_month_us(now_us: int) -> int:
    """Until the first of next month, 00:00 UTC."""
    now = datetime.fromtimestamp(now_us // _SECOND_US, tz=UTC)
    following = datetime(now.year + now.month // 12, now.month % 12 + 1, 1, tzinfo=UTC)
    return round(following.timestamp()) * _SECOND_US - now_us


def to_midnight_us(now_us: int, timezone: str) -> int:
    """Until the next midnight there, also on days of 23 and 25 hours."""
    today = datetime.fromtimestamp(now_us // _SECOND_US, tz=ZoneInfo(timezone)).replace(hour=0, minute=0, second=0)
    return round((today + timedelta(days=1)).timestamp()) * _SECOND_US - now_us


def _read(text: str) -> datetime | None:
    """A moment; one without a zone is in UTC."""
    if len(text) > 64:
        return None
    for read in (datetime.fromisoformat, parsedate_to_datetime):
        try:
            found = read(text)
            return found if found.tzinfo is not None else found.replace(tzinfo=UTC)
        except (ValueError, TypeError, OverflowError, IndexError):
            continue
    return None


def _bounded(wait_us: float) -> int:
    return round(min(max(wait_us, 0), LONGEST_WAIT_US))

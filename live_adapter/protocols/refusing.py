"""Refusals of providers told apart: class, and after how long, from status, headers and body.

Sources: OpenAI error codes and rate limit guide; Anthropic API errors and rate limits; Gemini API errors (RetryInfo, QuotaFailure); as
gathered in November 2026. A spent quota or cap must not be taken for a limit of a minute: each has its own wait.
"""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from zoneinfo import ZoneInfo

from live_adapter.protocols.calls import Dialect
from policies.log import ACCELERATION, CALLER, CREDENTIAL, DAILY_QUOTA, FAILED, MONEY, OVERLOAD, THROTTLE, TIMEOUT

LONGEST_WAIT_US = 32 * 86_400 * 1_000_000       # no provider tells of more than a month
_SECOND_US = 1_000_000
_SPAN = re.compile(r"(?:try|retry)[^.]{0,20}? in ((?:\d+(?:\.\d+)?(?:ms|h|m|s))+)", re.IGNORECASE)
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|h|m|s)")
_UNITS_US = {"ms": 1_000, "s": _SECOND_US, "m": 60 * _SECOND_US, "h": 3_600 * _SECOND_US}
_MONEY_CODES = frozenset(("insufficient_quota", "credit_balance_exhausted", "billing_hard_limit_reached", "enforced_spend_limit_reached"))
_MONEY_WORDS = ("credit balance is too low", "credit balance too low", "spend limit", "billing")


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Class as in `policies.log`, after how many microseconds to come back (0: not said), and the limit's dimension if that is said."""

    kind: int
    retry_after_us: int = 0
    dimension: str = ""


def classify(dialect: Dialect, status: int, headers: Mapping[str, str], body: bytes, now_us: int) -> Refusal:
    """What an answer that is no success means. Whatever comes, it is some class: nothing is raised."""
    error = _error_of(body)
    told_us = _told_us(headers, error, now_us)
    kind = _kind(dialect, status, error, told_us)
    if kind == MONEY and told_us == 0 and dialect == "anthropic" and status == 429:
        told_us = _to_next_month_us(now_us)
    if kind == DAILY_QUOTA and told_us == 0 and dialect == "gemini":
        told_us = _to_midnight_us(now_us, "America/Los_Angeles")
    dimension = _dimension(error) if kind == THROTTLE else ""
    return Refusal(kind=kind, retry_after_us=min(told_us, LONGEST_WAIT_US), dimension=dimension)


def _kind(dialect: Dialect, status: int, error: Mapping[str, Any], told_us: int) -> int:
    message = str(error.get("message", "")).lower()
    if _is_money(dialect, status, error, message, told_us):
        return MONEY
    if status == 429:
        return _limited(dialect, error, message)
    if status == 529 or error.get("type") == "overloaded_error" or (status == 503 and dialect == "gemini"):
        return OVERLOAD
    if status in (401, 403) or _is_bad_key(error):
        return CREDENTIAL
    if status in (408, 504):
        return TIMEOUT
    return CALLER if 400 <= status < 500 else FAILED


def _is_money(dialect: Dialect, status: int, error: Mapping[str, Any], message: str, told_us: int) -> bool:
    details = error.get("details")
    codes = {str(error.get("code")), str(error.get("type"))} | ({str(details.get("error_code"))} if isinstance(details, dict) else set())
    if codes & _MONEY_CODES or status == 402:
        return True
    if status in (400, 403) and any(word in message for word in _MONEY_WORDS[:2]):
        return True
    # Anthropic's cap on spending is a 429 that does not say when to come back.
    return dialect == "anthropic" and status == 429 and told_us == 0 and "acceleration" not in message and "increase rate" not in message


def _limited(dialect: Dialect, error: Mapping[str, Any], message: str) -> int:
    if dialect == "anthropic" and ("acceleration" in message or "increase rate" in message):
        return ACCELERATION
    if any("PerDay" in quota for quota in _quotas(error)) or "per day" in message:
        return DAILY_QUOTA
    return THROTTLE


def _dimension(error: Mapping[str, Any]) -> str:
    """Which limit it was, by OpenAI's type or Anthropic's sentence."""
    kind, message = error.get("type"), str(error.get("message", "")).lower()
    if kind == "requests" or "requests per minute" in message:
        return "rpm"
    if "input tokens per minute" in message:
        return "itpm"
    if "output tokens per minute" in message:
        return "otpm"
    return "tpm" if kind == "tokens" else ""


def _is_bad_key(error: Mapping[str, Any]) -> bool:
    return any(isinstance(one, dict) and one.get("reason") == "API_KEY_INVALID" for one in _details(error))


def _details(error: Mapping[str, Any]) -> list[Any]:
    details = error.get("details")
    return details if isinstance(details, list) else []


def _quotas(error: Mapping[str, Any]) -> list[str]:
    found = []
    for one in _details(error):
        violations = one.get("violations") if isinstance(one, dict) else None
        found += [str(each.get("quotaId", "")) for each in violations if isinstance(each, dict)] if isinstance(violations, list) else []
    return found


def _error_of(body: bytes) -> dict[str, Any]:
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    if isinstance(value, list) and value:       # Gemini's answer to a streamed call
        value = value[0]
    error = value.get("error") if isinstance(value, dict) else None
    return error if isinstance(error, dict) else {"message": error} if isinstance(error, str) else {}


def _told_us(headers: Mapping[str, str], error: Mapping[str, Any], now_us: int) -> int:
    """When to come back, in all the ways in which it is told."""
    if (found := _number_us(headers.get("retry-after-ms"), 1_000)) is not None:
        return found
    if (said := headers.get("retry-after")) is not None:
        found = _number_us(said, _SECOND_US)
        if found is None:
            found = _date_us(said, headers.get("date"), now_us)
        if found is not None:
            return found
    for one in _details(error):
        delay = one.get("retryDelay") if isinstance(one, dict) else None
        if isinstance(delay, str) and (found := span_us(delay)):
            return found
    spans = _SPAN.search(str(error.get("message", ""))[:2_000])
    return span_us(spans.group(1)) if spans else 0


def _number_us(text: str | None, unit_us: int) -> int | None:
    """A number of seconds or milliseconds; None for what is no number."""
    try:
        value = float(text) if text is not None else math.nan
    except ValueError:
        return None
    return None if math.isnan(value) else round(min(max(value * unit_us, 0), LONGEST_WAIT_US))


def _date_us(text: str, provider_date: str | None, now_us: int) -> int | None:
    """A date, against the provider's own clock where it shows it."""
    try:
        at = parsedate_to_datetime(text).timestamp()
        began = parsedate_to_datetime(provider_date).timestamp() if provider_date else now_us / 1e6
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
    return min(max(0, round((at - began) * _SECOND_US)), LONGEST_WAIT_US)


def span_us(text: str) -> int:
    """`11.054s`, `6m0s`, `120ms`."""
    return min(round(sum(float(number) * _UNITS_US[unit] for number, unit in _PART.findall(text[:40]))), LONGEST_WAIT_US)


def _to_next_month_us(now_us: int) -> int:
    now = datetime.fromtimestamp(now_us / 1e6, tz=UTC)
    following = datetime(now.year + now.month // 12, now.month % 12 + 1, 1, tzinfo=UTC)
    return round((following - now).total_seconds() * _SECOND_US)


def _to_midnight_us(now_us: int, timezone: str) -> int:
    now = datetime.fromtimestamp(now_us / 1e6, tz=ZoneInfo(timezone))
    # Days of 23 and 25 hours come out an hour off, twice a year.
    return round(86_400 * _SECOND_US - ((now.hour * 60 + now.minute) * 60 + now.second) * _SECOND_US - now.microsecond)

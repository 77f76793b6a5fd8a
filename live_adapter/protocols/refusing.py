"""Refusals of providers told apart: class, and after how long, from status, headers and body.

A spent quota or cap must not be taken for a limit of a minute, nor the other way: each has its own wait.
Sources: OpenAI error codes and rate limit guide; Anthropic API errors and rate limits; Gemini API errors (RetryInfo, QuotaFailure); as
gathered in November 2026. Sentences of Anthropic as in anthropics/claude-code issues 2127 (own limit), 29584 and 71668 (429 without
retry-after that are no cap); of Gemini as in google-gemini/gemini-cli issue 26633 (no capacity).
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from live_adapter.protocols.calls import Dialect
from live_adapter.protocols.waits import (
    LONGEST_WAIT_US,
    moment_us,
    number_us,
    sentence_us,
    span_us,
    to_midnight_us,
    to_next_month_us,
)
from policies.log import ACCELERATION, CALLER, CREDENTIAL, DAILY_QUOTA, FAILED, MONEY, OVERLOAD, THROTTLE, TIMEOUT

__all__ = ["LONGEST_WAIT_US", "Refusal", "classify", "classify_event"]

_MONEY_CODES = frozenset((
    "insufficient_quota", "credit_balance_exhausted", "billing_hard_limit_reached", "billing_not_active", "billing_error",
    "enforced_spend_limit_reached",
))  # fmt: skip
_MONEY_WORDS = ("credit balance is too low", "credit balance too low", "reached your specified api usage limits")
# An Anthropic 429 that says one of these is about a rate, also where it does not say when to come back.
_RATE_WORDS = ("rate limit", "increase rate", "acceleration", "per minute", "concurrent", "long context")
_GOOGLE_DAY = "America/Los_Angeles"         # quotas per day begin anew at midnight there
_DIMENSIONS = (
    ("rpm", ("(rpm)", "requests per min", "requestsperminute")),
    ("itpm", ("(itpm)", "input tokens per min", "inputtokenspermodelperminute", "inputtokensperminute")),
    ("otpm", ("(otpm)", "output tokens per min")),
    ("tpm", ("(tpm)", "tokens per min", "tokensperminute")),
    ("rpd", ("(rpd)", "requests per day", "requestsperday")),
    ("tpd", ("(tpd)", "tokens per day", "tokenspermodelperday", "tokensperday")),
)
_KINDS = {401: CREDENTIAL, 403: CREDENTIAL, 408: TIMEOUT, 504: TIMEOUT}
# What an error event in a stream would have been as a status.
_STATUS_OF = {
    "overloaded_error": 529, "rate_limit_error": 429, "invalid_request_error": 400, "authentication_error": 401, "billing_error": 402,
    "permission_error": 403, "not_found_error": 404, "request_too_large": 413, "timeout_error": 504, "rate_limit_exceeded": 429,
    "insufficient_quota": 429, "tokens": 429, "requests": 429, "invalid_prompt": 400,
}  # fmt: skip
_MESSAGES = {
    THROTTLE: "the provider's rate limit is reached", ACCELERATION: "the provider's use rises faster than it allows",
    DAILY_QUOTA: "the provider's quota of the day is used up", MONEY: "the provider's account does not cover the request",
    OVERLOAD: "the provider is overloaded", FAILED: "the provider failed", TIMEOUT: "the provider did not answer in time",
    CALLER: "the provider refused the request as it is", CREDENTIAL: "the provider did not accept the gateway's credentials",
}  # fmt: skip
_SECRET = re.compile(r"\b(?:sk-|org-|proj_|req_|AIza|eyJ)[\w\-.*]{2,}")
_MOST_MESSAGE = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Class as in `policies.log`, after how many microseconds to come back (0: not said), and the limit's dimension if that is said.

    `message` may be shown to a client: what the provider says of the client's own fault, else a sentence of ours; no keys, no names
    of accounts.
    """

    kind: int
    retry_after_us: int = 0
    dimension: str = ""
    message: str = ""


def classify(dialect: Dialect, status: int, headers: Mapping[str, str], body: bytes, now_us: int) -> Refusal:
    """What an answer that is no success means. `headers` with names in lower case. Whatever comes, it is some class: nothing is raised."""
    return _refusal(dialect, status, headers, _error_of(body), now_us)


def without_secrets(body: bytes) -> bytes:
    """A provider's complaint as it is, but for what looks like a key, or names an account."""
    return _SECRET.sub("...", body.decode("utf-8", "replace")).encode()


def classify_event(dialect: Dialect, data: bytes, now_us: int) -> Refusal:
    """What the error in a stream means (`StreamReader.error`), which has no status of its own."""
    error = _error_of(data)
    code = error.get("code")
    words = [str(error.get("type")), str(code), str(error.get("status"))]
    status = next((_STATUS_OF[word] for word in words if word in _STATUS_OF), 500)
    if isinstance(code, int) and 400 <= code <= 599:
        status = code
    return _refusal(dialect, status, {}, error, now_us)


def _refusal(dialect: Dialect, status: int, headers: Mapping[str, str], error: dict[str, Any], now_us: int) -> Refusal:
    told_us = _told_us(headers, error, now_us)
    kind = _kind(dialect, status, error, told_us)
    if told_us is None and kind == MONEY and dialect == "anthropic" and status == 429:
        told_us = to_next_month_us(now_us)
    if told_us is None and kind == DAILY_QUOTA and dialect == "gemini":
        told_us = to_midnight_us(now_us, _GOOGLE_DAY)
    return Refusal(kind=kind, retry_after_us=told_us or 0, dimension=_dimension(kind, error), message=_shown(kind, error))


def _kind(dialect: Dialect, status: int, error: Mapping[str, Any], told_us: int | None) -> int:
    if _is_money(dialect, status, error, told_us):
        return MONEY
    if "MODEL_CAPACITY_EXHAUSTED" in _reasons(error) or status == 529 or error.get("type") == "overloaded_error":
        return OVERLOAD
    if status == 429:
        return _limited(error)
    if "API_KEY_INVALID" in _reasons(error):
        return CREDENTIAL
    if status == 503 and (dialect == "gemini" or "overloaded" in _message(error)):
        return OVERLOAD
    return _KINDS.get(status, CALLER if 400 <= status < 500 else FAILED)


def _is_money(dialect: Dialect, status: int, error: Mapping[str, Any], told_us: int | None) -> bool:
    details, message = error.get("details"), _message(error)
    codes = {str(error.get("code")), str(error.get("type"))} | ({str(details.get("error_code"))} if isinstance(details, dict) else set())
    if codes & _MONEY_CODES or status == 402:
        return True
    if status in (400, 403, 429) and any(word in message for word in _MONEY_WORDS):
        return True
    # Anthropic's cap on spending is a 429 that does not say when to come back. Some about rates do not say so either, and what a proxy
    # on the way answers has another shape: an account is not given up for a month on account of these.
    silent = dialect == "anthropic" and status == 429 and told_us is None and error.get("type") == "rate_limit_error"
    return silent and not any(word in message for word in _RATE_WORDS) and message != "rate limited"


def _limited(error: Mapping[str, Any]) -> int:
    message = _message(error)
    if "acceleration" in message or "increase rate" in message:
        return ACCELERATION
    return DAILY_QUOTA if "perday" in _quotas(error) or "per day" in message else THROTTLE


def _dimension(kind: int, error: Mapping[str, Any]) -> str:
    """Which limit it was, by a provider's sentence, Gemini's quota or OpenAI's type."""
    if kind not in (THROTTLE, DAILY_QUOTA):
        return ""
    said = f"{_message(error)} {_quotas(error)}"
    for dimension, words in _DIMENSIONS:
        if any(word in said for word in words):
            return dimension
    return {"requests": "rpm", "tokens": "tpm"}.get(str(error.get("type")), "") if kind == THROTTLE else ""


def _shown(kind: int, error: Mapping[str, Any]) -> str:
    if kind != CALLER or not isinstance(error.get("message"), str):
        return _MESSAGES[kind]
    said = "".join(letter if letter.isprintable() else " " for letter in error["message"][: 2 * _MOST_MESSAGE])
    return _SECRET.sub("...", said)[:_MOST_MESSAGE].strip() or _MESSAGES[kind]


def _message(error: Mapping[str, Any]) -> str:
    return str(error.get("message", "")).lower()


def _details(error: Mapping[str, Any]) -> list[dict[str, Any]]:
    details = error.get("details")
    return [one for one in details if isinstance(one, dict)] if isinstance(details, list) else []


def _reasons(error: Mapping[str, Any]) -> list[str]:
    return [str(one.get("reason")) for one in _details(error)]


def _quotas(error: Mapping[str, Any]) -> str:
    """Names of the quotas that Gemini says are used up, in lower case."""
    violations = [one["violations"] for one in _details(error) if isinstance(one.get("violations"), list)]
    return " ".join(str(each.get("quotaId")) for many in violations for each in many if isinstance(each, dict)).lower()


def _error_of(body: bytes) -> dict[str, Any]:
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    if isinstance(value, list) and value:       # Gemini's answer to a streamed call
        value = value[0]
    if not isinstance(value, dict):
        return {}
    response = value.get("response")            # the last event of OpenAI's responses
    error = value.get("error") or (response.get("error") if isinstance(response, dict) else None)
    if isinstance(error, dict):
        return error
    return {"message": error} if isinstance(error, str) else {name: value[name] for name in ("message", "code", "type") if name in value}


def _told_us(headers: Mapping[str, str], error: Mapping[str, Any], now_us: int) -> int | None:
    """When to come back, in all the ways in which it is told; None if it is not."""
    if (found := number_us(headers.get("retry-after-ms"), 1_000)) is not None:
        return found
    said = headers.get("retry-after")
    if said is not None and (found := number_us(said, 1_000_000)) is not None:
        return found
    if said is not None and (found := moment_us(said, headers, now_us)) is not None:
        return found
    for one in _details(error):
        if isinstance(one.get("retryDelay"), str) and (found := span_us(one["retryDelay"])) is not None:
            return found
    return sentence_us(str(error.get("message", "")), headers, now_us)

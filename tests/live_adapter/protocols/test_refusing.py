"""Refusals told apart, each by what its provider really says."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from live_adapter.protocols.limits import limits_seen
from live_adapter.protocols.refusing import LONGEST_WAIT_US, classify
from policies.log import ACCELERATION, CALLER, CREDENTIAL, DAILY_QUOTA, FAILED, MONEY, OVERLOAD, THROTTLE, TIMEOUT

NOW_US = round(datetime(2026, 11, 20, 12, tzinfo=UTC).timestamp() * 1_000_000)
S = 1_000_000


def openai(kind: str, code: str | None, message: str = "") -> Any:
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


def anthropic(kind: str, message: str = "", **more: Any) -> Any:
    return {"type": "error", "error": {"type": kind, "message": message, **more}}


def gemini(status: str, code: int, details: list[Any]) -> Any:
    return [{"error": {"code": code, "status": status, "message": "", "details": details}}]


QUOTA_DAY = {"violations": [{"quotaId": "GenerateRequestsPerDayPerProjectPerModel-FreeTier"}]}
RETRY = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "26s"}
THROTTLED = "Rate limit reached for m in organization org-1 on tokens per min (TPM): Limit 30000. Please try again in 11.054s. Visit"
CASES: list[tuple[Any, int, dict[str, str], Any, int, int]] = [
    ("openai", 429, {"retry-after": "7"}, openai("tokens", "rate_limit_exceeded"), THROTTLE, 7 * S),
    ("openai", 429, {}, openai("tokens", "rate_limit_exceeded", THROTTLED), THROTTLE, 11_054_000),
    ("openai", 429, {"retry-after-ms": "1500", "retry-after": "2"}, openai("requests", None), THROTTLE, 1_500_000),
    ("openai", 429, {}, openai("requests", None, "Please try again in 6m0s."), THROTTLE, 360 * S),
    ("openai", 429, {}, openai("insufficient_quota", "insufficient_quota"), MONEY, 0),
    ("openai", 429, {}, openai("x", "credit_balance_exhausted"), MONEY, 0),
    ("openai", 401, {}, openai("invalid_request_error", "invalid_api_key"), CREDENTIAL, 0),
    ("openai", 400, {}, openai("invalid_request_error", "context_length_exceeded"), CALLER, 0),
    ("openai", 404, {}, openai("invalid_request_error", "model_not_found"), CALLER, 0),
    ("openai", 500, {}, openai("server_error", None), FAILED, 0),
    ("openai", 503, {"retry-after": "3"}, openai("server_error", None), FAILED, 3 * S),
    ("openai", 504, {}, {}, TIMEOUT, 0),
    ("openai", 502, {}, b"<html>bad gateway</html>", FAILED, 0),
    ("anthropic", 429, {"retry-after": "12"}, anthropic("rate_limit_error", "would exceed your rate limit"), THROTTLE, 12 * S),
    ("anthropic", 429, {"retry-after": "5"}, anthropic("rate_limit_error", "maximum usage increase rate"), ACCELERATION, 5 * S),
    ("anthropic", 429, {}, anthropic("rate_limit_error", "x", details={"error_code": "enforced_spend_limit_reached"}), MONEY, None),  # type: ignore[list-item]
    ("anthropic", 429, {}, anthropic("rate_limit_error", "spend"), MONEY, None),  # type: ignore[list-item]
    ("anthropic", 400, {}, anthropic("invalid_request_error", "Your credit balance is too low to access the API."), MONEY, 0),
    ("anthropic", 529, {}, anthropic("overloaded_error", "Overloaded"), OVERLOAD, 0),
    ("anthropic", 403, {}, anthropic("permission_error"), CREDENTIAL, 0),
    ("gemini", 429, {}, gemini("RESOURCE_EXHAUSTED", 429, [RETRY]), THROTTLE, 26 * S),
    ("gemini", 429, {}, gemini("RESOURCE_EXHAUSTED", 429, []), THROTTLE, 0),
    ("gemini", 429, {}, gemini("RESOURCE_EXHAUSTED", 429, [QUOTA_DAY]), DAILY_QUOTA, 20 * 3600 * S),    # noon UTC is 4 in the morning there
    ("gemini", 400, {}, gemini("INVALID_ARGUMENT", 400, [{"reason": "API_KEY_INVALID"}]), CREDENTIAL, 0),
    ("gemini", 503, {}, gemini("UNAVAILABLE", 503, []), OVERLOAD, 0),
]


@pytest.mark.parametrize(("dialect", "status", "headers", "body", "kind", "wait_us"), CASES)
def test_each_class_has_its_own_wait(dialect: Any, status: int, headers: dict[str, str], body: Any, kind: int, wait_us: int | None) -> None:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    found = classify(dialect, status, headers, raw, NOW_US)
    assert found.kind == kind
    # The cap of a month is over on its first day: eleven days less twelve hours away here.
    assert found.retry_after_us == (10.5 * 86_400 * S if wait_us is None else wait_us)


def test_a_date_is_judged_by_the_providers_own_clock() -> None:
    headers = {"retry-after": "Fri, 20 Nov 2026 10:00:30 GMT", "date": "Fri, 20 Nov 2026 10:00:00 GMT"}
    assert classify("openai", 429, headers, b"", NOW_US).retry_after_us == 30 * S
    assert classify("openai", 429, {"retry-after": "Fri, 20 Nov 2026 12:00:30 GMT"}, b"", NOW_US).retry_after_us == 30 * S


@given(st.sampled_from(["openai", "anthropic", "gemini"]), st.integers(300, 999), st.dictionaries(
    st.sampled_from(["retry-after", "retry-after-ms", "date"]), st.text(max_size=30)), st.binary(max_size=200))  # fmt: skip
def test_nothing_is_raised_and_no_wait_is_absurd(dialect: Any, status: int, headers: dict[str, str], body: bytes) -> None:
    found = classify(dialect, status, headers, body, NOW_US)
    assert 0 <= found.retry_after_us <= LONGEST_WAIT_US


@pytest.mark.parametrize("value", ["-5", "nan", "inf", "1e400", "99999999999", "soon", ""])
def test_absurd_waits_are_bounded(value: str) -> None:
    assert 0 <= classify("openai", 429, {"retry-after": value}, b"", NOW_US).retry_after_us <= LONGEST_WAIT_US


def test_headers_of_openai_are_read() -> None:
    said = {"limit-requests": "500", "remaining-requests": "499", "reset-requests": "120ms", "limit-tokens": "30000",
            "remaining-tokens": "29000", "reset-tokens": "6m0s"}  # fmt: skip
    headers = {f"x-ratelimit-{name}": value for name, value in said.items()}
    first, second = limits_seen("openai", headers, NOW_US)
    assert (first.dimension, first.limit, first.remaining, first.resets_us - NOW_US) == ("rpm", 500, 499, 120_000)
    assert (second.dimension, second.limit, second.remaining, second.resets_us - NOW_US) == ("tpm", 30_000, 29_000, 360 * S)


def test_headers_of_anthropic_are_read_against_its_clock() -> None:
    base = "anthropic-ratelimit-input-tokens"
    headers = {f"{base}-limit": "2000000", f"{base}-remaining": "1999000", f"{base}-reset": "2026-11-20T09:00:10Z",
               "date": "Fri, 20 Nov 2026 09:00:00 GMT"}  # fmt: skip
    (seen,) = limits_seen("anthropic", headers, NOW_US)
    assert (seen.dimension, seen.remaining, seen.rounded_to, seen.resets_us - NOW_US) == ("itpm", 1_999_000, 1_000, 10 * S)


@given(st.sampled_from(["openai", "anthropic", "gemini"]), st.dictionaries(st.sampled_from([
    "x-ratelimit-limit-tokens", "x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens", "anthropic-ratelimit-requests-limit",
    "anthropic-ratelimit-requests-remaining", "anthropic-ratelimit-requests-reset", "date"]), st.text(max_size=25)))  # fmt: skip
def test_headers_that_make_no_sense_say_nothing(dialect: Any, headers: dict[str, str]) -> None:
    for seen in limits_seen(dialect, headers, NOW_US):
        assert seen.limit >= 0 or seen.remaining >= 0

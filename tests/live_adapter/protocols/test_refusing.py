"""Refusals told apart, each by what its provider really says."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from live_adapter.protocols.limits import limits_seen
from live_adapter.protocols.refusing import LONGEST_WAIT_US, classify, classify_event
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
REGAIN = "You have reached your specified API usage limits. You will regain access on 2026-12-01 at 00:00 UTC."
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
    ("anthropic", 429, {}, anthropic("rate_limit_error", "Rate limited"), THROTTLE, 0),
    ("anthropic", 429, {}, anthropic("rate_limit_error", "This request would exceed your account's rate limit."), THROTTLE, 0),
    ("anthropic", 429, {"retry-after": "0"}, anthropic("rate_limit_error", "x"), THROTTLE, 0),
    ("anthropic", 429, {}, anthropic("rate_limit_error", "maximum usage increase rate"), ACCELERATION, 0),
    ("anthropic", 429, {}, b"<html>too many requests</html>", THROTTLE, 0),
    ("anthropic", 400, {}, anthropic("invalid_request_error", REGAIN), MONEY, None),  # type: ignore[list-item]
    ("anthropic", 402, {}, anthropic("billing_error"), MONEY, 0),
    ("anthropic", 404, {}, anthropic("not_found_error"), CALLER, 0),
    ("anthropic", 413, {}, anthropic("request_too_large"), CALLER, 0),
    ("anthropic", 500, {}, anthropic("api_error"), FAILED, 0),
    ("anthropic", 504, {}, anthropic("timeout_error"), TIMEOUT, 0),
    ("openai", 429, {}, openai("requests", None, "on requests per day (RPD). Please try again in 7m12s."), DAILY_QUOTA, 432 * S),
    ("openai", 429, {}, openai("billing_not_active", "billing_not_active"), MONEY, 0),
    ("openai", 408, {}, b"", TIMEOUT, 0),
    ("openai", 422, {}, openai("invalid_request_error", None), CALLER, 0),
    ("openai", 503, {}, openai("server_error", None, "The engine is currently overloaded, please try again later"), OVERLOAD, 0),
    ("gemini", 429, {}, gemini("RESOURCE_EXHAUSTED", 429, [{"reason": "MODEL_CAPACITY_EXHAUSTED"}]), OVERLOAD, 0),
    ("gemini", 429, {}, gemini("RESOURCE_EXHAUSTED", 429, [QUOTA_DAY, RETRY]), DAILY_QUOTA, 26 * S),
    ("gemini", 429, {}, openai("x", None, "You have exhausted your capacity. Your quota will reset after 5h59m59s."), THROTTLE, 21_599 * S),
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
    assert found.message
    assert 0 <= found.retry_after_us <= LONGEST_WAIT_US


WORDS = ["error", "details", "violations", "quotaId", "retryDelay", "message", "type", "code", "response", "reason"]


@given(st.sampled_from(["openai", "anthropic", "gemini"]), st.integers(300, 999), st.recursive(
    st.none() | st.integers() | st.text(max_size=20) | st.sampled_from(["rate_limit_error", "26s", "PerDay"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(WORDS), inner),
    max_leaves=12))  # fmt: skip
def test_nothing_is_raised_on_errors_of_any_shape(dialect: Any, status: int, body: Any) -> None:
    raw = json.dumps(body).encode()
    assert classify(dialect, status, {}, raw, NOW_US).kind in range(1, 10)
    assert classify_event(dialect, raw, NOW_US).kind in range(1, 10)


@pytest.mark.parametrize("value", ["-5", "nan", "inf", "1e400", "99999999999", "soon", ""])
def test_absurd_waits_are_bounded(value: str) -> None:
    assert 0 <= classify("openai", 429, {"retry-after": value}, b"", NOW_US).retry_after_us <= LONGEST_WAIT_US


@pytest.mark.parametrize(("now", "hours"), [
    ((2026, 11, 1, 7), 25.0),       # midnight there, on the day of 25 hours
    ((2027, 3, 14, 8), 23.0),
    ((2026, 12, 31, 20), 12.0),
])  # fmt: skip
def test_a_day_of_google_ends_at_its_midnight_whatever_its_length(now: tuple[int, int, int, int], hours: float) -> None:
    now_us = round(datetime(*now, tzinfo=UTC).timestamp()) * S + 250_000
    body = json.dumps(gemini("RESOURCE_EXHAUSTED", 429, [QUOTA_DAY])).encode()
    assert classify("gemini", 429, {}, body, now_us).retry_after_us == hours * 3600 * S - 250_000


def test_a_cap_that_ends_with_the_year_ends_on_the_first_of_january() -> None:
    now_us = round(datetime(2026, 12, 31, 23, 59, 59, tzinfo=UTC).timestamp()) * S
    body = json.dumps(anthropic("rate_limit_error", "x", details={"error_code": "enforced_spend_limit_reached"})).encode()
    assert classify("anthropic", 429, {}, body, now_us).retry_after_us == S


@pytest.mark.parametrize(("dialect", "body", "dimension"), [
    ("openai", openai("tokens", "rate_limit_exceeded", THROTTLED), "tpm"), ("openai", openai("requests", None), "rpm"),
    ("openai", openai("requests", None, "on requests per day (RPD): Limit 200"), "rpd"),
    ("anthropic", anthropic("rate_limit_error", "your rate limit of 8,000 output tokens per minute"), "otpm"),
    ("anthropic", anthropic("rate_limit_error", "your rate limit of 8,000 input tokens per minute"), "itpm"),
    ("anthropic", anthropic("rate_limit_error", "maximum usage increase rate for input tokens per minute"), ""),
    ("gemini", gemini("RESOURCE_EXHAUSTED", 429, [QUOTA_DAY]), "rpd"),
    ("gemini", gemini("RESOURCE_EXHAUSTED", 429, [{"violations": [{"quotaId": "GenerateContentInputTokensPerModelPerMinute"}]}]), "itpm"),
    ("gemini", gemini("RESOURCE_EXHAUSTED", 429, []), ""),
])  # fmt: skip
def test_the_limit_to_blame_is_known_where_it_is_said(dialect: Any, body: Any, dimension: str) -> None:
    assert classify(dialect, 429, {"retry-after": "1"}, json.dumps(body).encode(), NOW_US).dimension == dimension


def test_what_a_client_is_told_has_its_own_fault_in_it_but_no_key_and_no_account() -> None:
    said = "Incorrect value for org-Ab12: key sk-proj-123**abc, project proj_77 \x1b[31m at messages[0]" + "x" * 2_000
    found = classify("openai", 400, {}, json.dumps(openai("invalid_request_error", None, said)).encode(), NOW_US).message
    assert "messages[0]" in found
    assert len(found) <= 500
    assert not any(word in found for word in ("org-Ab12", "sk-proj", "proj_77", "\x1b"))
    body = json.dumps(openai("x", "invalid_api_key", "Incorrect API key provided: abcd1234")).encode()
    denied = classify("openai", 401, {}, body, NOW_US)
    assert "abcd1234" not in denied.message


@pytest.mark.parametrize(("dialect", "event", "kind"), [
    ("anthropic", anthropic("overloaded_error", "Overloaded"), OVERLOAD), ("anthropic", anthropic("api_error"), FAILED),
    ("openai", openai("insufficient_quota", "insufficient_quota"), MONEY), ("openai", openai("server_error", "server_error"), FAILED),
    ("openai", {"type": "response.failed", "response": {"error": {"code": "rate_limit_exceeded", "message": "x"}}}, THROTTLE),
    ("openai", {"type": "error", "code": "invalid_prompt", "message": "x"}, CALLER),
    ("gemini", gemini("UNAVAILABLE", 503, [])[0], OVERLOAD), ("gemini", [], FAILED),
])  # fmt: skip
def test_an_error_within_a_stream_has_the_class_it_would_have_had_before(dialect: Any, event: Any, kind: int) -> None:
    assert classify_event(dialect, json.dumps(event).encode(), NOW_US).kind == kind


def test_a_date_that_is_none_leaves_retry_after_standing() -> None:
    headers = {"retry-after": "Fri, 20 Nov 2026 12:00:30 GMT", "date": "yesterday"}
    assert classify("openai", 429, headers, b"", NOW_US).retry_after_us == 30 * S


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


def test_project_limits_and_the_most_restrictive_of_anthropic_are_dimensions_of_their_own() -> None:
    project = {"x-ratelimit-limit-project-tokens": "900", "x-ratelimit-remaining-project-tokens": "800"}
    (seen,) = limits_seen("openai", project, NOW_US)
    assert (seen.dimension, seen.limit, seen.remaining, seen.resets_us) == ("project_tpm", 900, 800, -1)
    (seen,) = limits_seen("anthropic", {"anthropic-ratelimit-tokens-remaining": "7000"}, NOW_US)
    assert (seen.dimension, seen.limit, seen.remaining, seen.rounded_to) == ("tpm", -1, 7_000, 1_000)


def test_a_reset_that_cannot_be_read_is_not_said() -> None:
    headers = {"x-ratelimit-limit-tokens": "5", "x-ratelimit-reset-tokens": "soon"}
    assert limits_seen("openai", headers, NOW_US)[0].resets_us == -1


@given(st.sampled_from(["openai", "anthropic", "gemini"]), st.dictionaries(st.sampled_from([
    "x-ratelimit-limit-tokens", "x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens", "anthropic-ratelimit-requests-limit",
    "anthropic-ratelimit-requests-remaining", "anthropic-ratelimit-requests-reset", "date"]), st.text(max_size=25)))  # fmt: skip
def test_headers_that_make_no_sense_say_nothing(dialect: Any, headers: dict[str, str]) -> None:
    for seen in limits_seen(dialect, headers, NOW_US):
        assert seen.limit >= 0 or seen.remaining >= 0

"""How each provider says no.

Sources: OpenAI API reference (error codes, rate limit guide); Anthropic API reference (errors, rate limits); Gemini API reference
(errors, QuotaFailure, RetryInfo). All as of November 2026.
"""

from dataclasses import dataclass, field
from typing import Any

from provider_emulator.accounts import Turned
from provider_emulator.config import FaultKind
from provider_emulator.headers import RetryAfter, retry_after, span

_GOOGLE = "type.googleapis.com/google.rpc."
_STATUS_FAULTS: dict[FaultKind, dict[str, tuple[int, str]]] = {
    "error": {"openai": (500, "server_error"), "anthropic": (500, "api_error"), "gemini": (500, "INTERNAL")},
    "unavailable": {"openai": (503, "server_error"), "anthropic": (503, "api_error"), "gemini": (503, "UNAVAILABLE")},
    "overloaded": {"openai": (503, "server_error"), "anthropic": (529, "overloaded_error"), "gemini": (503, "UNAVAILABLE")},
    "throttle": {"openai": (429, "requests"), "anthropic": (429, "rate_limit_error"), "gemini": (429, "RESOURCE_EXHAUSTED")},
}  # fmt: skip
_MESSAGES = {
    "error": "The server had an error while processing your request.", "unavailable": "The service is temporarily unavailable.",
    "overloaded": "Overloaded", "throttle": "Rate limit reached for requests.",
}  # fmt: skip
_OPENAI_PER = {"rpm": "requests per min (RPM)", "rpd": "requests per day (RPD)", "tpd": "tokens per day (TPD)",
               "concurrency": "concurrent requests"}  # fmt: skip
_ANTHROPIC_PER = {"rpm": "requests per minute", "rpd": "requests per day", "itpm": "input tokens per minute",
                  "otpm": "output tokens per minute", "tpd": "tokens per day"}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Said:
    """An answer of status and JSON, with headers of its own."""

    status: int
    body: Any
    headers: dict[str, str] = field(default_factory=dict)


def error(
    protocol: str, status: int, kind: str, message: str, *, code: str | None = None, param: str | None = None, details: Any = None,
    request_id: str = "",
) -> Said:  # fmt: skip
    """An error in the provider's shape. `kind` is OpenAI's type, Anthropic's type or Google's status."""
    if protocol == "anthropic":
        own = {"type": kind, "message": message} | ({"details": details} if details else {})
        return Said(status, {"type": "error", "error": own, "request_id": request_id})
    if protocol == "gemini":
        google = {"code": status, "message": message, "status": kind} | ({"details": details} if details else {})
        return Said(status, {"error": google})
    return Said(status, {"error": {"message": message, "type": kind, "param": param, "code": code}})


def bad_request(protocol: str, message: str, *, param: str | None, request_id: str) -> Said:
    """What was asked for makes no sense."""
    kind = "INVALID_ARGUMENT" if protocol == "gemini" else "invalid_request_error"
    return error(protocol, 400, kind, message, param=param, request_id=request_id)


def too_long(protocol: str, tokens: int, most: int, request_id: str) -> Said:
    """More input than the model reads."""
    if protocol == "openai":
        message = (
            f"This model's maximum context length is {most} tokens. However, your messages resulted in {tokens} tokens. "
            "Please reduce the length of the messages."
        )
        return error(protocol, 400, "invalid_request_error", message, code="context_length_exceeded", param="messages")
    if protocol == "anthropic":
        return bad_request(protocol, f"prompt is too long: {tokens} tokens > {most} maximum", param=None, request_id=request_id)
    message = f"The input token count ({tokens}) exceeds the maximum number of tokens allowed ({most})."
    return bad_request(protocol, message, param=None, request_id=request_id)


def no_model(protocol: str, model: str, request_id: str) -> Said:
    """A model that this account does not have."""
    if protocol == "anthropic":
        return error(protocol, 404, "not_found_error", f"model: {model}", request_id=request_id)
    if protocol == "gemini":
        return error(protocol, 404, "NOT_FOUND", f"models/{model} is not found for API version v1beta.")
    message = f"The model `{model}` does not exist or you do not have access to it."
    return error(protocol, 404, "invalid_request_error", message, code="model_not_found", param="model")


def no_path(protocol: str, path: str, request_id: str) -> Said:
    """A path that this provider does not have."""
    kind = {"anthropic": "not_found_error", "gemini": "NOT_FOUND"}.get(protocol, "invalid_request_error")
    return error(protocol, 404, kind, f"Unknown request URL: {path}", code="unknown_url", request_id=request_id)


def too_large(protocol: str, request_id: str) -> Said:
    """A body of more bytes than are read."""
    kind = {"anthropic": "request_too_large", "gemini": "INVALID_ARGUMENT"}.get(protocol, "invalid_request_error")
    return error(protocol, 413, kind, "Request exceeds the maximum size", request_id=request_id)


def unauthorized(protocol: str, request_id: str) -> Said:
    """A key that is unknown, or not known any more."""
    if protocol == "gemini":
        details = [{"@type": f"{_GOOGLE}ErrorInfo", "reason": "API_KEY_INVALID", "domain": "googleapis.com"}]
        return error(protocol, 400, "INVALID_ARGUMENT", "API key not valid. Please pass a valid API key.", details=details)
    if protocol == "anthropic":
        return error(protocol, 401, "authentication_error", "invalid x-api-key", request_id=request_id)
    return error(protocol, 401, "invalid_request_error", "Incorrect API key provided.", code="invalid_api_key")


def failed(protocol: str, kind: FaultKind, request_id: str) -> Said:
    """A fault that is told by a status."""
    if kind == "unauthorized":
        return unauthorized(protocol, request_id)
    status, word = _STATUS_FAULTS[kind][protocol]
    code = "rate_limit_exceeded" if status == 429 else None
    return error(protocol, status, word, _MESSAGES[kind], code=code, request_id=request_id)


def throttled(protocol: str, model: str, turned: Turned, scale: float, form: RetryAfter, wall_s: float, request_id: str) -> Said:
    """A limit has turned a request away."""
    amount = turned.held.spec.amount * scale
    if protocol == "anthropic":
        return _anthropic_throttled(turned, amount, form, wall_s, request_id)
    if protocol == "gemini":
        return _gemini_throttled(model, turned, amount, form)
    return _openai_throttled(model, turned, amount, form, wall_s)


def _openai_throttled(model: str, turned: Turned, amount: float, form: RetryAfter, wall_s: float) -> Said:
    dimension = turned.held.spec.dimension
    if dimension == "spend":
        message = "You exceeded your current quota, please check your plan and billing details."
        return error("openai", 429, "insufficient_quota", message, code="insufficient_quota")
    message = (
        f"Rate limit reached for {model} in organization org-emulated on {_OPENAI_PER.get(dimension, 'tokens per min (TPM)')}: "
        f"Limit {amount:.0f}, Used {max(0.0, turned.used):.0f}, Requested {turned.units:.0f}. Please try again in {span(turned.wait_s)}."
    )
    kind = "requests" if dimension in ("rpm", "rpd", "concurrency") else "tokens"
    said = error("openai", 429, kind, message, code="rate_limit_exceeded")
    return Said(429, said.body, retry_after(turned.wait_s, form, wall_s))


def _anthropic_throttled(turned: Turned, amount: float, form: RetryAfter, wall_s: float, request_id: str) -> Said:
    dimension = turned.held.spec.dimension
    if dimension == "spend":
        # A spent cap comes without retry-after.
        message, details = "You have reached your specified API usage limits.", {"error_code": "enforced_spend_limit_reached"}
        return error("anthropic", 429, "rate_limit_error", message, details=details, request_id=request_id)
    per = _ANTHROPIC_PER.get(dimension, "tokens per minute")
    message = f"This request would exceed your organization's rate limit of {amount:,.0f} {per}."
    if dimension == "acceleration":
        message = "This request would exceed your organization's maximum usage increase rate for input tokens per minute."
    elif dimension == "concurrency":
        message = "Number of concurrent connections has exceeded your rate limit."
    said = error("anthropic", 429, "rate_limit_error", message, request_id=request_id)
    return Said(429, said.body, retry_after(turned.wait_s, form, wall_s))


def _gemini_throttled(model: str, turned: Turned, amount: float, form: RetryAfter) -> Said:
    spec = turned.held.spec
    per = "Day" if spec.dimension in ("rpd", "tpd") else "Minute"
    what, metric = ("Requests", "requests") if spec.charge == "requests" else ("InputTokens", "input_token_count")
    violation = {
        "quotaMetric": f"generativelanguage.googleapis.com/generate_content_{metric}",
        "quotaId": f"Generate{what}Per{per}PerProjectPerModel", "quotaDimensions": {"location": "global", "model": model},
        "quotaValue": f"{amount:.0f}",
    }  # fmt: skip
    details: list[Any] = [
        {"@type": f"{_GOOGLE}QuotaFailure", "violations": [violation]},
        {"@type": f"{_GOOGLE}Help", "links": [{"description": "Learn more about Gemini API quotas", "url": "https://ai.google.dev/gemini-api/docs/rate-limits"}]},
    ]  # fmt: skip
    if form != "missing":
        details.append({"@type": f"{_GOOGLE}RetryInfo", "retryDelay": f"{max(turned.wait_s, 0.001):.3f}s"})
    return error("gemini", 429, "RESOURCE_EXHAUSTED", "You exceeded your current quota, please check your plan and billing details.",
                 details=details)  # fmt: skip

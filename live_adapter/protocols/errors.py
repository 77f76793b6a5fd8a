"""Errors in the shape that a client's protocol has, so that its library raises what its user expects."""

import json

from live_adapter.protocols.calls import Dialect

_ANTHROPIC_TYPES = {
    400: "invalid_request_error", 401: "authentication_error", 402: "billing_error", 403: "permission_error", 404: "not_found_error",
    413: "request_too_large", 429: "rate_limit_error", 503: "overloaded_error", 504: "timeout_error", 529: "overloaded_error",
}  # fmt: skip
_GOOGLE_STATUS = {
    400: "INVALID_ARGUMENT", 401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED", 404: "NOT_FOUND", 429: "RESOURCE_EXHAUSTED",
    503: "UNAVAILABLE", 504: "DEADLINE_EXCEEDED",
}  # fmt: skip


def error_body(dialect: Dialect, status: int, code: str, message: str) -> bytes:
    """The body of an error answer; `code` is a word of ours."""
    if dialect == "anthropic":
        kind = _ANTHROPIC_TYPES.get(status, "api_error")
        return json.dumps({"type": "error", "error": {"type": kind, "message": message, "code": code}}).encode()
    if dialect == "gemini":
        kind = _GOOGLE_STATUS.get(status, "INTERNAL")
        return json.dumps({"error": {"code": status, "status": kind, "message": message, "details": [{"reason": code}]}}).encode()
    return json.dumps({"error": {"message": message, "type": code, "param": None, "code": code}}).encode()


def error_event(dialect: Dialect, code: str, message: str) -> bytes:
    """The last event of a stream that breaks."""
    event = b"event: error\n" if dialect == "anthropic" else b""
    return event + b"data: " + error_body(dialect, 502, code, message) + b"\n\n"

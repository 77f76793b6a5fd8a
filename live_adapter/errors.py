"""Errors that callers of `live_adapter` may catch.

LiveError
 +- LiveConfigError   a configuration that cannot be used
"""

from policies.errors import PoliciesError


class LiveError(PoliciesError):
    """Root of every error that this package raises on purpose."""


class LiveConfigError(LiveError):
    """A live configuration that names what is not there, or leaves out what is needed."""

"""Errors of billing.

LiveError
 +- BillingError   figures that do not hold together: names the file, field or line, and what would be right
"""

from live_adapter.errors import LiveError


class BillingError(LiveError):
    """Attempts, prices, exports or rules that cannot be made into money without guessing."""

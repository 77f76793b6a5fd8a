"""The log checker: an independent witness of what the gateway did.

It reads the rows of the log, the platform and the bundle, and nothing else. From `policies` it
takes words (schema, bundle, log), no rule: every limit, price, order and deadline is worked out
anew in whole numbers. See docs/checker.md.
"""

from forge1sim.check.checker import check_log
from forge1sim.check.report import Finding, Report

__all__ = ["Finding", "Report", "check_log"]

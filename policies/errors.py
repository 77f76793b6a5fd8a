"""Errors that callers of `policies` may catch.

PoliciesError
 +- SchemaError      a platform or bundle that cannot be built
 +- PolicyError      a user's policy that breaks the contract
"""


class PoliciesError(Exception):
    """Root of every error that this package raises on purpose."""


class SchemaError(PoliciesError):
    """A platform or bundle names something that does not exist or cannot hold together."""


class PolicyError(PoliciesError):
    """A policy function that is missing, impure, not compilable or not deterministic."""

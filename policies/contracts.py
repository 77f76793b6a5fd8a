"""Policies of one's own: where a scenario names them, what they are called with, what they may answer.

The words alone. `policies.source_rules` and `policies.conformance` hold a function to its contract,
`policies.plug` lets compiled code call it.
"""

from dataclasses import dataclass

PARAMS = 16                 # numbers of the scenario that a policy gets
MEMORY_WORDS = 64           # numbers that it keeps from call to call
MEMORY = "memory"
OWN_POLICY = r"^[^:\x00]{1,250}\.py:[A-Za-z_][A-Za-z0-9_]{0,99}$"


@dataclass(frozen=True, slots=True)
class Contract:
    """One kind of policy. `field` is where the bundle names it, with `params` beside it."""

    kind: str
    field: str
    arguments: tuple[str, ...]
    answer: str
    rule: str

    @property
    def may_write(self) -> str:
        """What may be written, in words."""
        return f"only `{MEMORY}` may be written" if MEMORY in self.arguments else "nothing may be written"

    @property
    def may_keep(self) -> str:
        """Where something may be remembered, in words."""
        return f"what a policy remembers belongs in `{MEMORY}`" if MEMORY in self.arguments else f"a {self.kind} policy remembers nothing"


_ALL = (
    Contract(
        "routing", "routing.policy", ("request", "candidates", "deployments", "tenant", "params", MEMORY, "now_us"),
        "a row, such as candidates[0], or -1", "it returns one of the candidates, or -1, on every sample",
    ),
    Contract(
        "scaling", "scaling.policy", ("pool", "params", MEMORY, "now_us"),
        "1 (add an account), -1 (retire one) or 0", "it returns 1, -1 or 0 on every sample",
    ),
    Contract(
        "tier", "reservation.mode", ("request", "limit", "tiers", "params", "now_us"),
        "1 (the request may take its units) or 0 (they are kept)", "it returns 1 or 0, True or False, on every sample",
    ),
)  # fmt: skip
CONTRACTS = {contract.kind: contract for contract in _ALL}


def kind_by_arguments(arguments: tuple[str, ...]) -> str:
    """The kind of policy that takes these arguments, or most of them; routing where nothing tells."""
    return max(CONTRACTS, key=lambda kind: len(set(arguments) & set(CONTRACTS[kind].arguments)))

"""The policy bundle: everything that decides, named, versioned and hashed, ready to promote."""

import hashlib
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, Strict, model_validator

from policies.contracts import CONTRACTS, OWN_POLICY, PARAMS
from policies.schema import Count, Flag, Name, NonNegative, Number, Positive, Ratio, Table, Tier
from policies.shipped import shipped_names

BUNDLE_SCHEMA_VERSION = 1

DESIGN_TIERS = (
    Tier(
        name="enterprise", min_contract_usd_per_month=200_000.0, dedicated_keys=True,
        rate_limit_multiplier=5.0, priority_score=100.0, guaranteed_capacity=0.8,
    ),
    Tier(
        name="professional", min_contract_usd_per_month=50_000.0,
        rate_limit_multiplier=2.0, priority_score=50.0, guaranteed_capacity=0.4,
    ),
    Tier(
        name="standard", rate_limit_multiplier=1.0, priority_score=10.0, guaranteed_capacity=0.1,
    ),
)  # fmt: skip


# A shipped name, or `file.py:function` of the operator's policy folders; the loader checks which there are.
PolicyName = Annotated[str, Strict(), Field(min_length=1, max_length=300)]
BidPrices = dict[Name, Annotated[NonNegative, Field(le=1e6)]]
Params = Annotated[tuple[Number, ...], Field(max_length=PARAMS)]


def _names_for(field: str) -> dict[str, Any]:
    """What editors offer for the name of a policy."""
    return {"anyOf": [{"enum": [*shipped_names(field)]}, {"pattern": OWN_POLICY}]}


class Routing(Table):
    """How a model and then a deployment is chosen among those with room.

    `policy` is a shipped name or `file.py:function` of the operator's policy folders, which gets `params`.
    `model_choice` ranks models for requests that name none; `cost_efficiency` as `policy`
    is short for `model_choice: cost_efficiency` with `headroom` inside the model.
    Bid prices, by name of the model, are added to what a request is expected to cost where `model_choice`
    compares costs: what a place with a model that fills up is worth to others. Nobody pays them.
    """

    policy: PolicyName = Field(default="cost_efficiency", json_schema_extra=_names_for("routing.policy"))
    model_choice: Literal["cost_efficiency", "cheapest", "best_quality", "any"] = "cost_efficiency"
    params: Params = ()
    bid_price_usd_per_request: BidPrices = Field(default_factory=dict)
    bid_price_usd_per_1m_tokens: BidPrices = Field(default_factory=dict)

    def bids(self) -> list[tuple[str, str]]:
        """Field and model of every bid price."""
        fields = ("bid_price_usd_per_request", "bid_price_usd_per_1m_tokens")
        return [(field, model) for field in fields for model in getattr(self, field)]


class Reservation(Table):
    """What a tier's guaranteed share means on shared accounts (docs/tiers.md).

    floor: lent when idle, nothing is killed, what frees goes to the owner first;
    partition: a tier uses its own share only; trunk: lower tiers leave the shares of higher
    ones free; cap: the tiers below share what higher ones leave; preempt: the owner of a
    floor takes a borrowed slot back at once; none: shares are ignored; `file.py:function` of
    the operator's policy folders says who may take room, and gets `params`.
    Shares above 1 in sum are granted in order of priority until 1 is reached, or scaled.
    """

    mode: PolicyName = Field(default="floor", json_schema_extra=_names_for("reservation.mode"))
    params: Params = ()
    oversubscription: Literal["priority", "proportional"] = "priority"
    dedicated_overflow: Flag = True
    recovery_s: Positive = 60.0


class Queueing(Table):
    """Waiting. `aging_per_s` is priority won per second of waiting; bounds are in requests."""

    enabled: Flag = True
    max_waiting: Count = 200_000
    max_waiting_per_tenant: Count = 100_000
    max_in_system: Annotated[int, Strict(), Field(ge=1, le=5_000_000)] = 262_144
    aging_per_s: NonNegative = 1.0
    fair_share: Flag = True


class Retry(Table):
    """Attempts in all, and the jittered exponential backoff between them."""

    max_attempts: Annotated[int, Strict(), Field(ge=1, le=32)] = 4
    backoff_s: Positive = 0.5
    backoff_max_s: Positive = 30.0
    fallback_models: Flag = True


class Cooldown(Table):
    """When a deployment rests. A later failure never shortens a rest."""

    failures_to_cool: Annotated[int, Strict(), Field(ge=1, le=10_000)] = 3
    failure_window_s: Positive = 60.0
    cooldown_s: Positive = 30.0
    throttle_s: Positive = 5.0
    overload_s: Positive = 10.0
    acceleration_s: Positive = 30.0
    money_s: Positive = 3600.0


class Scaling(Table):
    """When accounts of a provider are added or retired.

    `policy` is `none`, `threshold`, `predictive` or `file.py:function` of the operator's policy folders,
    which gets `params`. Every policy is asked each `period_s` and held to `cooldown_s` and the bounds on accounts.
    """

    policy: PolicyName = Field(default="none", json_schema_extra=_names_for("scaling.policy"))
    params: Params = ()
    period_s: Positive = 60.0
    add_above: Ratio = 0.8
    retire_below: Ratio = 0.3
    hold_periods: Annotated[int, Strict(), Field(ge=1, le=1000)] = 3
    cooldown_s: NonNegative = 300.0
    min_accounts: Count = 1
    max_accounts: Count = 1000
    horizon_s: NonNegative = 600.0

    @model_validator(mode="after")
    def _hysteresis(self) -> "Scaling":
        if self.retire_below >= self.add_above:
            raise ValueError(f"retire_below {self.retire_below} must be below add_above {self.add_above}")
        return self


class PolicyBundle(Table):
    """All policies and their parameters, the tiers they serve, and a name for people."""

    schema_version: Literal[1] = 1
    name: Name = "default"
    tiers: tuple[Tier, ...] = Field(default=DESIGN_TIERS, min_length=1, max_length=16)
    routing: Routing = Routing()
    reservation: Reservation = Reservation()
    queue: Queueing = Queueing()
    retry: Retry = Retry()
    cooldown: Cooldown = Cooldown()
    scaling: Scaling = Scaling()
    output_prediction_ratio: Ratio = 0.5

    def named_policies(self) -> dict[str, str]:
        """The names of the policies of each kind that may be the user's own (`policies.contracts`)."""
        places = {kind: contract.field.split(".") for kind, contract in CONTRACTS.items()}
        return {kind: str(getattr(getattr(self, section), field)) for kind, (section, field) in places.items()}

    def own_policies(self) -> dict[str, str]:
        """Of these the user's own: `file.py:function` by kind."""
        return {kind: name for kind, name in self.named_policies().items() if ":" in name}

    def content_hash(self, user_sources: tuple[bytes, ...] = ()) -> str:
        """SHA-256 over the parameters, every source file of `policies` and the named user policies."""
        digest = hashlib.sha256(self.model_dump_json().encode())
        for source in (*package_sources(), *user_sources):
            digest.update(hashlib.sha256(source).digest())
        return digest.hexdigest()


def package_sources() -> list[bytes]:
    """Bytes of every source file of `policies`, by path, for hashing."""
    root = Path(__file__).parent
    return [path.read_bytes() for path in sorted(root.rglob("*.py"))]


def bundle_json_schema() -> dict[str, Any]:
    """JSON Schema of the bundle, for editors."""
    return PolicyBundle.model_json_schema()

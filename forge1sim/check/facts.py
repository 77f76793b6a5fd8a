"""What a log must be true to: platform and bundle as whole numbers, in the row order of the log.

Worked out anew from the definitions in `policies.schema` and `policies.bundle`, sharing no code
with the gateway. Row numbers: accounts in the order given, expanded by `count`; buckets account
by account; limits of an account first those of the whole account, then bucket by bucket, in each
known ones before unknown; deployments by model, then account; tenants in the order given. Limit
rows of tenants follow those of accounts.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from fractions import Fraction
from zoneinfo import ZoneInfo

from policies.bundle import PolicyBundle
from policies.log import ACTIVE, ORDERABLE, STANDBY
from policies.schema import Account, Limit, Model, Platform, Tier

DAY_US = 86_400_000_000
BUDGET_PERIOD_US = 30 * DAY_US
NEVER_US = 2**62
NANO = 10**9
NOBODY = -1
AUTO = -1

_WINDOW_OF = {"rpd": "day", "tpd": "day", "spend": "fixed", "concurrency": "none"}
_CHARGE_OF = {
    "tpm": "max_tokens", "itpm": "input", "otpm": "output", "tpd": "total", "spend": "cost", "acceleration": "input",
}  # fmt: skip
_STATES = {"active": ACTIVE, "standby": STANDBY, "orderable": ORDERABLE}


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitFact:
    """One limit. `amount` counts requests, tokens or nano-USD per window (buckets: per minute)."""

    name: str
    window: str              # token_bucket, paced, fixed, sliding, day, none or acceleration
    charge: str
    amount: int
    depth: int               # most units at once: of a bucket `burst_s` worth, else `amount`
    window_us: int = 0
    offset_us: int = 0       # windows start at multiples of `window_us` plus this
    growth_pm: int = 0
    known: bool = True
    account: int = NOBODY


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountFact:
    """One account: rows of its own known limits, and of those of all its buckets."""

    name: str
    spec: Account
    pool: int
    state: int
    dedicated_tier: int
    own_limits: tuple[int, ...]
    first_limit: int                # own limits, known or not, are rows [first_limit, first_bucket_limit)
    first_bucket_limit: int
    all_limits: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DeploymentFact:
    """One model through one account, and the known limits it draws on."""

    name: str
    row: int
    model: int
    account: int
    bucket: int
    shared: bool
    limits: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFact:
    """Prices in nano-USD per million tokens; performance per mille at five complexities."""

    name: str
    input_price: int
    cached_price: int
    output_price: int
    context_tokens: int
    max_output_tokens: int
    performance_pm: tuple[int, ...]
    chain: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TierFact:
    """A tier: `rank` 0 has the highest priority, `above` is granted to ranks before it. Shares are of each limit."""

    name: str
    priority_milli: int
    rank: int
    share: Fraction
    above: Fraction
    share_pm: int
    above_pm: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantFact:
    """A tenant. `budget` -1: none; `request_budget` 0: none; `access` numbers its kind of contract."""

    name: str
    tier: int
    access: int
    budget: int
    request_budget: int
    weight_milli: int
    floor_pm: int
    limits: tuple[tuple[int, LimitFact], ...]


def micro(seconds: float) -> int:
    """Whole microseconds."""
    return round(seconds * 1_000_000)


def nano(usd: float) -> int:
    """Whole nano-USD."""
    return round(usd * NANO)


class Facts:
    """Everything about a platform under a bundle that a log can contradict."""

    def __init__(self, platform: Platform, bundle: PolicyBundle, start_us: int) -> None:
        self.bundle = bundle
        self.start_us = start_us
        self.platform = platform
        self.limits: list[LimitFact] = []
        self.accounts: list[AccountFact] = []
        self.bucket_accounts: list[int] = []
        self.deployments: list[DeploymentFact] = []
        self.pools: list[tuple[str, str | None]] = []
        self.models = _models(platform)
        self.tiers = _tiers(bundle)
        self.model_deployments: list[tuple[int, ...]] = []
        self.account_deployments: list[tuple[int, ...]] = []
        self._tier_rows = {tier.name: row for row, tier in enumerate(bundle.tiers)}
        self._add_accounts()
        self.tenants: list[TenantFact] = []
        self.open: list[frozenset[int]] = []          # by access: deployments that the contract opens
        self._add_tenants()

    def _add_accounts(self) -> None:
        zones = {provider.name: provider.timezone for provider in self.platform.providers}
        served: list[tuple[int, int, int, tuple[int, ...]]] = []
        for spec in self.platform.accounts:
            offset_us = _midnight_offset_us(zones.get(spec.provider, "UTC"), self.start_us)
            for name in _numbered(spec.name, spec.count):
                served += self._add_account(name, spec, offset_us)
        for model in range(len(self.models)):
            lo = len(self.deployments)
            for row, account, bucket, limits in served:
                if row == model:
                    fact = self.accounts[account]
                    self.deployments.append(
                        DeploymentFact(
                            name=f"{fact.name}/{self.models[model].name}", row=len(self.deployments), model=model,
                            account=account, bucket=bucket, shared=fact.spec.dedicated_to is None,
                            limits=fact.own_limits + limits,
                        )
                    )  # fmt: skip
            self.model_deployments.append(tuple(range(lo, len(self.deployments))))
        for account in range(len(self.accounts)):
            self.account_deployments.append(
                tuple(row for row, deployment in enumerate(self.deployments) if deployment.account == account)
            )

    def _add_account(self, name: str, spec: Account, offset_us: int) -> list[tuple[int, int, int, tuple[int, ...]]]:
        """Append an account; returns (model, account, bucket, known limits of the bucket) for what it serves."""
        account = len(self.accounts)
        first = len(self.limits)
        own = self._add_limits([limit for limit in spec.limits if limit.model_class == "*"], name, account, offset_us)
        first_bucket_limit = len(self.limits)
        buckets: dict[str, tuple[int, tuple[int, ...]]] = {}
        served = []
        for row, model in enumerate(self.platform.models):
            if (model.name not in spec.models) if spec.models else (model.provider != spec.provider):
                continue
            served.append((row, model.model_class or model.name))
        if spec.models:
            served.sort(key=lambda pair: spec.models.index(self.platform.models[pair[0]].name))
        for _, class_name in served:
            if class_name not in buckets:
                specs = [limit for limit in spec.limits if limit.model_class == class_name]
                rows = self._add_limits(specs, f"{name}/{class_name}", account, offset_us)
                buckets[class_name] = (len(self.bucket_accounts), rows)
                self.bucket_accounts.append(account)
        pool = (spec.provider, spec.dedicated_to)
        if pool not in self.pools:
            self.pools.append(pool)
        self.accounts.append(
            AccountFact(
                name=name, spec=spec, pool=self.pools.index(pool), state=_STATES[spec.state],
                dedicated_tier=self._tier_rows.get(spec.dedicated_to or "", NOBODY),
                own_limits=own, first_limit=first, first_bucket_limit=first_bucket_limit,
                all_limits=own + tuple(row for _, rows in buckets.values() for row in rows),
            )
        )  # fmt: skip
        return [(row, account, *buckets[class_name]) for row, class_name in served]

    def _add_limits(self, specs: list[Limit], where: str, account: int, offset_us: int) -> tuple[int, ...]:
        """Append limits, the known first; returns the rows of those."""
        lo = len(self.limits)
        for spec in sorted(specs, key=lambda limit: not limit.known):
            self.limits.append(_limit(spec, f"{where}.{spec.dimension}", account, offset_us))
        return tuple(range(lo, lo + sum(spec.known for spec in specs)))

    def _add_tenants(self) -> None:
        accesses: dict[tuple[object, ...], int] = {}
        tiers = self.bundle.tiers
        row = len(self.limits)
        for group in self.platform.tenants:
            tier = self._tier_of(group.tier, group.contract_usd_per_month)
            contract = (tier, frozenset(group.regions), frozenset(group.tags), frozenset(group.models))
            if contract not in accesses:
                accesses[contract] = len(self.open)
                self.open.append(self._opened(*contract))
            floor = tiers[tier].quality_floor if group.quality_floor is None else group.quality_floor
            multiplier = tiers[tier].rate_limit_multiplier
            for name in _numbered(group.name, group.count):
                limits: list[tuple[int, LimitFact]] = []
                for charge, base in (("requests", group.requests_per_min), ("max_tokens", group.tokens_per_min)):
                    if base is not None:
                        amount = min(max(1, round(base * multiplier)), NANO)
                        fact = LimitFact(name=f"{name}.{charge}", window="token_bucket", charge=charge, amount=amount, depth=amount)
                        limits.append((row, fact))
                        row += 1
                self.tenants.append(
                    TenantFact(
                        name=name, tier=tier, access=accesses[contract],
                        budget=NOBODY if group.budget_usd_per_month is None else nano(group.budget_usd_per_month),
                        request_budget=nano(group.request_budget_usd or 0.0),
                        weight_milli=max(1, round(group.weight * 1000)), floor_pm=round(floor * 1000), limits=tuple(limits),
                    )
                )  # fmt: skip

    def _tier_of(self, name: str | None, contract_usd: float) -> int:
        if name is not None:
            return self._tier_rows[name]
        reached = [t for t, tier in enumerate(self.bundle.tiers) if tier.min_contract_usd_per_month <= contract_usd]
        return max(reached, key=lambda t: self.bundle.tiers[t].min_contract_usd_per_month)

    def _opened(self, tier: int, regions: frozenset[str], tags: frozenset[str], models: frozenset[str]) -> frozenset[int]:
        """Deployments that a contract opens."""
        spec = self.bundle.tiers[tier]
        has_own = any(account.spec.dedicated_to == spec.name for account in self.accounts)
        own_only = spec.dedicated_keys and has_own and not self.bundle.reservation.dedicated_overflow
        found = set()
        for row, deployment in enumerate(self.deployments):
            account = self.accounts[deployment.account].spec
            mine = account.dedicated_to == spec.name or (account.dedicated_to is None and not own_only)
            here = not regions or account.region in regions
            listed = not models or self.models[deployment.model].name in models
            if mine and here and listed and tags <= set(account.tags):
                found.add(row)
        return frozenset(found)


def _numbered(name: str, count: int) -> list[str]:
    return [name] if count == 1 else [f"{name}-{number}" for number in range(1, count + 1)]


def _midnight_offset_us(zone: str, start_us: int) -> int:
    """Where the days of a time zone begin against those of UTC, as of the start."""
    offset = datetime.fromtimestamp(start_us / 1e6, tz=UTC).astimezone(ZoneInfo(zone)).utcoffset()
    return -round(offset.total_seconds() if offset else 0) * 1_000_000 % DAY_US


def _limit(spec: Limit, name: str, account: int, offset_us: int) -> LimitFact:
    window = spec.window or _WINDOW_OF.get(spec.dimension, "token_bucket")
    charge = spec.charge or _CHARGE_OF.get(spec.dimension, "requests")
    if spec.dimension == "acceleration":
        window = "acceleration"
    amount = nano(spec.limit) if charge == "cost" else round(spec.limit)
    in_bucket = window in ("token_bucket", "paced")
    window_us = DAY_US if window == "day" else micro(spec.window_s) if window in ("fixed", "sliding", "acceleration") else 0
    return LimitFact(
        name=name, window=window, charge=charge, amount=amount, known=spec.known, account=account,
        depth=max(1, round(amount * spec.burst_s / 60)) if in_bucket else amount, window_us=window_us,
        offset_us=offset_us if window == "day" else 0, growth_pm=round(spec.growth * 1000),
    )  # fmt: skip


def _models(platform: Platform) -> list[ModelFact]:
    rows = {model.name: row for row, model in enumerate(platform.models)}
    return [_model(model, platform, rows) for model in platform.models]


def _model(model: Model, platform: Platform, rows: dict[str, int]) -> ModelFact:
    chain = [rows[model.name]]
    for row in chain:
        chain += [rows[name] for name in dict.fromkeys(platform.models[row].fallbacks) if rows[name] not in chain]
    cached = model.cached_input_usd_per_1m
    return ModelFact(
        name=model.name, input_price=nano(model.input_usd_per_1m),
        cached_price=nano(model.input_usd_per_1m if cached is None else cached), output_price=nano(model.output_usd_per_1m),
        context_tokens=model.context_tokens, max_output_tokens=model.max_output_tokens,
        performance_pm=tuple(round(share * 1000) for share in model.performance), chain=tuple(chain),
    )  # fmt: skip


def _tiers(bundle: PolicyBundle) -> list[TierFact]:
    """Tiers with their shares as granted: in sum at most 1, by priority or all scaled alike."""
    tiers = bundle.tiers
    order = sorted(range(len(tiers)), key=lambda row: (-tiers[row].priority_score, row))
    promised = [Fraction(str(tier.guaranteed_capacity)) for tier in tiers]
    granted = list(promised)
    if sum(promised) > 1:
        if bundle.reservation.oversubscription == "proportional":
            granted = [share / sum(promised) for share in promised]
        else:
            left = Fraction(1)
            for row in order:
                granted[row] = min(promised[row], left)
                left -= granted[row]
    return [_tier(tiers[row], order.index(row), granted, order) for row in range(len(tiers))]


def _tier(tier: Tier, rank: int, granted: list[Fraction], order: list[int]) -> TierFact:
    share, above = granted[order[rank]], sum((granted[row] for row in order[:rank]), Fraction(0))
    return TierFact(
        name=tier.name, priority_milli=round(tier.priority_score * 1000), rank=rank, share=share, above=above,
        share_pm=round(share * 1000), above_pm=round(above * 1000),
    )  # fmt: skip

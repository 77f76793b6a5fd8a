"""From a platform to flat tables: which rows exist, in which order.

Accounts are expanded by `count`; deployments are ordered by model, then account, so that the
deployments of a model are one range; the limits of an account stand together, first those of
the whole account, then bucket by bucket (account x model class), known ones before unknown.
Gateway, provider emulator, metrics and reports agree on these row numbers.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from policies.errors import SchemaError
from policies.schema import Account, Charge, Limit, Model, Platform, Provider, TenantGroup, Window

DEFAULT_WINDOW: dict[str, Window] = {
    "rpm": "token_bucket", "tpm": "token_bucket", "itpm": "token_bucket", "otpm": "token_bucket",
    "rpd": "day", "tpd": "day", "spend": "fixed", "concurrency": "none", "acceleration": "fixed",
}  # fmt: skip
DEFAULT_CHARGE: dict[str, Charge] = {
    "rpm": "requests", "tpm": "max_tokens", "itpm": "input", "otpm": "output",
    "rpd": "requests", "tpd": "total", "spend": "cost", "concurrency": "requests", "acceleration": "input",
}  # fmt: skip
DIMENSIONS = ("rpm", "tpm", "itpm", "otpm", "rpd", "tpd", "spend", "concurrency", "acceleration")
WINDOWS = ("token_bucket", "paced", "fixed", "sliding", "day", "none", "acceleration")
CHARGES = ("requests", "max_tokens", "input", "uncached_input", "output", "total", "cost")
DAY_US = 86_400_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitRow:
    """One limit with its unit made whole: requests, tokens or nano-USD per window."""

    name: str
    account: int
    bucket: int                 # -1: of the whole account
    dimension: str
    window: str                 # one of WINDOWS
    charge: str                 # one of CHARGES
    amount: int                 # units per window (token_bucket, paced: per minute)
    depth: int                  # most units at once in a bucket: amount * burst_s / 60
    window_us: int              # 0 for token_bucket, paced and none
    offset_us: int              # windows start at k * window_us + offset_us
    growth_pm: int              # acceleration only, per mille
    known: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountRow:
    """One account after expansion, with the rows of its own limits [lo, known_hi, hi)."""

    name: str
    spec: Account
    provider: int
    limit_lo: int
    limit_known_hi: int
    limit_hi: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BucketRow:
    """The limits that the models of one class share inside one account, rows [lo, known_hi, hi)."""

    account: int
    model_class: str
    limit_lo: int
    limit_known_hi: int
    limit_hi: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DeploymentRow:
    """One model reached through one account."""

    name: str
    model: int
    account: int
    bucket: int


@dataclass(frozen=True, slots=True)
class Layout:
    """Every row of a platform, in order."""

    platform: Platform
    providers: list[Provider] = field(default_factory=list)
    models: list[Model] = field(default_factory=list)
    accounts: list[AccountRow] = field(default_factory=list)
    buckets: list[BucketRow] = field(default_factory=list)
    deployments: list[DeploymentRow] = field(default_factory=list)
    limits: list[LimitRow] = field(default_factory=list)
    model_deployments: list[tuple[int, int]] = field(default_factory=list)
    tenant_names: list[str] = field(default_factory=list)
    tenant_groups: list[TenantGroup] = field(default_factory=list)
    tenant_group: list[int] = field(default_factory=list)


def model_class(model: Model) -> str:
    """The name of the bucket whose limits this model draws on."""
    return model.model_class or model.name


def nano_usd(usd: float) -> int:
    """Whole nano-USD."""
    return round(usd * 1_000_000_000)


def day_offset_us(timezone: str, start_us: int) -> int:
    """Where days begin in `timezone`, as an offset to UTC days, as of `start_us`."""
    moment = datetime.fromtimestamp(start_us / 1_000_000, tz=UTC).astimezone(ZoneInfo(timezone))
    utc_offset = moment.utcoffset()
    seconds = 0 if utc_offset is None else round(utc_offset.total_seconds())
    return -seconds * 1_000_000 % DAY_US


def _limit_row(limit: Limit, where: str, account: int, bucket: int, day_offset: int) -> LimitRow:
    window: str = limit.window or DEFAULT_WINDOW[limit.dimension]
    charge = limit.charge or DEFAULT_CHARGE[limit.dimension]
    if limit.dimension == "acceleration":
        window = "acceleration"
    amount = nano_usd(limit.limit) if charge == "cost" else round(limit.limit)
    if amount < 1:
        raise SchemaError(f"{where}: limit is {limit.limit}, must be at least 1 unit per window")
    window_us = round(limit.window_s * 1_000_000) if window in ("fixed", "sliding", "acceleration") else 0
    if window in ("token_bucket", "paced") and (charge == "cost" or amount > 10**9):
        raise SchemaError(
            f"{where}: a {window} holds requests or tokens up to 1e9 per minute, not {charge} of {limit.limit}; use fixed or sliding"
        )
    return LimitRow(
        name=where, account=account, bucket=bucket, dimension=limit.dimension, window=window, charge=charge,
        amount=amount, depth=max(1, round(amount * limit.burst_s / 60)),
        window_us=DAY_US if window == "day" else window_us, offset_us=day_offset if window == "day" else 0,
        growth_pm=round(limit.growth * 1000), known=limit.known,
    )  # fmt: skip


def _account_names(spec: Account) -> list[str]:
    return [spec.name] if spec.count == 1 else [f"{spec.name}-{number}" for number in range(1, spec.count + 1)]


def _tenant_names(group: TenantGroup) -> list[str]:
    return [group.name] if group.count == 1 else [f"{group.name}-{number}" for number in range(1, group.count + 1)]


def served_models(spec: Account, models: list[Model]) -> list[int]:
    """Rows of the models that an account serves: those named, or all of its provider."""
    if not spec.models:
        return [row for row, model in enumerate(models) if model.provider == spec.provider]
    by_name = {model.name: row for row, model in enumerate(models)}
    for name in spec.models:
        if name not in by_name:
            raise SchemaError(f"accounts.{spec.name}.models: {name!r} is no model of this platform ({', '.join(by_name)})")
    return [by_name[name] for name in spec.models]


def _add_limits(layout: Layout, specs: list[Limit], where: str, account: int, bucket: int, offset: int) -> tuple[int, int, int]:
    lo = len(layout.limits)
    ordered = [s for s in specs if s.known] + [s for s in specs if not s.known]
    for spec in ordered:
        layout.limits.append(_limit_row(spec, f"{where}.{spec.dimension}", account, bucket, offset))
    return lo, lo + sum(spec.known for spec in specs), len(layout.limits)


def _add_account(layout: Layout, name: str, spec: Account, provider: int, start_us: int) -> dict[int, int]:
    """Append an account with its buckets and limits; returns bucket row by model row."""
    offset = day_offset_us(layout.providers[provider].timezone, start_us)
    account = len(layout.accounts)
    whole = [limit for limit in spec.limits if limit.model_class == "*"]
    lo, known_hi, hi = _add_limits(layout, whole, name, account, -1, offset)
    layout.accounts.append(
        AccountRow(name=name, spec=spec, provider=provider, limit_lo=lo, limit_known_hi=known_hi, limit_hi=hi)
    )
    bucket_of: dict[str, int] = {}
    rows: dict[int, int] = {}
    for model_row in served_models(spec, layout.models):
        class_name = model_class(layout.models[model_row])
        if class_name not in bucket_of:
            bucket_of[class_name] = len(layout.buckets)
            own = [limit for limit in spec.limits if limit.model_class == class_name]
            lo, known_hi, hi = _add_limits(layout, own, f"{name}/{class_name}", account, len(layout.buckets), offset)
            layout.buckets.append(
                BucketRow(account=account, model_class=class_name, limit_lo=lo, limit_known_hi=known_hi, limit_hi=hi)
            )
        rows[model_row] = bucket_of[class_name]
    unused = {limit.model_class for limit in spec.limits} - {"*"} - set(bucket_of)
    if unused:
        raise SchemaError(f"accounts.{spec.name}.limits: model_class {sorted(unused)[0]!r} is served by no model of this account")
    return rows


def lay_out(platform: Platform, start_us: int) -> Layout:
    """Number every row of a platform.

    `start_us` fixes the offset of provider-local days (a change of daylight saving inside a run
    is not followed). Raises SchemaError naming the field that fits nothing.
    """
    layout = Layout(platform=platform)
    layout.models.extend(platform.models)
    provider_of = {provider.name: provider for provider in platform.providers}
    names = list(dict.fromkeys([model.provider for model in platform.models] + [a.provider for a in platform.accounts]))
    layout.providers.extend(provider_of.get(name) or Provider(name=name) for name in names)
    served: list[tuple[int, int, int]] = []
    for spec in platform.accounts:
        for name in _account_names(spec):
            account = len(layout.accounts)
            buckets = _add_account(layout, name, spec, names.index(spec.provider), start_us)
            served.extend((model, account, bucket) for model, bucket in buckets.items())
    for model_row, model in enumerate(layout.models):
        lo = len(layout.deployments)
        for row, account, bucket in served:
            if row == model_row:
                name = f"{layout.accounts[account].name}/{model.name}"
                layout.deployments.append(DeploymentRow(name=name, model=row, account=account, bucket=bucket))
        layout.model_deployments.append((lo, len(layout.deployments)))
    for number, group in enumerate(platform.tenants):
        layout.tenant_groups.append(group)
        layout.tenant_names.extend(_tenant_names(group))
        layout.tenant_group.extend([number] * group.count)
    return layout

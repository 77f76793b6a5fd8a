"""From platform and bundle to the gateway's state: the one place where data becomes tables."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from policies import capacity, limits, scaling
from policies.arena import allocate
from policies.bundle import PolicyBundle, Routing, Scaling
from policies.charge import CHARGE_RULES
from policies.contracts import MEMORY_WORDS, PARAMS
from policies.errors import SchemaError
from policies.layout import CHARGES, DIMENSIONS, WINDOWS, Layout, LimitRow, nano_usd
from policies.limits import BUCKET_UNIT
from policies.log import ACTIVE, ORDERABLE, STANDBY
from policies.routing import MODEL_CHOICE_CODES, ROUTING_CODES
from policies.routing import USER as USER_ROUTING
from policies.rows import Row, Rows
from policies.schema import Model, TenantGroup, Tier
from policies.state import (
    HEADER_WORDS,
    LOG_ROWS,
    LOG_SLACK,
    NEVER_US,
    NO_SLOT,
    NOWHERE,
    POINTS_PER_MODEL,
    SECTION_TYPES,
    State,
    open_state,
)

MOST_MODELS = 62
MOST_SEGMENTS = 4096
LARGEST_EXACT_LOG = 65_536
GRID_CELLS = 4_096
BUDGET_PERIOD_US = 30 * 86_400 * 1_000_000
RESERVATION_CODES = {
    "none": capacity.NONE, "floor": capacity.FLOOR, "partition": capacity.PARTITION,
    "trunk": capacity.TRUNK, "cap": capacity.CAP, "preempt": capacity.PREEMPT,
}  # fmt: skip
_ACCOUNT_STATES = {"active": ACTIVE, "standby": STANDBY, "orderable": ORDERABLE}


@dataclass(frozen=True, slots=True)
class Access:
    """What a contract opens: deployments of these regions, tags and models, for one tier."""

    tier: int
    regions: tuple[str, ...]
    tags: tuple[str, ...]
    models: tuple[str, ...]


def granted_shares(tiers: tuple[Tier, ...], oversubscription: str) -> list[float]:
    """Guaranteed shares as granted, in the order of `tiers`; in sum at most 1.

    Where the promises add up to more than 1 they cannot all be kept at once. `priority` grants
    them from the highest `priority_score` down until nothing is left (0.8, 0.4, 0.1 becomes
    0.8, 0.2, 0); `proportional` scales all by the same factor. See docs/tiers.md.
    """
    promised = [tier.guaranteed_capacity for tier in tiers]
    total = sum(promised)
    if total <= 1:
        return promised
    if oversubscription == "proportional":
        return [share / total for share in promised]
    granted = [0.0] * len(tiers)
    left = 1.0
    for row in by_priority(tiers):
        granted[row] = min(promised[row], left)
        left = max(0.0, left - granted[row])
    return granted


def by_priority(tiers: tuple[Tier, ...]) -> list[int]:
    """Rows of `tiers`, the highest priority first; equal ones in the order given."""
    return sorted(range(len(tiers)), key=lambda row: (-tiers[row].priority_score, row))


def tier_of(group: TenantGroup, tiers: tuple[Tier, ...]) -> int:
    """Row of a group's tier: the one named, else the dearest contract class it reaches."""
    if group.tier is not None:
        for row, tier in enumerate(tiers):
            if tier.name == group.tier:
                return row
        raise SchemaError(f"tenants.{group.name}.tier: {group.tier!r} is none of {[t.name for t in tiers]}")
    fitting = [row for row, tier in enumerate(tiers) if tier.min_contract_usd_per_month <= group.contract_usd_per_month]
    if not fitting:
        raise SchemaError(
            f"tenants.{group.name}.contract_usd_per_month: {group.contract_usd_per_month} reaches no tier; name one by `tier`"
        )
    return max(fitting, key=lambda row: tiers[row].min_contract_usd_per_month)


def build_state(
    layout: Layout, bundle: PolicyBundle, start_us: int, seed: int, plugged: Mapping[str, int] = MappingProxyType({})
) -> NDArray[np.uint8]:
    """The gateway's state at `start_us`, empty, in one block.

    `plugged` has the numbers of policies of one's own by kind, as `policies.plug` gave them for this process.
    Raises SchemaError for what cannot be built.
    """
    if len(layout.models) > MOST_MODELS:
        raise SchemaError(f"models: {len(layout.models)} given, at most {MOST_MODELS} are possible")
    tiers = len(bundle.tiers)
    accesses, tenant_access = _accesses(layout, bundle)
    chains = [_chain(layout, model) for model in range(len(layout.models))]
    group_limits = [_limits_of_each(group, bundle) for group in layout.tenant_groups]
    limit_count = len(layout.limits) + sum(group.count * len(own) for group, own in zip(layout.tenant_groups, group_limits, strict=True))
    log_sizes = [_log_size(limit) for limit in layout.limits]
    width = max(1, len(layout.deployments))
    pools = max(1, len(_pool_keys(layout)))
    segments = min(MOST_SEGMENTS, max(64, 8 * len(accesses) * (len(layout.models) + 1)))
    rows = [
        1, 1, len(layout.accounts), max(1, len(layout.buckets)), width, len(layout.models), max(1, len(layout.tenant_names)),
        tiers, segments, pools, max(1, limit_count), max(1, len(layout.limits) * tiers),
        max(1, sum(log_sizes)), bundle.queue.max_in_system, bundle.queue.max_in_system, segments, width, len(layout.models),
        CHARGE_RULES, POINTS_PER_MODEL * len(layout.models),
        max(len(layout.models), sum(map(len, chains)) + len(layout.models)), width, len(accesses) * width,
        len(accesses) * len(layout.models), len(accesses) * width, segments * width, segments * width,
        PARAMS, MEMORY_WORDS, PARAMS, pools * MEMORY_WORDS, PARAMS, 1, tiers,
        16 * (width + 4) + 4 * width + 64, LOG_ROWS + LOG_SLACK + 40 * len(layout.accounts),
    ]  # fmt: skip
    block, _ = allocate(list(zip(SECTION_TYPES, rows, strict=True)), HEADER_WORDS)
    state = open_state(block)
    _fill_settings(state, bundle, start_us, seed, plugged)
    _fill_limits(state, layout, log_sizes, start_us)
    _fill_shares(state, layout, bundle, start_us)
    _fill_accounts(state, layout, bundle)
    _fill_models(state, layout, bundle.routing, chains)
    _fill_deployments(state, layout)
    _fill_tiers(state, bundle)
    _fill_tenants(state, layout, bundle, tenant_access, group_limits, start_us)
    _fill_access(state, layout, bundle, accesses)
    _fill_doors(state)
    _fill_slots(state)
    return block


def _micro(seconds: float) -> int:
    return round(seconds * 1_000_000)


def _fill_settings(state: State, bundle: PolicyBundle, start_us: int, seed: int, plugged: Mapping[str, int]) -> None:
    queue, retry, cooldown, scale = bundle.queue, bundle.retry, bundle.cooldown, bundle.scaling
    code = USER_ROUTING if "routing" in plugged else ROUTING_CODES[bundle.routing.policy]
    reservation = capacity.USER if "tier" in plugged else RESERVATION_CODES[bundle.reservation.mode]
    scaling_code = scaling.USER if "scaling" in plugged else scaling.SCALING_CODES[scale.policy]
    values = {
        "seed": seed, "start_us": start_us, "budget_period_us": BUDGET_PERIOD_US,
        "queue_enabled": queue.enabled, "max_waiting": queue.max_waiting,
        "max_waiting_per_tenant": queue.max_waiting_per_tenant, "aging_milli_per_s": round(queue.aging_per_s * 1000),
        "fair_share": queue.fair_share, "max_attempts": retry.max_attempts, "backoff_us": _micro(retry.backoff_s),
        "backoff_max_us": _micro(retry.backoff_max_s), "fallback_models": retry.fallback_models,
        "failures_to_cool": cooldown.failures_to_cool, "failure_window_us": _micro(cooldown.failure_window_s),
        "cooldown_us": _micro(cooldown.cooldown_s), "throttle_us": _micro(cooldown.throttle_s),
        "overload_us": _micro(cooldown.overload_s), "acceleration_us": _micro(cooldown.acceleration_s),
        "money_us": _micro(cooldown.money_s), "reservation": reservation, "tier_at": plugged.get("tier", 0),
        "routing": code, "model_choice": MODEL_CHOICE_CODES[bundle.routing.model_choice],
        "output_prediction_pm": round(bundle.output_prediction_ratio * 1000),
        "scaling": scaling_code, "scaling_at": plugged.get("scaling", 0), "period_us": _micro(scale.period_s),
        "scaling_cooldown_us": _micro(scale.cooldown_s), "min_accounts": scale.min_accounts, "max_accounts": scale.max_accounts,
        "dedicated_overflow": bundle.reservation.dedicated_overflow,
    }  # fmt: skip
    for name, value in values.items():
        state.settings[0][name] = value
    state.params[: len(bundle.routing.params)] = bundle.routing.params
    state.tier_params[: len(bundle.reservation.params)] = bundle.reservation.params
    of_scaling = scaling_params(scale)
    state.scaling_params[: len(of_scaling)] = of_scaling


def scaling_params(spec: Scaling) -> tuple[float, ...]:
    """What the scaling policy gets as `params`: a shipped one what the fields say, by `scaling.ADD_ABOVE` and so on."""
    if spec.policy not in scaling.SCALING_CODES:
        return spec.params
    periods_ahead = spec.horizon_s * 1_000_000.0 / _micro(spec.period_s)
    return spec.add_above, spec.retire_below, float(spec.hold_periods), periods_ahead


def _log_size(limit: LimitRow) -> int:
    if limit.window != "sliding":
        return 0
    if limit.charge == "requests" and limit.amount <= LARGEST_EXACT_LOG:
        return limit.amount
    return GRID_CELLS + 2


def _limit_capacity(limit: LimitRow) -> int:
    return limit.depth * BUCKET_UNIT if limit.window in ("token_bucket", "paced") else limit.amount


def _window_start_us(limit: LimitRow, start_us: int) -> int:
    if limit.window_us == 0 or limit.window == "sliding":
        return start_us
    return start_us - (start_us - limit.offset_us) % limit.window_us


def _fill_limiter(row: Row | Rows, limit: LimitRow, start_us: int, capacity_units: int, rate: int) -> None:
    """One limiter, or many that are alike."""
    in_bucket = limit.window in ("token_bucket", "paced")
    row["level"] = row["capacity"] = row["capacity_configured"] = capacity_units
    row["rate"] = row["rate_configured"] = rate if in_bucket else 0
    row["stamp_us"] = _window_start_us(limit, start_us)
    row["window_us"], row["offset_us"] = limit.window_us, limit.offset_us
    row["unit"] = BUCKET_UNIT if in_bucket else 1
    row["growth_pm"], row["scale_pm"], row["share_pm"] = limit.growth_pm, 1000, 1000
    row["window"] = WINDOWS.index(limit.window)
    row["charge"] = CHARGES.index(limit.charge)
    row["dimension"] = DIMENSIONS.index(limit.dimension)


def _fill_limits(state: State, layout: Layout, log_sizes: list[int], start_us: int) -> None:
    log_start = 0
    for number, limit in enumerate(layout.limits):
        row = state.limits[number]
        _fill_limiter(row, limit, start_us, _limit_capacity(limit), limit.amount)
        row["log_start"], row["log_size"] = log_start, log_sizes[number]
        exact = log_sizes[number] == limit.amount and limit.charge == "requests"
        row["grid_us"] = 0 if exact else max(1, limit.window_us // GRID_CELLS)
        log_start += log_sizes[number]


def _fill_shares(state: State, layout: Layout, bundle: PolicyBundle, start_us: int) -> None:
    """One limiter per (limit, tier): the tier's share, or in mode cap what its rank and below may use."""
    shares = granted_shares(bundle.tiers, bundle.reservation.oversubscription)
    order = by_priority(bundle.tiers)
    if bundle.reservation.mode == "partition":
        shares[order[-1]] += max(0.0, 1.0 - sum(shares))
    if bundle.reservation.mode == "cap":
        above = {row: sum(shares[other] for other in order[:rank]) for rank, row in enumerate(order)}
        shares = [max(0.0, 1.0 - above[row]) for row in range(len(shares))]
    for number, limit in enumerate(layout.limits):
        for tier, share in enumerate(shares):
            row = state.shares[number * len(shares) + tier]
            part = round(share * 1_000_000)
            _fill_limiter(row, limit, start_us, _limit_capacity(limit) * part // 1_000_000, limit.amount * part // 1_000_000)
            if limit.window == "sliding":
                # A share of a sliding limit is judged by windows of the same length.
                row["window"] = limits.FIXED
                row["stamp_us"] = start_us
                row["offset_us"] = start_us % limit.window_us


def _pool_keys(layout: Layout) -> list[tuple[int, str | None]]:
    return list(dict.fromkeys((account.provider, account.spec.dedicated_to) for account in layout.accounts))


def _fill_accounts(state: State, layout: Layout, bundle: PolicyBundle) -> None:
    pools = _pool_keys(layout)
    tier_rows = {tier.name: row for row, tier in enumerate(bundle.tiers)}
    by_account: list[list[int]] = [[] for _ in layout.accounts]
    for number, deployment in enumerate(layout.deployments):
        by_account[deployment.account].append(number)
    place = 0
    for number, account in enumerate(layout.accounts):
        row, spec = state.accounts[number], account.spec
        if spec.dedicated_to is not None and spec.dedicated_to not in tier_rows:
            raise SchemaError(f"accounts.{spec.name}.dedicated_to: {spec.dedicated_to!r} is none of {list(tier_rows)}")
        row["limit_lo"], row["limit_hi"], row["limit_end"] = account.limit_lo, account.limit_known_hi, account.limit_hi
        row["pool"] = pools.index((account.provider, spec.dedicated_to))
        row["keys_left"] = spec.keys + spec.standby_keys
        row["dedicated_tier"] = tier_rows[spec.dedicated_to] if spec.dedicated_to else NOWHERE
        row["state"] = row["base_state"] = _ACCOUNT_STATES[spec.state]
        row["lead_time_us"] = _micro(spec.lead_time_s)
        row["scale_pm"] = 1000
        mine = sorted(by_account[number], key=lambda d: (layout.deployments[d].bucket, d))
        row["deployments_lo"], row["deployments_hi"] = place, place + len(mine)
        state.account_deployments[place : place + len(mine)] = mine
        place += len(mine)
    for number, bucket in enumerate(layout.buckets):
        row = state.buckets[number]
        row["account"] = bucket.account
        row["limit_lo"], row["limit_hi"] = bucket.limit_lo, bucket.limit_known_hi
    state.pools["changed_us"] = -NEVER_US


def _nano_per_1m(usd_per_1m: float) -> int:
    return nano_usd(usd_per_1m)


def _chain(layout: Layout, wanted: int) -> list[int]:
    """The model wanted, then its fallbacks and theirs, each once."""
    names = {model.name: row for row, model in enumerate(layout.models)}
    chain = [wanted]
    for row in chain:
        for name in layout.models[row].fallbacks:
            if name not in names:
                raise SchemaError(f"models.{layout.models[row].name}.fallbacks: {name!r} is no model of this platform")
            if names[name] not in chain:
                chain.append(names[name])
    return chain


def _fill_models(state: State, layout: Layout, routing: Routing, chains: list[list[int]]) -> None:
    place = len(layout.models)
    state.chain[:place] = np.arange(place)
    _demand_models(layout, routing)
    for number, model in enumerate(layout.models):
        row = state.models[number]
        cached = model.input_usd_per_1m if model.cached_input_usd_per_1m is None else model.cached_input_usd_per_1m
        row["input_nano_usd_per_1m"] = _nano_per_1m(model.input_usd_per_1m)
        row["cached_nano_usd_per_1m"] = _nano_per_1m(cached)
        row["output_nano_usd_per_1m"] = _nano_per_1m(model.output_usd_per_1m)
        row["dearest_nano_usd_per_1m"] = max(_nano_per_1m(model.input_usd_per_1m), _nano_per_1m(cached))
        row["bid_nano_usd_per_request"] = nano_usd(routing.bid_price_usd_per_request.get(model.name, 0.0))
        row["bid_nano_usd_per_1m"] = _nano_per_1m(routing.bid_price_usd_per_1m_tokens.get(model.name, 0.0))
        row["context_tokens"], row["max_output_tokens"] = model.context_tokens, model.max_output_tokens
        row["deployments_lo"], row["deployments_hi"] = layout.model_deployments[number]
        row["chain_lo"], row["chain_hi"] = place, place + len(chains[number])
        state.chain[place : place + len(chains[number])] = chains[number]
        place += len(chains[number])
        points = [round(share * 1000) for share in model.performance]
        state.points[POINTS_PER_MODEL * number : POINTS_PER_MODEL * (number + 1)] = [*points, points[-1]]


def _demand_models(layout: Layout, routing: Routing) -> None:
    """Raise SchemaError for a bid price of a model that there is not."""
    names = {model.name for model in layout.models}
    for field, name in routing.bids():
        if name not in names:
            raise SchemaError(f"routing.{field}: {name!r} is no model of this platform")


def _surely_fits_tokens(layout: Layout, model: Model, rows: list[LimitRow]) -> int:
    """A request of so many tokens in all passes each of these limits when it is idle."""
    dearest = max(model.input_usd_per_1m, model.cached_input_usd_per_1m or 0.0, model.output_usd_per_1m)
    most = NEVER_US
    for limit in rows:
        if limit.charge == "cost" and dearest > 0:
            most = min(most, int(limit.amount * 1_000_000 / nano_usd(dearest)) - 1)
        elif limit.charge not in ("requests", "cost") and limit.window != "paced":
            most = min(most, limit.depth if limit.window == "token_bucket" else limit.amount)
    return most


def _fill_deployments(state: State, layout: Layout) -> None:
    in_account, in_bucket = (Counter(getattr(d, of) for d in layout.deployments) for of in ("account", "bucket"))
    for number, deployment in enumerate(layout.deployments):
        row = state.deployments[number]
        account, bucket = layout.accounts[deployment.account], layout.buckets[deployment.bucket]
        row["wake_us"] = NEVER_US
        row["armed_for"] = NO_SLOT
        row["newest"] = NO_SLOT
        row["weight"] = account.spec.weight
        row["model"], row["account"], row["bucket"] = deployment.model, deployment.account, deployment.bucket
        row["shared"] = account.spec.dedicated_to is None
        row["own_lo"], row["own_hi"] = account.limit_lo, account.limit_known_hi
        row["bucket_lo"], row["bucket_hi"] = bucket.limit_lo, bucket.limit_known_hi
        own = layout.limits[account.limit_lo : account.limit_known_hi] + layout.limits[bucket.limit_lo : bucket.limit_known_hi]
        row["beside"] = (account.limit_known_hi > account.limit_lo and in_account[deployment.account] > 1) or (
            bucket.limit_known_hi > bucket.limit_lo and in_bucket[deployment.bucket] > 1
        )
        row["surely_fits_tokens"] = _surely_fits_tokens(layout, layout.models[deployment.model], own)
    state.settings[0]["fits_anywhere_tokens"] = state.deployments["surely_fits_tokens"].min()


def _fill_tiers(state: State, bundle: PolicyBundle) -> None:
    shares = granted_shares(bundle.tiers, bundle.reservation.oversubscription)
    above = 0.0
    for rank, number in enumerate(by_priority(bundle.tiers)):
        row = state.tiers[number]
        row["priority_milli"] = round(bundle.tiers[number].priority_score * 1000)
        row["rank"] = state.claims[number]["rank"] = rank
        row["share_pm"] = round(shares[number] * 1000)
        row["above_pm"] = round(above * 1000)
        above += shares[number]


def _accesses(layout: Layout, bundle: PolicyBundle) -> tuple[list[Access], list[int]]:
    """The different contracts there are, and which one each tenant group has."""
    found: dict[Access, int] = {}
    rows = []
    for group in layout.tenant_groups:
        access = Access(tier_of(group, bundle.tiers), tuple(sorted(group.regions)), tuple(sorted(group.tags)), group.models)
        rows.append(found.setdefault(access, len(found)))
    return list(found), rows


def _fill_access(state: State, layout: Layout, bundle: PolicyBundle, accesses: list[Access]) -> None:
    width = max(1, len(layout.deployments))
    has_dedicated = {account.spec.dedicated_to for account in layout.accounts}
    for number, access in enumerate(accesses):
        tier = bundle.tiers[access.tier]
        only_dedicated = tier.dedicated_keys and tier.name in has_dedicated and not bundle.reservation.dedicated_overflow
        for row, deployment in enumerate(layout.deployments):
            spec = layout.accounts[deployment.account].spec
            fits = (
                spec.dedicated_to == tier.name
                or (spec.dedicated_to is None and not only_dedicated)
            ) and (
                (not access.regions or spec.region in access.regions)
                and set(access.tags) <= set(spec.tags)
                and (not access.models or layout.models[deployment.model].name in access.models)
            )  # fmt: skip
            state.open[number * width + row] = fits


def _fill_doors(state: State) -> None:
    """List what `open` allows, so that nobody has to look at deployments that are closed to it."""
    width, models = state.deployments.size, state.models.size
    is_open = np.asarray(state.open, dtype=bool).reshape(-1, width)
    place = 0
    for access in range(len(is_open)):
        for model in range(models):
            lo, hi = state.models[model]["deployments_lo"], state.models[model]["deployments_hi"]
            rows = lo + np.flatnonzero(is_open[access, lo:hi])
            shared = state.deployments["shared"][rows] == 1
            listed = [*rows[~shared], *rows[shared]]
            state.doors[place : place + len(listed)] = listed
            state.reach[access * models + model] = (place, place + np.count_nonzero(~shared), place + len(listed))
            place += len(listed)


def _limits_of_each(group: TenantGroup, bundle: PolicyBundle) -> list[LimitRow]:
    """The limits that every tenant of a group has for itself."""
    rows: list[LimitRow] = []
    multiplier = bundle.tiers[tier_of(group, bundle.tiers)].rate_limit_multiplier
    for dimension, base in (("rpm", group.requests_per_min), ("tpm", group.tokens_per_min)):
        if base is not None:
            amount = min(max(1, round(base * multiplier)), 10**9)
            rule = "requests" if dimension == "rpm" else "max_tokens"
            row = LimitRow(
                name=f"tenants.{group.name}.{dimension}", account=-1, bucket=-1,
                dimension=dimension, window="token_bucket", charge=rule, amount=amount, depth=amount,
                window_us=0, offset_us=0, growth_pm=0, known=True,
            )  # fmt: skip
            rows.append(row)
    return rows


def _fill_tenants(
    state: State, layout: Layout, bundle: PolicyBundle, access: list[int], group_limits: list[list[LimitRow]], start_us: int
) -> None:
    """Tenants and their own limits, tenant by tenant; those of one group are alike."""
    first, lo = 0, len(layout.limits)
    for group, group_access, own in zip(layout.tenant_groups, access, group_limits, strict=True):
        rows = state.tenants[first : first + group.count]
        tier = tier_of(group, bundle.tiers)
        floor = bundle.tiers[tier].quality_floor if group.quality_floor is None else group.quality_floor
        rows["tier"], rows["access"] = tier, group_access
        rows["budget_nano_usd"] = -1 if group.budget_usd_per_month is None else nano_usd(group.budget_usd_per_month)
        rows["request_budget_nano_usd"] = nano_usd(group.request_budget_usd or 0.0)
        rows["weight_milli"] = max(1, round(group.weight * 1000))
        rows["quality_floor_pm"] = round(floor * 1000)
        rows["limit_lo"] = lo + len(own) * np.arange(group.count)
        rows["limit_hi"] = rows["limit_lo"] + len(own)
        end = lo + len(own) * group.count
        for number, limit in enumerate(own):
            _fill_limiter(state.limits[lo + number : end : len(own)], limit, start_us, _limit_capacity(limit), limit.amount)
        first, lo = first + group.count, end


def _fill_slots(state: State) -> None:
    """All are free, and `next` says how far behind the slot after it the next free one is: memory not yet used stays untouched."""
    state.requests[-1]["next"] = NO_SLOT - state.requests.size
    state.pulse[0]["free_slot"] = 0
    state.pulse[0]["expire_us"] = NEVER_US



"""From a layout and faults to the emulator's block of memory."""

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from forge1sim.providers import faults as fault_kinds
from forge1sim.providers import windows
from forge1sim.providers.service import BY_SPEED, DETERMINISTIC, EMPIRICAL, GAMMA, LOGNORMAL
from forge1sim.providers.service import KINDS as SERVICE_KINDS
from forge1sim.providers.tables import ANSWER, HEADER_WORDS, NEVER_US, SECTION_TYPES, Emulator, open_emulator
from policies.arena import allocate
from policies.draw import FAILURE, SERVICE, stem
from policies.errors import SchemaError
from policies.layout import CHARGES, WINDOWS, DeploymentRow, Layout, LimitRow
from policies.log import ACCELERATION, DAILY_QUOTA, MONEY, THROTTLE
from policies.rows import Bytes, Row, Rows
from policies.schema import Distribution, Fault, Model, Provider

REFUSALS = {"rpd": DAILY_QUOTA, "tpd": DAILY_QUOTA, "spend": MONEY, "acceleration": ACCELERATION}

_EXACT_ENTRIES = 65_536
_GRID_CELLS = 4_096
_MOST_USD_PER_1M = 1e6
_MOST_GROWTH_PM = 1_000_000


class _Ring(NamedTuple):
    """Where a sliding limit keeps its log, and how finely."""

    lo: int
    size: int
    grid_us: int


def build_emulator(layout: Layout, faults: tuple[Fault, ...], start_us: int, seed: int) -> Bytes:
    """The providers of a platform at `start_us`: every limit unused, every account well.

    `faults` start `start_s` after `start_us`; `seed` in [0, 2**63) is that of all draws.
    Raises SchemaError naming the account, model, provider or fault that cannot be emulated.
    """
    rings = _rings(layout.limits)
    values = [model.speed.service_s.values if model.speed.service_s else () for model in layout.models]
    met = [_limits_met(layout, deployment) for deployment in layout.deployments]
    sizes = (
        1, len(CHARGES), len(layout.limits), sum(ring.size for ring in rings), len(layout.accounts), len(layout.deployments),
        sum(len(rows) + len(ending) for rows, ending in met), len(layout.models), len(layout.providers), len(faults),
        len(faults) * len(layout.accounts), sum(map(len, values)),
    )  # fmt: skip
    block, _ = allocate(list(zip(SECTION_TYPES, sizes, strict=True)), HEADER_WORDS)
    emulator = open_emulator(block)
    for row, limit in enumerate(layout.limits):
        _set_limit(emulator.limits[row], limit, rings[row], start_us)
    for row, provider in enumerate(layout.providers):
        _set_provider(emulator.providers[row], provider)
    _set_accounts(emulator.accounts, layout)
    _set_deployments(emulator, layout, met)
    values_lo = 0
    for row, model in enumerate(layout.models):
        _set_model(emulator.models[row], model, values_lo)
        emulator.values[values_lo : values_lo + len(values[row])] = values[row]
        values_lo += len(values[row])
    for row, fault in enumerate(faults):
        _set_fault(emulator, layout, row, fault, start_us)
    first_us = min([start_us + _us(fault.start_s) for fault in faults], default=NEVER_US)
    _fill(
        emulator.settings[0], seed=seed, start_us=start_us, next_change_us=first_us,
        failure_stem=stem(seed, FAILURE), service_stem=stem(seed, SERVICE),
    )  # fmt: skip
    return block


def new_answers(count: int) -> Rows:
    """`count` empty ANSWER rows for `begin` to write to."""
    return np.zeros(count, dtype=ANSWER)


def _fill(row: Row, **fields: Any) -> None:
    for name, value in fields.items():
        row[name] = value


def _us(seconds: float) -> int:
    return round(seconds * 1_000_000)


def _rings(limits: list[LimitRow]) -> list[_Ring]:
    """Logs of the sliding limits, exact to the microsecond if few charges can fill the limit, else on a grid of the window."""
    rings: list[_Ring] = []
    lo = 0
    for limit in limits:
        grid_us = 1 if limit.amount <= _EXACT_ENTRIES else -(-limit.window_us // _GRID_CELLS)
        size = limit.amount if limit.amount <= _EXACT_ENTRIES else limit.window_us // max(grid_us, 1) + 2
        rings.append(_Ring(lo, size if limit.window == "sliding" else 0, grid_us))
        lo += rings[-1].size
    return rings


def _set_limit(row: Row, limit: LimitRow, ring: _Ring, start_us: int) -> None:
    is_bucket = limit.window in ("token_bucket", "paced")
    most = windows.DEEPEST // windows.UNIT
    if is_bucket and limit.depth > most:
        raise SchemaError(f"{limit.name}: limit and burst_s hold {limit.depth} units at once, must be at most {most}")
    if limit.window in ("fixed", "sliding", "day", "acceleration") and limit.window_us < 1:
        raise SchemaError(f"{limit.name}: window_s is {limit.window_us / 1e6}, must be at least 0.000001")
    room = limit.depth * windows.UNIT if is_bucket else 0
    amount = min(limit.amount, windows.MOST)
    window = WINDOWS.index(limit.window)
    # In flight each attempt is one, and no time ends it.
    charge = windows.REQUESTS if window == windows.IN_FLIGHT else CHARGES.index(limit.charge)
    _fill(
        row, window=window, charge=charge, unit=windows.UNIT if charge < windows.OUTPUT else 1,
        refusal=REFUSALS.get(limit.dimension, THROTTLE), level=room, allowed=amount, room=room,
        since_us=start_us, until_us=NEVER_US if window == windows.IN_FLIGHT else -NEVER_US,
        window_us=limit.window_us, offset_us=limit.offset_us,
        growth_pm=min(limit.growth_pm, _MOST_GROWTH_PM), scaled=amount, amount=amount,
        depth=limit.depth if is_bucket else 0, ring_lo=ring.lo, ring_size=ring.size, grid_us=ring.grid_us,
    )  # fmt: skip


def _set_provider(row: Row, provider: Provider) -> None:
    parts = (
        provider.error_probability, provider.timeout_probability,
        provider.overload_probability, provider.caller_error_probability,
    )  # fmt: skip
    below = np.cumsum(parts)
    if below[-1] > 1 + 1e-9:
        raise SchemaError(
            f"providers.{provider.name}: error, timeout, overload and caller_error probabilities add up to {below[-1]:g}, "
            "must be at most 1"
        )
    _fill(
        row, flaky=int(below[-1] > 0), error_below=below[0], timeout_below=below[1], overload_below=below[2],
        caller_below=below[3], error_after_us=max(1, _us(provider.error_after_s)),
        refusal_after_us=max(1, _us(provider.refusal_after_s)), timeout_us=max(1, _us(provider.timeout_s)),
        retry_after=int(provider.retry_after),
    )  # fmt: skip


def _set_accounts(rows: Rows, layout: Layout) -> None:
    for row, account in enumerate(layout.accounts):
        ends = [bucket.limit_hi for bucket in layout.buckets if bucket.account == row]
        _fill(
            rows[row], slowdown=1.0, scale_pm=1000, set_scale_pm=1000,
            limit_lo=account.limit_lo, limit_hi=max([account.limit_hi, *ends]),
        )  # fmt: skip


def _limits_met(layout: Layout, deployment: DeploymentRow) -> tuple[list[int], list[int]]:
    """Limit rows that an attempt meets, the account's before the bucket's, and those that its end changes."""
    account, bucket = layout.accounts[deployment.account], layout.buckets[deployment.bucket]
    rows = [*range(account.limit_lo, account.limit_hi), *range(bucket.limit_lo, bucket.limit_hi)]
    ending = [
        row for row in rows
        if layout.limits[row].window == "none" or CHARGES.index(layout.limits[row].charge) >= windows.OUTPUT
    ]  # fmt: skip
    return rows, ending


def _set_deployments(emulator: Emulator, layout: Layout, met: list[tuple[list[int], list[int]]]) -> None:
    lo = 0
    for row, (deployment, (rows, ending)) in enumerate(zip(layout.deployments, met, strict=True)):
        endings_lo, hi = lo + len(rows), lo + len(rows) + len(ending)
        emulator.limit_rows[lo:hi] = rows + ending
        _fill(
            emulator.deployments[row], account=deployment.account, provider=layout.accounts[deployment.account].provider,
            model=deployment.model, limits_lo=lo, limits_hi=endings_lo, endings_lo=endings_lo, endings_hi=hi,
        )  # fmt: skip
        lo = hi


def _set_model(row: Row, model: Model, values_lo: int) -> None:
    speed = model.speed
    cached = model.input_usd_per_1m if model.cached_input_usd_per_1m is None else model.cached_input_usd_per_1m
    for price, usd_per_1m in (("fresh", model.input_usd_per_1m), ("cached", cached), ("output", model.output_usd_per_1m)):
        row[f"{price}_nano_usd"], row[f"{price}_millionths"] = divmod(_nano_per_1m(model, usd_per_1m), 1_000_000)
    _fill(
        row, max_output_tokens=model.max_output_tokens, context_tokens=model.context_tokens,
        service=BY_SPEED, ttft_s=speed.ttft_s, s_per_input_token=speed.s_per_1k_input / 1000,
        s_per_output_token=1 / speed.tokens_per_s, noise_sigma=speed.noise_sigma,
        noise_shift=0.5 * speed.noise_sigma * speed.noise_sigma, load_slope=speed.load_slope,
    )  # fmt: skip
    if speed.service_s is not None:
        _set_service(row, speed.service_s, values_lo)


def _nano_per_1m(model: Model, usd_per_1m: float) -> int:
    if usd_per_1m > _MOST_USD_PER_1M:
        raise SchemaError(
            f"models.{model.name}: price is {usd_per_1m:g} USD per million tokens, must be at most {_MOST_USD_PER_1M:g}"
        )
    return round(usd_per_1m * 1_000_000_000)


def _set_service(row: Row, service: Distribution, values_lo: int) -> None:
    kind, sigma, shape = SERVICE_KINDS[service.kind], 0.0, 1.0
    if kind in (LOGNORMAL, GAMMA) and service.cv < 1e-6:
        kind = DETERMINISTIC
    elif kind == LOGNORMAL:
        sigma = math.sqrt(math.log1p(service.cv**2))
    elif kind == GAMMA:
        shape = 1 / service.cv**2
    _fill(
        row, service=kind, mean_s=service.mean, sigma=sigma, shape=shape,
        at_most_s=math.inf if service.at_most is None else service.at_most,
        values_lo=values_lo, values_count=len(service.values) if kind == EMPIRICAL else 0,
    )  # fmt: skip


def _set_fault(emulator: Emulator, layout: Layout, row: int, fault: Fault, start_us: int) -> None:
    struck = _struck(layout, fault)
    if not struck.any():
        raise SchemaError(
            f"faults.{row}: no account matches provider {fault.provider!r}, account {fault.account!r} "
            f"and region {fault.region!r}; leave out a selector or name an account of the platform"
        )
    accounts = len(layout.accounts)
    emulator.strikes[row * accounts : (row + 1) * accounts] = struck
    begins_us = start_us + _us(fault.start_s)
    _fill(
        emulator.faults[row], kind=fault_kinds.KINDS[fault.kind], start_us=begins_us,
        stop_us=begins_us + max(1, _us(fault.duration_s)), probability=fault.probability, factor=fault.factor,
        factor_pm=min(max(1, round(fault.factor * 1000)), windows.UNIT),
    )  # fmt: skip


def _struck(layout: Layout, fault: Fault) -> NDArray[np.bool_]:
    """Which accounts a fault strikes. `account` names one of several equal ones, or all of them by their common name."""
    return np.array(
        [
            fault.provider in (None, layout.providers[account.provider].name)
            and fault.account in (None, account.name, account.spec.name)
            and fault.region in (None, account.spec.region)
            for account in layout.accounts
        ],
        dtype=np.bool_,
    )

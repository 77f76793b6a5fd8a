"""A scenario's providers as the emulator's configuration: its accounts, limits, speeds and faults, with keys that are obviously fake."""

from typing import Any

from live_adapter.config import LiveConfig, ProviderSite, protocol_of
from policies.layout import Layout, LimitRow
from policies.schema import Distribution, Fault, Model
from provider_emulator.config import EmulatorConfig, read_config

_FAULTS = {"outage": "unavailable", "brownout": "error", "throttle_storm": "throttle", "key_revoked": "unauthorized"}
_KINDS = ("deterministic", "exponential", "lognormal", "gamma")


def fake_key(account: str, number: int) -> str:
    """The key of an account at the emulator."""
    return f"sk-emulated-{account.replace(' ', '-')}-{number}"


def emulated_config(layout: Layout, faults: tuple[Fault, ...] = (), *, seed: int = 1, speed_up: float = 1.0) -> EmulatorConfig:
    """The configuration that emulates a platform: every account with all its limits, known and unknown.

    Output lengths of demand are not known here: a lognormal of mean 200 tokens, unless calls say otherwise.
    """
    accounts = []
    for row, account in enumerate(layout.accounts):
        provider = layout.providers[account.provider].name
        models = [layout.models[one.model] for one in layout.deployments if one.account == row]
        own = [limit for limit in layout.limits if limit.account == row]
        if models:
            accounts.append({
                "name": account.name, "provider": provider, "protocol": protocol_of(provider),
                "keys": [fake_key(account.name, number) for number in range(account.spec.keys + account.spec.standby_keys)],
                "models": [_model(model) for model in models], "limits": [_limit(limit, layout) for limit in own],
            })  # fmt: skip
    told = [one for fault in faults for one in _faults(fault, layout)]
    return read_config({"accounts": accounts, "faults": told, "seed": seed, "speed_up": speed_up})


def sites_at(layout: Layout, base_url: str) -> LiveConfig:
    """Where the providers of a platform are when the emulator that serves it is at `base_url`."""
    found = {}
    for provider in layout.providers:
        protocol = protocol_of(provider.name)
        base = f"{base_url}/{provider.name}"
        found[provider.name] = ProviderSite(protocol=protocol, base_url=f"{base}/v1" if protocol == "openai" else base)
    return LiveConfig(providers=found)


class FakeKeys:
    """The emulator's keys, by account and number."""

    def __init__(self, layout: Layout) -> None:
        self._names = [account.name for account in layout.accounts]

    def key_of(self, account: int, number: int) -> str:
        """The key of an account."""
        return fake_key(self._names[account], number)


def _model(model: Model) -> dict[str, Any]:
    speed = model.speed
    return {
        "name": model.name, "model_class": model.model_class, "input_usd_per_1m": model.input_usd_per_1m,
        "output_usd_per_1m": model.output_usd_per_1m, "context_tokens": model.context_tokens, "ttft_s": speed.ttft_s,
        "s_per_1k_input": speed.s_per_1k_input, "tokens_per_s": speed.tokens_per_s, "noise_sigma": speed.noise_sigma,
        "service_s": _draw(speed.service_s) if speed.service_s is not None else None,
    }  # fmt: skip


def _draw(distribution: Distribution) -> dict[str, Any]:
    kind = distribution.kind if distribution.kind in _KINDS else "deterministic"
    mean = distribution.mean if distribution.kind != "empirical" else sum(distribution.values) / len(distribution.values)
    return {"kind": kind, "mean": mean, "cv": distribution.cv}


def _limit(limit: LimitRow, layout: Layout) -> dict[str, Any]:
    in_usd = limit.charge == "cost"
    amount = limit.amount / 1e9 if in_usd else float(limit.amount)
    found: dict[str, Any] = {
        "dimension": limit.dimension, "amount": amount, "charge": limit.charge,
        "window": limit.window,
        "model_class": layout.buckets[limit.bucket].model_class if limit.bucket >= 0 else None,
    }  # fmt: skip
    if limit.window in ("token_bucket", "paced"):
        found["burst_s"] = 60 * limit.depth / limit.amount
    elif limit.window == "day":
        found["time_zone"] = layout.providers[layout.accounts[limit.account].provider].timezone
    elif limit.window_us > 0:
        found["window_s"] = limit.window_us / 1e6
    if limit.window == "acceleration":
        found["growth"] = limit.growth_pm / 1000
    return found


def _faults(fault: Fault, layout: Layout) -> list[dict[str, Any]]:
    """A fault, for each account that it strikes; slow models and cut limits the emulator is told at run time."""
    kind = _FAULTS.get(fault.kind)
    struck = [
        account.name for account in layout.accounts
        if fault.account in (None, account.name, account.spec.name) and fault.region in (None, account.spec.region)
        and fault.provider in (None, layout.providers[account.provider].name)
    ]  # fmt: skip
    share = fault.probability if fault.kind in ("brownout", "throttle_storm") else 1.0
    return [
        {"kind": kind, "account": name, "share": share, "start_s": fault.start_s, "duration_s": fault.duration_s}
        for name in struck if kind is not None
    ]  # fmt: skip

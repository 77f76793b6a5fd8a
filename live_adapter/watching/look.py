"""One look at a gateway at work: its metrics, its ledger, and what of both should alarm somebody."""

from dataclasses import dataclass

from live_adapter.errors import LiveError
from live_adapter.watching.scraping import Gateway, read_gateway
from live_adapter.watching.sums import Sums, sums_of

BEHIND_S = 60
_AWAY = {"last_lease": "within its last lease", "alone": "alone, on its part of the limits"}
_BAD_KEY = "credential"


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What was found; where something was not, why. `alerts` are sentences, the gravest first."""

    gateway: Gateway | None
    gateway_trouble: str
    ledger: Sums | None
    ledger_trouble: str
    alerts: tuple[str, ...]


def look(gateway_url: str, ledger_url: str, *, now_us: int, span_s: int, in_time_s: float) -> Look:
    """Look once. What cannot be had is told in the result; nothing is raised for it. Takes seconds at most where a gateway is silent."""
    gateway: Gateway | None = None
    ledger: Sums | None = None
    gateway_trouble = ledger_trouble = ""
    try:
        gateway = read_gateway(gateway_url)
    except LiveError as error:
        gateway_trouble = str(error)
    try:
        if ledger_url:
            ledger = sums_of(ledger_url, span_s * 1_000_000, round(in_time_s * 1e6))
        if ledger is None:
            ledger_trouble = "the ledger is empty" if ledger_url else "no ledger is named"
    except LiveError as error:
        ledger_trouble = str(error)
    return Look(
        gateway=gateway, gateway_trouble=gateway_trouble, ledger=ledger, ledger_trouble=ledger_trouble,
        alerts=tuple(alerts_of(gateway, ledger, now_us)),
    )  # fmt: skip


def alerts_of(gateway: Gateway | None, ledger: Sums | None, now_us: int) -> list[str]:
    """What should alarm somebody, the gravest first."""
    found = []
    if gateway is not None:
        if gateway.is_blocked:
            found.append("Disk full: the journal cannot be written, so answers wait until there is room.")
        keyless = sorted(name for name, state in gateway.accounts.items() if state == "no_keys")
        found += [f"Key revoked: account {name} has no key left and takes no requests." for name in keyless]
        refused = {account for (account, outcome), count in gateway.outcomes.items() if outcome == _BAD_KEY and count}
        found += [f"Key revoked: a key of account {name} was refused; its others serve." for name in sorted(refused - set(keyless))]
        away = [told for state, told in _AWAY.items() if gateway.leases.get(state)]
        found += [f"Redis away: this gateway goes on {told}." for told in away]
    if gateway is not None and ledger is not None:
        behind_s = (now_us - ledger.to_us) // 1_000_000
        if behind_s > BEHIND_S and (gateway.in_flight > 0 or gateway.attempts_total > ledger.run_attempts):
            found.append(f"Ledger behind: its newest attempt was sent {behind_s:,} s ago, and the gateway has had more since.")
    return found

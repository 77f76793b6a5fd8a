"""Metrics in Prometheus' text format, read from the gateway's own state when they are asked for: no counter costs a call anything."""

from live_adapter.pool import Pool
from live_adapter.replicas.renewing import ALONE, LAST_LEASE, LEASED, Replica
from policies.log import ACCOUNT_STATE_NAMES


def exposed(pool: Pool, replica: Replica | None = None) -> bytes:
    """The text: what is under way, waits and has come; by tier, account and limit; of a replica its lease."""
    state, layout = pool.driver.state, pool.site.layout
    pulse = state.pulse[0]
    lines = [
        *_gauge("forge1sim_requests_in_system", "Requests that have come and not ended.", [("", int(pulse["in_system"]))]),
        *_gauge("forge1sim_requests_waiting", "Requests in a queue.", [("", int(pulse["waiting"]))]),
        *_gauge("forge1sim_requests_in_flight", "Attempts under way.", [("", int(pulse["in_flight"]))]),
        *_gauge("forge1sim_queue_requests", "Requests in a queue, by tier.", [
            (f'{{tier="{_safe(tier.name)}"}}', int(state.tenants["waiting"][state.tenants["tier"] == row].sum()))
            for row, tier in enumerate(pool.site.bundle.tiers)
        ]),
        *_gauge("forge1sim_journal_blocked", "1 while the journal cannot be written, as with the disk full: answers wait.", [
            ("", int(pool.is_blocked))
        ]),
        *_counter("forge1sim_requests_total", "Requests that have come.", [("", int(pulse["arrived"]))]),
        *_counter("forge1sim_attempts_total", "Attempts by how they ended.", [
            (f'{{account="{_safe(layout.accounts[account].name)}",outcome="{outcome}"}}', count)
            for (account, outcome), count in sorted(pool.outcomes.items())
        ]),
        *_gauge("forge1sim_account_in_flight", "Attempts under way, by account.", [
            (f'{{account="{_safe(account.name)}",state="{ACCOUNT_STATE_NAMES[int(row["state"])]}"}}', int(row["in_flight"]))
            for account, row in zip(layout.accounts, state.accounts, strict=False)
        ]),
        *_gauge("forge1sim_limit_free_ratio", "Free share of a limit as of its last use.", [
            (f'{{limit="{_safe(limit.name)}"}}', round((int(row["level"]) - int(row["held"])) / max(1, int(row["capacity"])), 6))
            for limit, row in zip(layout.limits, state.limits, strict=False)
        ]),
    ]  # fmt: skip
    if replica is not None:
        names = [_safe(account.name) for account in layout.accounts]
        lines += _gauge("forge1sim_lease_state", "1 for the state that the lease is in.", [
            (f'{{state="{state}"}}', int(state == replica.state)) for state in (LEASED, LAST_LEASE, ALONE)
        ])  # fmt: skip
        lines += _gauge("forge1sim_account_share_ratio", "Share of an account's limits that is this replica's.", [
            (f'{{account="{name}"}}', share_pm / 1000) for name, share_pm in zip(names, replica.shares_pm, strict=True)
        ])  # fmt: skip
    return ("\n".join(lines) + "\n").encode()


def _gauge(name: str, told: str, values: list[tuple[str, float]]) -> list[str]:
    return [f"# HELP {name} {told}", f"# TYPE {name} gauge", *(f"{name}{labels} {value}" for labels, value in values)]


def _counter(name: str, told: str, values: list[tuple[str, int]]) -> list[str]:
    return [f"# HELP {name} {told}", f"# TYPE {name} counter", *(f"{name}{labels} {value}" for labels, value in values)]


def _safe(name: str) -> str:
    return name.replace("\\", "\\\\").replace('"', '\\"').replace("\n", " ")

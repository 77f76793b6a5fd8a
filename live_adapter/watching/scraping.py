"""What a gateway's `/metrics` says now: read from Prometheus' text format, in bounded time and size."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from live_adapter.errors import LiveError

TIMEOUT_S = 2.0
_MOST_BYTES = 4 << 20
_SAMPLE = re.compile(r'^(forge1sim_\w+)(?:\{(.*)\})? ([-+.\w]+)$')
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')
_ESCAPED = re.compile(r"\\(.)")


class WatchError(LiveError):
    """A gateway whose metrics cannot be had: names address and reason."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gateway:
    """What a gateway told. Counters are since its start; `limits` are used shares from 0 to 1, by name; `accounts` states by name.

    `leases` are the lease states of a replica, with 1 for the one it is in; empty where it shares no limits.
    """

    requests_total: int
    attempts_total: int
    in_flight: int
    waiting: int
    is_blocked: bool
    queue: Mapping[str, int]
    limits: Mapping[str, float]
    accounts: Mapping[str, str]
    in_flight_of: Mapping[str, int]
    outcomes: Mapping[tuple[str, str], int]
    leases: Mapping[str, int]


def read_gateway(address: str) -> Gateway:
    """Ask a gateway, such as `http://127.0.0.1:8780`. Raises WatchError."""
    import httpx

    parts = urlsplit(address)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise WatchError(f"gateway address is {address!r}, must be such as http://127.0.0.1:8780")
    url = f"{parts.scheme}://{parts.netloc}/metrics"
    try:
        with httpx.stream("GET", url, timeout=TIMEOUT_S, follow_redirects=False) as answer:
            if answer.status_code != 200:
                raise WatchError(f"{url} answers with status {answer.status_code}; is a gateway there?")
            text = bytearray()
            for part in answer.iter_bytes():
                text += part
                if len(text) > _MOST_BYTES:
                    raise WatchError(f"{url} answers with more than {_MOST_BYTES:,} bytes")
    except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
        raise WatchError(f"{url} does not answer: {str(error) or type(error).__name__}") from error
    return gateway_of(text.decode(errors="replace"), url)


def gateway_of(text: str, url: str) -> Gateway:
    """Read the text. Raises WatchError if it is not a gateway's."""
    found: dict[str, list[tuple[dict[str, str], float]]] = {}
    for line in text.splitlines():
        if (sample := _SAMPLE.match(line)) and (value := _number(sample[3])) is not None:
            labels = {name: _ESCAPED.sub(r"\1", told) for name, told in _LABEL.findall(sample[2] or "")}
            found.setdefault(sample[1], []).append((labels, value))
    if "forge1sim_requests_total" not in found:
        raise WatchError(f"{url} has no forge1sim_requests_total: that is no gateway")

    def by(name: str, label: str) -> dict[str, float]:
        return {labels[label]: value for labels, value in found.get(f"forge1sim_{name}", []) if label in labels}

    def one(name: str) -> int:
        return round(sum(value for _, value in found.get(f"forge1sim_{name}", [])))

    in_flight = found.get("forge1sim_account_in_flight", [])
    return Gateway(
        requests_total=one("requests_total"), attempts_total=one("attempts_total"), in_flight=one("requests_in_flight"),
        waiting=one("requests_waiting"), is_blocked=one("journal_blocked") > 0,
        queue={tier: round(count) for tier, count in by("queue_requests", "tier").items()},
        limits={name: min(1.0, max(0.0, 1.0 - free)) for name, free in by("limit_free_ratio", "limit").items()},
        accounts={labels["account"]: labels["state"] for labels, _ in in_flight if {"account", "state"} <= labels.keys()},
        in_flight_of={account: round(count) for account, count in by("account_in_flight", "account").items()},
        outcomes={
            (labels["account"], labels["outcome"]): round(count)
            for labels, count in found.get("forge1sim_attempts_total", []) if {"account", "outcome"} <= labels.keys()
        },
        leases={state: round(value) for state, value in by("lease_state", "state").items()},
    )  # fmt: skip


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if abs(value) < 1e18 else None

"""What watches a gateway: sums of the ledger against plain counting, alerts, and what is missing, told."""

import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from live_adapter.tables import ATTEMPTS, METADATA
from live_adapter.watching.look import alerts_of, look
from live_adapter.watching.scraping import WatchError, gateway_of
from live_adapter.watching.sums import Sums, sums_of

BEGIN_US = 1_790_000_000_000_000
SPAN_US, IN_TIME_US = 600_000_000, 2_000_000
METRICS = """forge1sim_requests_total 5
forge1sim_requests_in_flight 2
forge1sim_journal_blocked 1
forge1sim_queue_requests{tier="standard"} 3
forge1sim_attempts_total{account="a \\"x\\"",outcome="credential"} 1
forge1sim_account_in_flight{account="b",state="no_keys"} 0
forge1sim_limit_free_ratio{limit="a.rpm"} 0.25
forge1sim_lease_state{state="alone"} 1
"""


def rows(requests: int, seed: int = 1) -> list[dict[str, Any]]:
    """Requests with up to three attempts, of which the last may be served."""
    r, found = random.Random(seed), []
    for request in range(requests):
        sent_us, attempts, served = BEGIN_US + r.randrange(SPAN_US - 20_000_000), r.choice((1, 1, 2, 3)), r.random() < 0.8
        for attempt in range(1, attempts + 1):
            ended_us = sent_us + r.randrange(100_000, 3_000_000)
            found.append({
                "run_us": 1, "request": request, "attempt": attempt, "tenant": r.choice("xyz") if attempt == 1 else found[-1]["tenant"],
                "tier": "standard", "model": "m", "account": r.choice("ab"), "sent_us": sent_us, "ended_us": ended_us,
                "status": "served" if served and attempt == attempts else "throttle", "input_tokens": 1, "cached_tokens": 0,
                "output_tokens": 1, "cost_nano_usd": r.randrange(1_000),
            })  # fmt: skip
            sent_us = ended_us
    return found


def ledger_of(path: Path, attempts: list[dict[str, Any]]) -> str:
    url = f"sqlite:///{path}"
    engine = sa.create_engine(url)
    METADATA.create_all(engine)
    with engine.begin() as connection:
        connection.execute(sa.insert(ATTEMPTS), attempts)
    return url


def summed(path: Path, attempts: list[dict[str, Any]]) -> Sums:
    found = sums_of(ledger_of(path, attempts), SPAN_US, IN_TIME_US)
    assert found is not None
    return found


def test_sums_are_those_of_plain_counting(tmp_path: Path) -> None:
    attempts = rows(2_000)
    found = summed(tmp_path / "l.db", attempts)
    assert found.attempts == len(attempts) == sum(moment.attempts for moment in found.moments)
    assert found.errors == sum(row["status"] != "served" for row in attempts)
    assert found.cost_nano_usd == sum(row["cost_nano_usd"] for row in attempts) == sum(one.cost_nano_usd for one in found.tenants)
    took = sorted(row["ended_us"] - row["sent_us"] for row in attempts if row["status"] == "served")
    assert found.latency_us == tuple(took[-(-len(took) * of // 100) - 1] for of in (50, 95, 99))
    assert sum(one.requests for one in found.tenants) == 2_000
    fates = {"at_once": 0, "retried": 0, "late": 0, "refused": 0}
    for request in range(2_000):
        of = [row for row in attempts if row["request"] == request]
        in_time = of[-1]["ended_us"] - of[0]["sent_us"] <= IN_TIME_US
        fates["refused" if of[-1]["status"] != "served" else "late" if not in_time else "at_once" if len(of) == 1 else "retried"] += 1
    assert {name: sum(getattr(one, name) for one in found.tenants) for name in fates} == fates


def test_what_is_older_than_the_span_is_left_out(tmp_path: Path) -> None:
    attempts = rows(200)
    old = [{**row, "run_us": 0, "sent_us": row["sent_us"] - 2 * SPAN_US, "ended_us": row["ended_us"] - 2 * SPAN_US} for row in attempts]
    assert summed(tmp_path / "l.db", attempts + old).cost_nano_usd == sum(row["cost_nano_usd"] for row in attempts)


def test_metrics_become_alerts() -> None:
    gateway = gateway_of(METRICS, "here")
    assert (gateway.queue, gateway.limits, gateway.in_flight) == ({"standard": 3}, {"a.rpm": 0.75}, 2)
    told = alerts_of(gateway, None, 0)
    assert [sentence.split(":")[0] for sentence in told] == ["Disk full", "Key revoked", "Key revoked", "Redis away"]
    assert 'account a "x"' in told[2]


def test_a_ledger_that_lags_behind_a_busy_gateway_is_told_of(tmp_path: Path) -> None:
    found, gateway = summed(tmp_path / "l.db", rows(50)), gateway_of(METRICS, "here")
    assert any("Ledger behind" in told for told in alerts_of(gateway, found, found.to_us + 61_000_000))
    assert not any("Ledger behind" in told for told in alerts_of(gateway, found, found.to_us + 30_000_000))
    idle = replace(gateway, in_flight=0)
    assert not any("Ledger behind" in told for told in alerts_of(idle, found, found.to_us + 61_000_000))
    more = replace(idle, attempts_total=found.run_attempts + 1)
    assert any("Ledger behind" in told for told in alerts_of(more, found, found.to_us + 61_000_000))


def test_what_is_missing_is_told_and_nothing_is_made(tmp_path: Path) -> None:
    found = look("http://127.0.0.1:9", f"sqlite:///{tmp_path}/none.db", now_us=0, span_s=60, in_time_s=1.0)
    assert "does not answer" in found.gateway_trouble
    assert "there is no such file" in found.ledger_trouble
    assert not (tmp_path / "none.db").exists()


@pytest.mark.parametrize("address", ["", "nonsense", "file:///etc/passwd", "http://"])
def test_what_is_no_address_is_told(address: str) -> None:
    assert "must be such as" in look(address, "", now_us=0, span_s=60, in_time_s=1.0).gateway_trouble


def test_other_servers_are_no_gateways() -> None:
    with pytest.raises(WatchError, match="no gateway"):
        gateway_of("python_info 1", "here")

"""The benchmark's scenario is what its description says: large, overloaded, and every rule at work."""

import pytest

from forge1sim.run import simulate
from policies import log
from tests.scenarios.shipped import Seen, limiter_kinds, load


@pytest.fixture(scope="module")
def big():
    seen = Seen()
    loaded = load("big")
    return loaded, simulate(loaded, sinks=(seen,), hash_log=False).summary, seen


def test_its_size(big):
    loaded, summary, _ = big
    assert sum(group.count for group in loaded.platform.tenants) >= 5_000
    assert len(loaded.platform.models) >= 10
    assert len(summary["deployments"]) >= 60
    assert summary["requests"]["arrived"] >= 1_000_000


def test_its_load(big):
    _, summary, _ = big
    arrived = summary["requests"]["arrived"]
    assert summary["all"]["queued"] >= 0.2 * arrived
    assert summary["all"]["retries"] >= 0.02 * arrived
    assert min(summary["peak_utilization"].values()) > 0.9


def test_all_kinds_of_limits_and_charges(big):
    assert limiter_kinds(big[0]) == {
        "token_bucket", "paced", "fixed", "sliding", "day", "none", "acceleration",
        "requests", "max_tokens", "input", "uncached_input", "output", "cost",
    }  # fmt: skip


def test_all_ways_in_which_a_request_ends(big):
    _, summary, seen = big
    assert set(summary["rejections"]) >= {
        "queue_full", "tenant_limit", "tenant_budget", "request_budget", "not_eligible", "attempts_spent", "caller_fault",
    }  # fmt: skip
    assert {"no_capacity", "behind_others", "retrying"} <= set(seen.of(log.EXPIRE, log.REASON_NAMES))
    assert set(seen.of(log.CANCEL, log.REASON_NAMES)) == {"client_gone"}


def test_all_classes_of_refusals_and_whom_they_cool(big):
    _, _, seen = big
    assert set(seen.of(log.REFUSED, log.REFUSAL_NAMES)) == set(log.REFUSAL_NAMES.values())
    scopes = {log.SCOPE_DEPLOYMENT: "deployment", log.SCOPE_BUCKET: "bucket", log.SCOPE_ACCOUNT: "account"}
    assert set(seen.of(log.COOL, scopes)) == set(scopes.values())


def test_accounts_come_go_and_lose_their_keys(big):
    _, _, seen = big
    assert {"active", "ordered", "draining", "no_keys"} <= set(seen.of(log.ACCOUNT, log.ACCOUNT_STATE_NAMES))
    assert seen.of(log.CONTROL, log.CONTROL_NAMES)["limit_changed"] > 0


def test_fallback_to_other_models_and_deployments(big):
    _, summary, _ = big
    assert summary["all"]["other_model"] > 0
    assert summary["all"]["other_deployment"] > 0

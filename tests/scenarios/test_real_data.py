"""Scenarios of recorded workloads: every request of the trace is accounted for."""

import pytest

from tests.scenarios.shipped import missed, run

pytestmark = pytest.mark.realdata


@pytest.mark.parametrize(("name", "rows"), [("azure", 19_366 + 8_819), ("agent_sessions", 49_334)])
def test_every_row_of_the_trace_is_a_request_that_ends(name, rows):
    result = run(name)
    requests = result.summary["requests"]
    assert sum(account.rows_read for account in result.accounting) == rows
    assert sum(account.rows_used for account in result.accounting) == rows
    assert requests["arrived"] == rows == sum(requests[end] for end in ("served", "rejected", "expired", "cancelled"))
    assert missed(result) == []


def test_the_coding_service_needs_more_than_the_chat_service_leaves():
    """Without the coding service the cheapest model is hardly ever full; with it the others are needed."""
    both = run("azure")
    assert both.summary["peak_utilization"]["openai"] > 0.95
    models = both.summary["models"]
    assert models["gemini-2.5-flash"]["served"] > 1000


def test_a_day_of_measured_clients(shared_data):
    result = run("servegen_day")
    assert result.summary["requests"]["arrived"] == pytest.approx(1_848_236, rel=0.02)
    assert result.summary["all"]["queued"] > 0
    assert missed(result) == []

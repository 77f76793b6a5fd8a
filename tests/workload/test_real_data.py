"""The recorded traces that this project was given: every row is used, and ServeGen is met."""

import numpy as np
import pytest
from pydantic import TypeAdapter

from forge1sim.workload.servegen_check import servegen_check
from forge1sim.workload.spec import Source
from tests.workload.groups import Tenants, build, rows_of

pytestmark = pytest.mark.realdata
DAY_S = 86_400.0


def workload(folder, source, tenants, horizon_s):
    return build([Tenants("t", tenants)], horizon_s, sources=(TypeAdapter(Source).validate_python(source),), folders=(folder,))


@pytest.mark.parametrize(
    ("source", "horizon_s", "count", "mean_input"),
    [
        ({"kind": "azure", "path": "azure_llm_2023_conv.csv.gz"}, 3600.0, 19_366, 1155),
        ({"kind": "azure", "path": "azure_llm_2023_code.csv.gz"}, 3600.0, 8_819, 2048),
        ({"kind": "arena", "path": "arena_27_tenants.csv.gz"}, 601.0, 1_500, None),
        ({"kind": "agent_sessions", "path": "claude_code_sessions.csv.gz", "sessions_per_s": 0.05, "loop": False},
         1e6, 49_334, None),
    ],
    ids=lambda value: value["path"] if isinstance(value, dict) else "",
)  # fmt: skip
def test_every_row_is_a_request(shared_data, source, horizon_s, count, mean_input):
    built = workload(shared_data, source, 27, horizon_s)
    rows = rows_of(built)
    (account,) = built.accounting()
    assert (account.rows_read, account.rows_used, rows.size) == (count, count, count)
    assert not account.skipped.total()
    if mean_input:
        assert rows["input_tokens"].mean() == pytest.approx(mean_input, abs=1)
    if source["kind"] == "arena":
        shares = np.sort(np.bincount(rows["tenant"]))[::-1] / count
        assert shares[:4] == pytest.approx([0.20, 0.18, 0.13, 0.08], abs=0.006)


def servegen(folder, model, horizon_s, **options):
    source = {"kind": "servegen", "path": f"servegen_{model}_arrivals.csv.gz",
              "lengths": f"servegen_{model}_lengths.csv.gz"} | options  # fmt: skip
    return workload(folder, source, 170, horizon_s).sources[0]


@pytest.mark.parametrize(("model", "horizon_s"), [("deepseek-r1", DAY_S), ("mm-image", DAY_S), ("m-large", 14_400.0),
                                                  ("m-small", 2400.0)])  # fmt: skip
def test_generated_servegen_meets_what_was_published(shared_data, model, horizon_s):
    for row in servegen_check(servegen(shared_data, model, horizon_s)):
        assert row.ratio == pytest.approx(1.0, abs=0.04), row


def test_the_published_side_gives_the_figures_of_the_data_sheet(shared_data):
    """Means of 14 days of m-large, computed by others from the same files and from the full histograms."""
    rows = servegen_check(servegen(shared_data, "m-large", 14 * DAY_S, requests_per_s=1.0))
    published = {row.name: row.published for row in rows}
    for name, figure in {
        "top_1_share": 0.16, "top_5_share": 0.43, "top_10_share": 0.63, "gap_cv_p50": 1.19, "gap_cv_p90": 6.2,
        "input_tokens_p50": 617, "input_tokens_p90": 2374, "input_tokens_p99": 5681,
        "output_tokens_p50": 54, "output_tokens_p90": 464, "output_tokens_p99": 911,
    }.items():  # fmt: skip
        assert published[name] == pytest.approx(figure, rel=0.05), name

"""ServeGen tenants have the published rates, burstiness and lengths, and resample without shifting draws."""

import numpy as np
import pytest
from pydantic import TypeAdapter

from forge1sim.errors import WorkloadError
from forge1sim.workload.servegen import ServeGenSource
from forge1sim.workload.servegen_check import servegen_check
from forge1sim.workload.spec import ServeGen
from tests.workload.groups import MODELS, MONDAY_US, Tenants, build, rows_of

DAY_S = 86_400.0
LEVELS = "p01,p05,p10,p25,p50,p75,p90,p95,p99,p999,max"


@pytest.fixture
def folder(tmp_path):
    """Three clients for a day: steady, bursty, and one that is there in the first hour only and has no lengths."""
    lines = ["client_id,window_start_s,rate,cv,pattern,pattern_arg1,pattern_arg2"]
    for window in range(144):
        lines.append(f"3,{window * 600},0.5,1.0,Gamma,1.0,1.0")
        lines.append(f"7,{window * 600},0.2,3.0,Weibull,0.4,1.0")
    lines += [f"9,{window * 600},0.1,1.0,Gamma,1.0,1.0" for window in range(6)]
    (tmp_path / "a.csv").write_text("\n".join(lines) + "\n")
    quantiles = {(3, "input_tokens"): 100, (3, "output_tokens"): 10, (7, "input_tokens"): 1000, (7, "output_tokens"): 40}
    rows = [f"{c},0,{field}," + ",".join(str(v * k) for k in range(1, 12)) for (c, field), v in quantiles.items()]
    (tmp_path / "b.csv").write_text(f"client_id,window_start_s,field,{LEVELS}\n" + "\n".join(rows) + "\n")
    return tmp_path


def source_of(folder, **options):
    return TypeAdapter(ServeGen).validate_python({"kind": "servegen", "path": "a.csv", "lengths": "b.csv"} | options)


def built(folder, count=3, horizon_s=DAY_S, **options):
    return build([Tenants("t", count)], horizon_s, sources=(source_of(folder, **options),), folders=(folder,))


def test_each_client_is_a_tenant_with_its_rates_and_quantiles(folder):
    workload = built(folder, 5)
    rows = rows_of(workload)
    assert np.bincount(rows["tenant"]).tolist() == [144 * 300, 144 * 120, 360]
    assert workload.expected_requests == rows.size
    assert rows["arrive_us"][rows["tenant"] == 2].max() < MONDAY_US + 3_600_000_000
    for tenant, scale in ((0, 100), (1, 1000)):
        tokens = rows["input_tokens"][rows["tenant"] == tenant]
        assert np.quantile(tokens, 0.5) == pytest.approx(5 * scale, rel=0.05)
        assert np.quantile(tokens, 0.9) == pytest.approx(7 * scale, rel=0.05)
        assert tokens.max() <= 11 * scale


def test_the_check_agrees(folder):
    for row in servegen_check(built(folder).sources[0]):
        assert row.ratio == pytest.approx(1.0, abs=0.05), row


def test_fitted_shapes_are_used_as_they_are(folder):
    def gap_cv(gaps):
        rows = rows_of(built(folder, gaps=gaps))
        own = rows["arrive_us"][rows["tenant"] == 1]
        return np.diff(own).std() / np.diff(own).mean()

    # Weibull of shape 0.4 has a CV of 3.14; over a sample of 120 it shows less.
    assert gap_cv("fitted") == pytest.approx(2.8, abs=0.4)
    assert gap_cv("cv") == pytest.approx(3.0, abs=0.3)


def test_a_file_of_a_day_repeats(folder):
    rows = rows_of(built(folder, horizon_s=2 * DAY_S))
    assert np.bincount(rows["tenant"]).tolist() == [2 * 144 * 300, 2 * 144 * 120, 720]


def test_resampled_tenants_have_the_same_total(folder):
    workload = built(folder, 400, resample=True, requests_per_s=2.0, shift_step_s=600.0)
    rows = rows_of(workload)
    assert workload.expected_requests == pytest.approx(2.0 * DAY_S, rel=1e-6)
    assert rows.size == pytest.approx(2.0 * DAY_S, rel=0.01)
    assert np.unique(rows["tenant"]).size == 400
    firsts = rows["arrive_us"][rows["number"] == 0]
    assert (firsts > MONDAY_US + 3_600_000_000).sum() > 20  # the short client, moved to other hours


def test_chunks_do_not_matter(folder):
    def rows(chunk_rows):
        source = ServeGenSource(
            source_of(folder, resample=True), [Tenants("t", 9)], MODELS, MONDAY_US, 20_000.0, 3, (folder,), "x", chunk_rows
        )
        return np.concatenate(list(source.chunks())).tobytes()

    assert rows(65_536) == rows(500)


def test_a_check_of_less_than_a_window_is_refused(folder):
    with pytest.raises(WorkloadError, match=r"nothing to compare within 500 s; .* windows of 600 s"):
        servegen_check(built(folder, horizon_s=500.0).sources[0])


def test_too_few_tenants_are_told(folder):
    with pytest.raises(WorkloadError, match=r"has 3 clients for 2 tenants; .*resample: true"):
        built(folder, 2)

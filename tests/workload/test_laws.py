"""Laws of every synthetic workload: order, numbering, and draws that nothing else can shift."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from forge1sim.workload.order import merged, ordered, places
from forge1sim.workload.spec import Demand
from forge1sim.workload.synthetic import SyntheticSource
from forge1sim.workload.table import REQUESTS
from tests.workload.groups import MODELS, MONDAY_US, Tenants, build, rows_of

RELAXED = settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@st.composite
def demands(draw: st.DrawFn) -> Demand:
    arrivals = {"kind": draw(st.sampled_from(["poisson", "gamma", "mmpp", "deterministic"])), "burst_s": 20.0,
                "cv": draw(st.sampled_from([0.3, 4.0]))}  # fmt: skip
    sessions = {"requests": {"mean": 3.0}, "think_time_s": {"kind": "exponential", "mean": 9.0}}
    return Demand.model_validate({
        "requests_per_s_each": draw(st.sampled_from([0.05, 1.0])),
        "arrivals": arrivals,
        "diurnal": draw(st.sampled_from([None, {"peak_over_mean": 3.0}])),
        "growth_per_week": draw(st.sampled_from([0.0, 0.5])),
        "onboarding_over_s": draw(st.sampled_from([0.0, 300.0])),
        "sessions": draw(st.sampled_from([None, None, sessions])),
        "cancel_probability": 0.5,
        "deadline_s": {"kind": "gamma", "mean": 5.0},
    })  # fmt: skip


groups = st.lists(st.tuples(st.integers(1, 5), demands()), min_size=1, max_size=3).map(
    lambda parts: [Tenants(name=f"group-{at}", count=n, demand=d) for at, (n, d) in enumerate(parts)]
)


def source(parts, chunk_rows=65_536, seed=7):
    return SyntheticSource(parts, MODELS, MONDAY_US, 2000.0, seed, chunk_rows)


@RELAXED
@given(groups)
def test_rows_are_sorted_numbered_and_within_the_horizon(parts):
    rows = rows_of(build(parts, 2000.0))
    assert (rows == rows[np.lexsort((rows["number"], rows["tenant"], rows["arrive_us"]))]).all()
    for tenant in np.unique(rows["tenant"]):
        numbers = rows["number"][rows["tenant"] == tenant]
        assert numbers.tolist() == list(range(numbers.size))
    if rows.size:
        assert rows["arrive_us"].min() >= MONDAY_US
        assert rows["arrive_us"].max() < MONDAY_US + 2_000_000_000
        assert (rows["deadline_us"] >= rows["arrive_us"]).all()
        assert (rows["cached_tokens"] <= rows["input_tokens"]).all()


@RELAXED
@given(groups, st.sampled_from([40, 333]))
def test_the_length_of_chunks_changes_nothing(parts, chunk_rows):
    whole = np.concatenate(list(source(parts).chunks()))
    pieces = np.concatenate(list(source(parts, chunk_rows).chunks()))
    assert whole.tobytes() == pieces.tobytes()


@RELAXED
@given(groups, demands())
def test_another_tenant_shifts_nobodys_draws(parts, demand):
    """One more tenant in the first group and one more group: the others' requests stay as they were."""
    first = parts[0]
    more = [Tenants(name="new", count=2, demand=demand), Tenants(first.name, first.count + 1, demand=first.demand)]
    before, after = (np.concatenate(list(source(each).chunks())) for each in (parts, more + parts[1:]))
    after = after[(after["tenant"] != 2 + first.count) & (after["tenant"] >= 2)]
    after["tenant"] -= np.where(after["tenant"] > 2 + first.count, 3, 2)
    assert before.tobytes() == after.tobytes()


@RELAXED
@given(groups)
def test_asked_again_the_same_rows_come_and_another_seed_gives_others(parts):
    built = source(parts)
    first, again = (np.concatenate(list(built.chunks())) for _ in range(2))
    assert first.tobytes() == again.tobytes()
    other = np.concatenate(list(source(parts, seed=8).chunks()))
    assert not first.size or first.tobytes() != other.tobytes()


@st.composite
def streams(draw: st.DrawFn) -> list[list[np.ndarray]]:
    """Sorted streams in chunks, with many equal times."""
    result = []
    for number in range(draw(st.integers(1, 3))):
        times = sorted(draw(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 2)), max_size=20)))
        rows = np.zeros(len(times), REQUESTS)
        rows["arrive_us"], rows["tenant"] = [t for t, _ in times], [who for _, who in times]
        rows["input_tokens"], rows["output_tokens"] = number, np.arange(rows.size)
        result.append(np.split(rows, sorted(draw(st.lists(st.integers(0, len(times)), max_size=4)))))
    return result


@RELAXED
@given(streams())
def test_merging_is_a_stable_sort_of_all_streams(parts):
    everything = np.concatenate([chunk for stream in parts for chunk in stream])
    wanted = everything[np.lexsort((everything["tenant"], everything["arrive_us"]))]
    got = np.concatenate([np.empty(0, REQUESTS), *merged([iter(stream) for stream in parts])])
    assert got.tobytes() == wanted.tobytes()


@pytest.mark.parametrize(("rows", "times"), [(3000, 1), (3000, 3000), (200, 10**18)])
def test_ordering_agrees_with_a_plain_stable_sort(rows, times):
    draw = np.random.default_rng(3)
    given_rows = np.zeros(rows, REQUESTS)
    given_rows["arrive_us"], given_rows["tenant"] = draw.integers(0, times, rows), draw.integers(0, 50, rows)
    given_rows["input_tokens"] = np.arange(rows)
    wanted = given_rows[np.lexsort((given_rows["tenant"], given_rows["arrive_us"]))]
    assert ordered(given_rows).tobytes() == wanted.tobytes()
    order = np.argsort(given_rows["arrive_us"], kind="stable")
    assert places(given_rows["arrive_us"], 0)[order].tolist() == list(range(rows))


TESTS = Path(__file__).parents[1]
PLAIN = """
import hashlib
from workload.groups import *
demand = {"requests_per_s_each": 0.5, "diurnal": {}, "deadline_s": {"kind": "gamma", "mean": 3.0, "cv": 0.7},
          "cancel_probability": 0.3, "models": {"auto": 1.0, "small": 1.0}}
kinds = [{"kind": "poisson"}, {"kind": "gamma", "cv": 3.0}, {"kind": "mmpp", "burst_s": 9.0}]
parts = [Tenants(kind["kind"], 3, demand=Demand.model_validate(demand | {"arrivals": kind})) for kind in kinds]
parts.append(Tenants("talks", 2, demand=Demand.model_validate(demand | {"sessions": {}})))
print(hashlib.sha256(rows_of(build(parts, 200.0)).tobytes()).hexdigest())
"""


def test_compiled_and_plain_python_agree_to_the_bit():
    hashes = {
        subprocess.run(
            [sys.executable, "-W", "error", "-c", PLAIN], check=True, capture_output=True, text=True,
            env=os.environ | {"NUMBA_DISABLE_JIT": flag, "PYTHONPATH": os.pathsep.join([str(TESTS), str(TESTS.parent)])},
        ).stdout
        for flag in ("0", "1")
    }  # fmt: skip
    assert len(hashes) == 1

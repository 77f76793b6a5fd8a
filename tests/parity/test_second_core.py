"""A run on two cores is the run on one, to the bit, and fails as it does."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from forge1sim.beside import Behind, ahead
from forge1sim.errors import TraceError
from forge1sim.run import simulate
from forge1sim.scenario.load import load_scenario

SCENARIOS = Path(__file__).parents[2] / "scenarios"


class StopError(Exception):
    """Raised by whoever looks at a run, to end it."""


@pytest.mark.parametrize("driver", ["compiled", "simpy"])
def test_the_results_are_the_same(driver):
    loaded = load_scenario(SCENARIOS / "big.yaml", ("horizon_s=10min", "faults=[]"))
    alone, beside = (simulate(loaded, driver=driver, second_core=two) for two in (False, True))
    assert alone.summary["requests"]["arrived"] > 40_000
    assert {**beside.summary, "seconds": 0} == {**alone.summary, "seconds": 0}
    for field in dataclasses.fields(alone.metrics.state):
        np.testing.assert_array_equal(getattr(beside.metrics.state, field.name), getattr(alone.metrics.state, field.name))


@pytest.mark.parametrize("watch", ["sinks", "on_metrics", "on_progress"])
def test_whoever_watches_may_end_it(watch):
    seen = []

    def stop(*_):
        seen.append(1)
        raise StopError

    loaded = load_scenario(SCENARIOS / "quickstart.yaml", ("horizon_s=6h",))
    with pytest.raises(StopError):
        simulate(loaded, second_core=True, **{watch: (stop,) if watch == "sinks" else stop})
    assert len(seen) == 1


def test_a_trace_that_breaks_off_is_told(tmp_path):
    rows = [f"{second},100,10" for second in range(200_000)]
    (tmp_path / "broken.csv").write_text("\n".join(["arrive_s,input_tokens,output_tokens", *rows, "200000,many,10"]))
    file = tmp_path / "broken.yaml"
    file.write_text(
        "name: broken\nhorizon_s: 3d\nmodels: [gpt-5.4-mini]\naccounts: [{name: a, provider: openai}]\ntenants: [{name: t}]\n"
        "workload: {sources: [{kind: table, path: broken.csv, "
        "columns: {arrive_s: arrive_s, input_tokens: input_tokens, output_tokens: output_tokens}}]}\n"
    )
    told = []
    for two in (False, True):
        with pytest.raises(TraceError, match="many") as error:
            simulate(load_scenario(file), second_core=two)
        told.append(str(error.value))
    assert told[0] == told[1]


def test_rows_may_be_overwritten_once_they_were_taken():
    taken = []
    rows = np.zeros(3, np.dtype([("number", "<i8")]))
    with Behind(lambda chunk: taken.extend(chunk["number"].tolist())) as behind:
        for count in range(50):
            rows["number"] = count
            behind(rows[: count % 3 + 1])
    assert taken == [count for count in range(50) for _ in range(count % 3 + 1)]


def test_chunks_come_in_order_and_no_further_than_one_ahead():
    made = []

    def chunks():
        for number in range(5):
            made.append(number)
            yield np.full(1, number)

    used = []
    for chunk in ahead(chunks()):
        used.append(int(chunk[0]))
        assert len(made) <= len(used) + 1
    assert used == [0, 1, 2, 3, 4]

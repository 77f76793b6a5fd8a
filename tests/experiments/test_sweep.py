"""Sweeps: the table, going on after an end at any moment, and what is refused."""

import json
import math
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forge1sim.ask import Ask
from forge1sim.errors import ExperimentError, ScenarioError
from forge1sim.experiments.journal import JOURNAL, Journal
from forge1sim.experiments.outcome import replicate
from forge1sim.experiments.sweeps import ABOUT, TABLE, Sweep, sweep
from tests.small import SMALL

RATE, COUNT = "tenants.client.demand.requests_per_s", "accounts.openai.count"
FIELDS = {RATE: "4:6:2", COUNT: [1, 2]}
POINTS = list(product((4, 6), (1, 2)))
HOW = {"replications": 3, "backend": "serial"}


@pytest.fixture(scope="module")
def scenario(tmp_path_factory):
    path = tmp_path_factory.mktemp("scenario") / "small.yaml"
    path.write_text(SMALL, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def whole(scenario, tmp_path_factory) -> Sweep:
    """A sweep that nobody interrupted."""
    return sweep(scenario, FIELDS, **HOW, out=tmp_path_factory.mktemp("whole") / "out")


def made_by(scenario, fields, **how):
    """A sweep and how many runs it made: all but those that it found."""
    told = []
    done = sweep(scenario, fields, **how, on_progress=told.append)
    running = [progress for progress in told if progress.phase == "running"]
    assert running[-1].done == running[-1].total
    return done, running[-1].done - running[0].done


def test_the_table_has_each_point_with_the_same_seeds_and_the_outcomes_of_single_runs(scenario, whole):
    frame = whole.frame()
    assert list(zip(frame[RATE], frame[COUNT], frame["seed"], strict=True)) == [(*point, seed) for point in POINTS for seed in (1, 2, 3)]
    assert list(frame.columns[:4]) == ["point", RATE, COUNT, "seed"]
    assert list(frame["point"]) == sorted([0, 1, 2, 3] * 3)
    for row in (0, 7, 11):
        overrides = (f"{RATE}={frame[RATE][row]}", f"{COUNT}={frame[COUNT][row]}")
        expected = replicate(Ask(scenario=str(scenario), overrides=overrides, seed=int(frame["seed"][row])))
        assert {name: frame[name][row] for name in expected} == pytest.approx(expected, abs=0, rel=0, nan_ok=True)
        assert set(whole.measures) == set(expected)
    assert whole.failed == 0


def test_the_file_is_the_table(whole):
    import pyarrow.parquet as pq

    stored = pq.read_table(whole.folder / TABLE).to_pydict()
    assert list(stored) == list(whole.columns)
    assert repr(stored) == repr(dict(whole.columns))
    about = json.loads((whole.folder / ABOUT).read_text(encoding="utf-8"))
    assert about["fields"] == {RATE: ["4", "6"], COUNT: ["1", "2"]}
    assert (about["points"], about["runs"], about["failed"]) == (4, 12, 0)


@settings(max_examples=8)
@given(share=st.floats(0, 1), zeros=st.sampled_from([0, 3]))
def test_cut_at_any_byte_it_goes_on_and_the_table_is_the_same_file(scenario, whole, tmp_path_factory, share, zeros):
    out = tmp_path_factory.mktemp("cut") / "out"
    out.mkdir()
    journal = (whole.folder / JOURNAL).read_bytes()
    kept = journal[: round(share * len(journal))]
    (out / JOURNAL).write_bytes(kept + b"\0" * zeros)
    finished = max(0, kept.count(b"\n") - 1)
    done, made = made_by(scenario, FIELDS, **HOW, out=out)
    assert made == 12 - finished
    assert (out / TABLE).read_bytes() == (whole.folder / TABLE).read_bytes()
    assert (out / ABOUT).read_bytes() == (whole.folder / ABOUT).read_bytes()
    assert repr(dict(done.columns)) == repr(dict(whole.columns))


def test_more_points_and_seeds_in_the_same_folder_make_only_what_is_new(scenario, tmp_path):
    out = tmp_path / "out"
    assert made_by(scenario, {RATE: "4:5:1"}, backend="serial", out=out)[1] == 2
    done, made = made_by(scenario, {RATE: "4:6:1"}, replications=2, backend="serial", out=out)
    assert (made, len(done)) == (4, 6)
    assert made_by(scenario, {RATE: "4:5:1"}, backend="serial", out=out)[1] == 0


def test_a_changed_scenario_is_refused_until_it_is_to_be_made_anew(scenario, tmp_path):
    mine, out = tmp_path / "mine.yaml", tmp_path / "out"
    mine.write_text(SMALL, encoding="utf-8")
    before, _ = made_by(mine, {RATE: "4:5:1"}, backend="serial", out=out)
    mine.write_text(SMALL.replace("limit: 300", "limit: 200"), encoding="utf-8")
    with pytest.raises(ExperimentError, match=r"2 of its runs were made before the scenario, .* changed; make them anew by --force"):
        sweep(mine, {RATE: "4:5:1"}, backend="serial", out=out)
    after, made = made_by(mine, {RATE: "4:5:1"}, backend="serial", out=out, anew=True)
    assert made == 2
    assert after.columns["all.wait_p95_s"] != before.columns["all.wait_p95_s"]
    assert made_by(mine, {RATE: "4:5:1"}, backend="serial", out=out)[1] == 0


def test_a_point_that_is_no_scenario_is_a_row_with_its_message(scenario):
    done = sweep(scenario, {COUNT: [-1, 1]}, backend="serial")
    assert (done.failed, len(done)) == (1, 2)
    assert f"{COUNT.replace('openai', '0')} is -1" in done.failures[0]
    assert math.isnan(done.columns["all.arrived"][0])
    assert done.columns["all.arrived"][1] > 0
    assert [mean.count for mean in done.means("all.arrived")] == [0, 1]


def test_a_field_that_is_unknown_is_found_before_anything_runs(scenario, tmp_path):
    told = []
    with pytest.raises(ScenarioError, match=r"accounts\.0\.cuont is unknown; did you mean count"):
        sweep(scenario, {"accounts.openai.cuont": "1:3:1"}, out=tmp_path / "out", on_progress=told.append)
    assert {progress.phase for progress in told} == {"checking"}
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({"replications": 0}, "replications is 0"),
        ({"replications": 2.0}, "replications is 2.0"),
        ({"replications": 10**6}, "more than 100,000 runs"),
        ({"workers": 0}, "workers is 0"),
        ({"seed": -1}, "seed is -1"),
        ({"backend": "spark"}, "backend is 'spark'"),
    ],
)
def test_bad_arguments_are_named(scenario, tmp_path, how, said):
    with pytest.raises(ExperimentError) as error:
        sweep(scenario, FIELDS, **how)
    assert said in str(error.value)


def test_folders_that_cannot_be_used(scenario, tmp_path):
    (tmp_path / "notes.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(ExperimentError, match="is not empty and holds no sweep"):
        sweep(scenario, FIELDS, out=tmp_path)
    with pytest.raises(ExperimentError, match="cannot be written"):
        sweep(scenario, FIELDS, out=tmp_path / "notes.txt")
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]
    for content in (b"mine", b"mine\n", b'{"forge1sim": "finished runs of a sweep", "version": 9}\nx\n'):
        (tmp_path / JOURNAL).write_bytes(content)
        with pytest.raises(ExperimentError, match="is no journal of a sweep"):
            sweep(scenario, FIELDS, out=tmp_path)
        assert (tmp_path / JOURNAL).read_bytes() == content


def test_a_broken_line_between_others_is_named(scenario, whole, tmp_path):
    lines = (whole.folder / JOURNAL).read_bytes().splitlines(keepends=True)
    (tmp_path / JOURNAL).write_bytes(b"".join([*lines[:3], b"{}\n", *lines[3:]]))
    with pytest.raises(ExperimentError, match=rf"{JOURNAL}:4: is no finished run"):
        sweep(scenario, FIELDS, **HOW, out=tmp_path)


def test_two_sweeps_do_not_share_a_folder(scenario, tmp_path):
    with Journal(tmp_path / "out"), pytest.raises(ExperimentError, match="another sweep writes to it now"):
        sweep(scenario, FIELDS, out=tmp_path / "out")


def test_drawn_points_are_the_same_for_the_same_seed(scenario):
    fields = {RATE: "uniform(2,6)", COUNT: "integers(1,3)"}
    done = sweep(scenario, fields, random=4, seed=5, backend="serial")
    again = sweep(scenario, fields, random=4, seed=5, backend="serial")
    assert repr(done.columns) == repr(again.columns)
    assert len(set(done.columns[RATE])) == 4
    assert set(done.columns["seed"]) == {5}
    assert done.figure("all.wait_mean_s").data[0].mode == "markers"


def test_one_field_is_a_line_with_bars_and_two_are_a_heat_map(whole):
    means = whole.means("all.cost_usd")
    line = whole.figure("all.cost_usd", where={COUNT: 1}).data[0]
    assert list(line.x) == [4, 6]
    assert list(line.y) == [means[0].value, means[2].value]
    assert list(line.error_y.array) == [means[0].half_width, means[2].half_width]
    heat = whole.figure("all.cost_usd").data[0]
    assert heat.type == "heatmap"
    assert [list(row) for row in heat.z] == [[means[0].value, means[2].value], [means[1].value, means[3].value]]


def test_figures_that_cannot_be_drawn_say_why(whole):
    with pytest.raises(ExperimentError, match=r"'all.wait_p96_s' is no number of the outcome; did you mean all\.wait_p9"):
        whole.figure("all.wait_p96_s")
    with pytest.raises(ExperimentError, match="'count' is no field of this sweep"):
        whole.figure(where={"count": 1})
    with pytest.raises(ExperimentError, match=r"count is never 3; it is 1, 2"):
        whole.figure(where={COUNT: 3})
    with pytest.raises(ExperimentError, match="a figure has one or two fields, here are 0"):
        whole.figure(where={COUNT: 1, RATE: 4})

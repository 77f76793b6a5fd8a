"""The report's distance from the best possible: there if it was computed, told in words, and one message if its file is broken."""

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from forge1sim.errors import RunError
from forge1sim.report import write_report
from forge1sim.report.export import zip_bytes
from forge1sim.results.figures import FIGURES, figures_of
from forge1sim.results.read import read_run
from forge1sim.results.regret import REGRET
from tests.metrics.make_log import make_log, make_static
from tests.report.test_report import EVIL, run_folder

TITLE = "Distance from the best possible"


def line(policy: str, cost_usd: float, bound_usd: float, floor_usd: float, **fields: Any) -> dict[str, Any]:
    regret_usd = cost_usd - bound_usd
    return {
        "policy": policy, "served_ratio": 0.9, "quality_mean": 0.8, "cost_usd": cost_usd, "bound_usd": bound_usd, "floor_usd": floor_usd,
        "regret_usd": regret_usd, "regret_of_cost": regret_usd / cost_usd if cost_usd else 0.0,
        "regret_of_controllable": regret_usd / (cost_usd - floor_usd) if cost_usd else 0.0, "gap": 0.001,
    } | fields  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    static = make_static()
    return run_folder(tmp_path_factory.mktemp("regret") / "run", static, make_log(static, requests=200))


def keep(folder: Path, own: object, lines: object) -> None:
    (folder / REGRET).write_text(json.dumps({"own": own, "lines": lines}), encoding="utf-8")


def told(folder: Path, own: str, *lines: dict[str, Any]) -> str:
    keep(folder, own, lines)
    run = read_run(folder)
    return figures_of(run)[-1].draw(run)[1]


def test_a_run_without_it_has_no_such_section(folder):
    (folder / REGRET).unlink(missing_ok=True)
    assert figures_of(read_run(folder)) == FIGURES
    assert TITLE not in write_report(folder).read_text(encoding="utf-8")


def test_a_report_drawn_again_tells_distance_and_table(folder):
    keep(folder, EVIL[0], [line("cheapest", 8, 7, 4), line(EVIL[0], 10, 7, 4)])
    text = write_report(folder).read_text(encoding="utf-8")
    section = text[text.index(TITLE) :]
    assert "paid $10; whoever had known everything beforehand would have paid at least $7 for these answers" in section
    assert "30.0% of what was paid and 50.0% of what choices decide" in section
    assert "of_controllable_ratio" in section
    assert EVIL[0] not in section
    assert REGRET in zipfile.ZipFile(io.BytesIO(zip_bytes(read_run(folder)))).namelist()


def test_the_figure_adds_up_to_what_was_paid(folder):
    told(folder, "ours", line("cheapest", 8, 7, 4), line("ours", 10, 7, 5))
    run = read_run(folder)
    bars = [trace for trace in figures_of(run)[-1].draw(run)[0].data if trace.type == "bar"]
    assert [sum(values) for values in zip(*(trace.x for trace in bars), strict=True)] == [8, 10]


def test_the_sentence_names_who_is_nearest_and_how_sure_the_bound_is(folder):
    ours, other = line("ours", 10, 7, 4), line("cheapest", 8, 7, 4, quality_mean=0.75)
    nearest = "Of 2 compared, cheapest comes nearest, with 25.0%; it paid $8 at quality 0.750, against 0.800."
    assert nearest in told(folder, "ours", other, ours)
    assert "Of 2 compared, none comes nearer." in told(folder, "cheapest", other, ours)
    assert "compared" not in told(folder, "ours", ours)
    assert "rise by" not in told(folder, "ours", ours)
    assert "a bound might rise by up to 4.0%" in told(folder, "ours", {**ours, "gap": 0.04})
    assert told(folder, "ours", line("ours", 0, 0, 0)) == "The run's own policies paid nothing, and nothing can cost less."


@pytest.mark.parametrize(
    ("own", "lines", "said"),
    [
        ("ours", [], "lines is not a list"),
        ("ours", 3, "lines is not a list"),
        ("ours", [1], "lines is not a list"),
        ("mine", [line("ours", 3, 2, 1)], "own is 'mine', must be the policy of one of the lines"),
        ("ours", [line("ours", 3, 2, 1) | {"bound_usd": None}], r"lines\[0\]\.bound_usd is None, must be a number"),
        ("ours", [line("ours", 3, 2, 1) | {"gap": float("nan")}], r"lines\[0\]\.gap is nan, must be a number"),
        ("ours", [line("ours", 3, 2, 1) | {"cost_usd": True}], r"lines\[0\]\.cost_usd is True, must be a number"),
    ],
)
def test_a_broken_file_is_named_with_what_is_wrong(folder, own, lines, said):
    keep(folder, own, lines)
    with pytest.raises(RunError, match=rf"{REGRET}: {said}.*run the scenario again with --regret"):
        write_report(folder)


def test_a_file_that_is_no_json_is_named(folder):
    (folder / REGRET).write_text("{", encoding="utf-8")
    with pytest.raises(RunError, match=f"{REGRET}: cannot be read as JSON"):
        write_report(folder)

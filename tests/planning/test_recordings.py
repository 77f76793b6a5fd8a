"""Plans for recorded demand: compared on an earlier part, verified on a later one."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from forge1sim.ask import Ask
from forge1sim.planning.plan import plan
from forge1sim.planning.recordings import fitted_and_later
from tests.planning.test_plan import SMALL

HOUR_S = 3600


def _recorded(folder: Path, later_per_s: float, **terms: Any) -> Path:
    """A request every 4 s for half an hour, then `later_per_s` a second, in the shape of a scenario with three accounts."""
    times = [4.0 * number for number in range(450)] + [1800 + number / later_per_s for number in range(round(1800 * later_per_s))]
    (folder / "trace.csv").write_text("arrive_s,input_tokens,output_tokens\n" + "".join(f"{at},300,100\n" for at in times))
    content = yaml.safe_load(SMALL)
    content["tenants"][0]["demand"].pop("requests_per_s")
    content |= {"horizon_s": HOUR_S, "workload": {"sources": [{
        "kind": "table", "path": "trace.csv", "requests": {"deadline_s": {"kind": "deterministic", "mean": 20}}}]}}  # fmt: skip
    content["accounts"][0]["limits"] = [{"dimension": "rpm", "limit": 30, "burst_s": 10}]
    content["accounts"] = content["accounts"][:1]
    content["models"] = [{**content["models"][0], "fallbacks": []}]
    content["plan"] |= {"block_s": 60.0, **terms}
    path = folder / "recorded.yaml"
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    return path


def test_what_sufficed_earlier_is_not_enough_for_a_busier_later_part(tmp_path: Path) -> None:
    calm = plan(_recorded(tmp_path, 0.25), backend="serial")
    busy = plan(_recorded(tmp_path, 0.9), backend="serial")
    all_of_it = plan(_recorded(tmp_path, 0.9, fitted_share=1.0), backend="serial")
    assert [one.planned for one in calm.items] == [1]
    assert [one.planned for one in busy.items] == [2]
    assert busy.refused
    assert [one.planned for one in all_of_it.items] == [2]
    assert all(one.holds for one in busy.verified.promises)


def test_it_says_what_it_was_fitted_to(tmp_path: Path) -> None:
    said = " ".join(plan(_recorded(tmp_path, 0.25), backend="serial").said)
    assert "compared on its first 50%, and verified on the rest" in said
    assert "not verified for other days" in said


def test_a_plan_of_a_recording_has_no_draws_in_it(tmp_path: Path) -> None:
    planned = plan(_recorded(tmp_path, 0.25), backend="serial")
    assert not any("bootstrap" in one for one in planned.overrides)


def test_the_later_part_begins_where_the_fitted_one_ends(tmp_path: Path) -> None:
    path = _recorded(tmp_path, 0.25, fitted_share=0.6)
    fitted, later = (one.load().workload_sources[0].bootstrap for one in fitted_and_later(Ask.of(path), Ask.of(path).load()))
    assert (fitted.from_share, fitted.until_share) == (0.0, 0.6)
    assert (later.from_share, later.until_share, later.block_s) == (0.6, 1.0, 60.0)


def test_a_part_of_the_recording_that_the_scenario_draws_from_is_kept_to(tmp_path: Path) -> None:
    path = _recorded(tmp_path, 0.25)
    content = yaml.safe_load(path.read_text())
    content["workload"]["sources"][0]["bootstrap"] = {"from_share": 0.2, "until_share": 0.6, "block_s": 30.0}
    path.write_text(yaml.safe_dump(content))
    fitted, later = (one.load().workload_sources[0].bootstrap for one in fitted_and_later(Ask.of(path), Ask.of(path).load()))
    assert (fitted.from_share, fitted.until_share) == pytest.approx((0.2, 0.4))
    assert (later.from_share, later.until_share, later.block_s) == pytest.approx((0.4, 0.6, 30.0))


def test_generated_demand_is_left_alone() -> None:
    ask = Ask.of("scenarios/quickstart.yaml")
    assert fitted_and_later(ask, ask.load()) == (ask, ask)

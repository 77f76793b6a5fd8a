"""Every scenario that ships is valid, says what question it answers, and runs to the end of each request."""

import re

import pytest

from forge1sim.errors import ScenarioError
from forge1sim.scenario.folders import Folders
from forge1sim.scenario.load import load_scenario
from tests.scenarios.shipped import FILES, FOLDER, LONG, REAL, SHARED, load, run

NAMES = [file.stem for file in FILES]
WANTED = {
    "quickstart", "design_pool", "outage_at_peak", "black_friday", "noisy_neighbour", "dedicated_vs_shared",
    "ten_thousand_tenants_week", "big", "azure", "servegen_day", "servegen_two_weeks", "agent_sessions",
}  # fmt: skip
# A fault that a short run never reaches is an error, so that big leaves its faults out.
SHORT = {
    "big": ("horizon_s=5min", "faults=[]"), "black_friday": ("horizon_s=2h",), "design_pool": ("horizon_s=1h",),
    "ten_thousand_tenants_week": ("horizon_s=10min",), "servegen_two_weeks": ("horizon_s=6h",),
}  # fmt: skip


def needs_data(name):
    if name in REAL and not SHARED.is_dir():
        pytest.skip("needs the recorded traces in ../shared/data")


def settings_told_in(description: str) -> list[str]:
    """The changes that a description invites to try."""
    return re.findall(r"(?:--set '?|')([a-z][\w.-]*=(?:\[\]|[\w.-]*\w))", description)


def test_all_that_were_asked_for_are_there():
    assert set(NAMES) == WANTED


@pytest.mark.parametrize("name", NAMES)
def test_it_is_valid_and_says_what_it_asks_and_promises(name):
    needs_data(name)
    loaded = load(name)
    assert loaded.name == name
    assert "?" in loaded.scenario.description
    assert loaded.slos
    first = (FOLDER / f"{name}.yaml").read_text(encoding="utf-8").splitlines()[0]
    assert re.fullmatch(r"# yaml-language-server: \$schema=\S+", first)


@pytest.mark.parametrize("name", NAMES)
def test_each_change_that_it_invites_to_try_is_possible(name):
    needs_data(name)
    base = load(name)
    for setting in settings_told_in(base.scenario.description):
        assert load(name, setting).hash != base.hash, setting


def test_invitations_are_found():
    assert settings_told_in("Try --set a.b=c, or 'faults=[]' (--set d.0.e_s=0.5).") == ["a.b=c", "faults=[]", "d.0.e_s=0.5"]


@pytest.mark.parametrize("name", NAMES)
def test_a_short_run_ends_every_request_once(name):
    needs_data(name)
    summary = run(name, *SHORT.get(name, ("horizon_s=15min",))).summary
    requests = dict(summary["requests"])
    assert requests["arrived"] > 0
    assert requests.pop("arrived") == sum(requests.values())
    assert requests["in_system"] == 0
    assert summary["littles_law"]["equal"]


@pytest.mark.slow
@pytest.mark.parametrize("name", LONG)
def test_the_long_ones_run_whole(name):
    needs_data(name)
    summary = run(name).summary
    assert summary["requests"]["arrived"] > (4_500_000 if name in REAL else 59_000_000)
    assert summary["requests"]["in_system"] == 0


@pytest.mark.parametrize("name", REAL)
def test_without_the_data_the_message_says_where_to_put_it(name, tmp_path):
    for file in FILES:
        (tmp_path / file.name).write_bytes(file.read_bytes())
    with pytest.raises(ScenarioError, match="--data-folder"):
        load_scenario(tmp_path / f"{name}.yaml", folders=Folders())

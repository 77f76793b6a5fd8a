"""The library on disk: names, tags, search, deletion, and ids that lead nowhere else."""

import pytest

from forge1sim.errors import RunError
from forge1sim.runs import Ask, RunStore


@pytest.fixture
def shelf_of_three(tmp_path):
    store = RunStore(tmp_path / "runs")
    for name in ("first try", "second try", "Black Friday"):
        ask = Ask(scenario="scenarios/quickstart.yaml")
        store.create(ask, owner="anna", name=name, kind="run", key=name.replace(" ", ""), pool="gone")
    return store


def named(store, **sought):
    return [run.name for run in store.runs("anna", **sought)]


def test_search_finds_names_scenarios_and_tags_newest_first(shelf_of_three):
    assert named(shelf_of_three) == ["Black Friday", "second try", "first try"]
    assert named(shelf_of_three, text="TRY") == ["second try", "first try"]
    assert len(named(shelf_of_three, text="quickstart")) == 3
    run = shelf_of_three.runs("anna", text="black")[0]
    shelf_of_three.set_tags(run.id, ["peak", "peak", "to show"])
    assert shelf_of_three.get(run.id).tags == ("peak", "to show")
    assert named(shelf_of_three, tag="peak") == ["Black Friday"]
    assert named(shelf_of_three, text="to sh") == ["Black Friday"]


def test_a_run_has_the_name_that_it_is_given(shelf_of_three):
    run = shelf_of_three.runs("anna")[0]
    shelf_of_three.rename(run.id, "  Cyber   Monday ")
    assert shelf_of_three.get(run.id).name == "Cyber Monday"
    for bad in ("", "   ", "x" * 121):
        with pytest.raises(RunError, match="a name has 1 to 120 letters"):
            shelf_of_three.rename(run.id, bad)


def test_a_deleted_run_is_gone_and_the_others_stay(shelf_of_three):
    run = shelf_of_three.runs("anna", text="second")[0]
    shelf_of_three.delete(run.id)
    assert named(shelf_of_three) == ["Black Friday", "first try"]
    with pytest.raises(RunError, match="there is no run"):
        shelf_of_three.get(run.id)


@pytest.mark.parametrize("run_id", ["", "..", "../runs", ".keys", "a/b", "nothing", "x" * 300])
def test_an_id_leads_to_a_run_or_nowhere(shelf_of_three, run_id):
    for use in (shelf_of_three.get, shelf_of_three.delete):
        with pytest.raises(RunError, match="there is no run"):
            use(run_id)


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(RunError, match="file/runs: cannot keep runs there"):
        RunStore(tmp_path / "file" / "runs")

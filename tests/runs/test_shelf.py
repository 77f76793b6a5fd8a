"""Scenarios to choose from: what ships, what was saved, and what a stranger's file may not do."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forge1sim.errors import RunError, ScenarioError
from forge1sim.runs import Shelf
from forge1sim.runs.document import as_values, as_yaml
from forge1sim.runs.shelf import as_one_file, proper_file_name
from forge1sim.scenario.load import load_scenario

SMALL = """\
name: my platform
models: [gpt-5.4-mini]
accounts: [{name: a, provider: openai}]
tenants: [{name: t, demand: {requests_per_s: 1}}]
"""


@pytest.fixture
def shelf(tmp_path):
    return Shelf(tmp_path / "scenarios")


def test_the_quick_start_comes_first_of_what_ships(shelf):
    refs = [one.ref for one in shelf.shipped()]
    assert refs[0] == "quickstart"
    assert {"outage_at_peak", "black_friday", "ten_thousand_tenants_week"} <= set(refs)


def test_every_shipped_scenario_survives_being_made_one_file(shelf, root):
    for one in shelf.shipped():
        text = as_yaml(as_values(as_one_file(one.path)))
        if "shared:" not in text:       # recorded data may be absent here
            assert shelf.check(text, {}).hash == load_scenario(one.path).hash, one.ref


def test_a_saved_scenario_is_found_by_its_ref_and_means_the_same(shelf):
    saved = shelf.save(SMALL, {}, "anna")
    assert saved.ref.startswith("my-platform@")
    assert shelf.find(saved.ref) == saved
    assert saved.path.read_text() == SMALL
    assert shelf.save(SMALL, {}, "bert").ref == saved.ref
    assert [one.ref for one in shelf.saved("anna")] == [saved.ref]
    assert shelf.saved("carl") == []
    assert shelf.save(SMALL + "seed: 2\n", {}, "anna").ref != saved.ref


def test_data_files_go_with_their_scenario(shelf, tmp_path):
    trace = tmp_path / "upload"
    trace.write_text("TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:17:03.9799600,374,44\n")
    text = SMALL + "workload: {sources: [{kind: azure, path: trace.csv}]}\n"
    saved = shelf.save(text, {"trace.csv": trace}, "anna")
    trace.unlink()
    assert shelf.data_files(saved.ref)["trace.csv"].read_text().startswith("TIMESTAMP")
    assert load_scenario(saved.path).data_files
    with pytest.raises(ScenarioError, match=r"trace\.csv.*no such file"):
        shelf.check(text, {})


def test_old_drafts_go_but_what_was_saved_or_run_stays(shelf, monkeypatch):
    monkeypatch.setattr("forge1sim.runs.shelf.MOST_DRAFTS", 1)
    saved = shelf.save(SMALL, {}, "anna")
    ran = shelf.save(SMALL + "seed: 2\n", {})
    shelf.keep_for_run(ran.ref)
    drafts = [shelf.save(SMALL + f"seed: {seed}\n", {}) for seed in (3, 4)]
    for one in (saved, ran, drafts[1]):
        assert shelf.find(one.ref) == one
    with pytest.raises(RunError, match="there is no scenario"):
        shelf.find(drafts[0].ref)


def test_old_uploads_go(shelf, monkeypatch):
    monkeypatch.setattr("forge1sim.runs.shelf.MOST_UPLOADS", 2)
    paths = [shelf.take_in("trace.csv", content) for content in (b"a", b"b", b"c")]
    assert [path.exists() for path in paths] == [False, True, True]


@pytest.mark.parametrize("path", ["../secret.csv", "/etc/passwd", "a/../../secret.csv"])
def test_a_scenario_reads_nothing_outside_its_folder(shelf, tmp_path, path):
    (tmp_path / "secret.csv").write_text("TIMESTAMP,ContextTokens,GeneratedTokens\n")
    with pytest.raises(ScenarioError, match=r"scenario\.yaml:.*name a file inside"):
        shelf.check(SMALL + f"workload: {{sources: [{{kind: azure, path: {path}}}]}}\n", {})


def test_a_scenario_brings_no_code(shelf):
    with pytest.raises(ScenarioError, match="no policy folder is allowed"):
        shelf.check(SMALL + "policies: {routing: {policy: 'evil.py:run'}}\n", {})
    with pytest.raises(ScenarioError, match="tags are not allowed"):
        shelf.check(SMALL + "description: !!python/object/apply:os.system [true]\n", {})


@pytest.mark.parametrize("name", ["../x.csv", ".hidden", "scenario.yaml", "a b.csv", "x" * 101])
def test_a_data_file_has_a_plain_name(shelf, tmp_path, name):
    (tmp_path / "file").touch()
    with pytest.raises(RunError, match="a name has letters"):
        shelf.check(SMALL, {name: tmp_path / "file"})


@pytest.mark.parametrize("given", ["my trace (1).csv", "\u0436.csv", ".hidden.jsonl", "a" * 300 + ".parquet", "plain.csv"])
def test_a_trace_of_any_name_gets_a_plain_one_of_its_kind(shelf, tmp_path, given):
    name = proper_file_name(given)
    assert name.rpartition(".")[2] == given.rpartition(".")[2]
    (tmp_path / "data").write_text("x")
    assert shelf.save(SMALL, {name: tmp_path / "data"}).path.with_name(name).is_file()
    assert proper_file_name(name) == name


@pytest.mark.parametrize("ref", ["", "..", "nothing", "../x@000000000000", "x@zzz"])
def test_a_ref_leads_to_a_scenario_or_nowhere(shelf, ref):
    with pytest.raises(RunError, match="there is no scenario"):
        shelf.find(ref)


scalars = st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats(allow_nan=False, allow_infinity=False) | st.text()
texts = st.sampled_from(
    ["1e3", "12:30", "no", "null", "2026-11-22", "~", "", "- a", "a: b", "#", "x" * 300, "0x10", "1_000", " a ", "a\nb"]
)
values = st.recursive(
    scalars | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts.filter(lambda key: key not in ("", "<<")), inner, max_size=4),
    max_leaves=12,
)


@given(tree=st.dictionaries(st.sampled_from(["name", "models", "x"]), values, min_size=1))
def test_a_document_reads_back_as_it_was(tree):
    assert as_values(as_yaml(tree)) == tree


def test_a_document_that_is_no_mapping_is_refused():
    with pytest.raises(ScenarioError, match="a scenario is a mapping"):
        as_values("- a\n")

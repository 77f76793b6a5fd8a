"""A scenario that extends another states only what differs."""

import pytest

from forge1sim.errors import ScenarioError
from forge1sim.scenario.extends import merge, read_extended
from forge1sim.scenario.yaml_tree import Place, node_of

HERE = Place("f.yaml", 1)


def _merged(base: object, change: object) -> object:
    return merge(node_of(base, HERE), node_of(change, HERE)).plain()


def test_mappings_merge_field_by_field():
    assert _merged({"a": {"x": 1, "y": 2}, "b": 3}, {"a": {"y": 5}}) == {"a": {"x": 1, "y": 5}, "b": 3}


def test_a_null_takes_a_field_back_to_its_default():
    assert _merged({"a": 1, "b": 2}, {"a": None}) == {"b": 2}


def test_lists_of_named_things_merge_by_name():
    base = {"accounts": [{"name": "a", "count": 1, "keys": 2}, {"name": "b"}]}
    change = {"accounts": [{"name": "a", "count": 9}, {"name": "c"}, {"name": "b", "drop": True}]}
    assert _merged(base, change) == {"accounts": [{"name": "a", "count": 9, "keys": 2}, {"name": "c"}]}


def test_models_in_short_merge_with_models_changed():
    change = {"models": [{"catalogue": "gpt-4o", "speed": {"ttft_s": 1}}, "gpt-5.4"]}
    expected = {"models": [{"catalogue": "gpt-4o", "speed": {"ttft_s": 1}}, "gpt-4o-mini", "gpt-5.4"]}
    assert _merged({"models": ["gpt-4o", "gpt-4o-mini"]}, change) == expected


def test_other_lists_are_replaced():
    assert _merged({"tags": ["a", "b"], "faults": [{"kind": "outage"}]}, {"tags": ["c"], "faults": []}) == {"tags": ["c"], "faults": []}


def test_another_kind_replaces_the_whole_mapping():
    assert _merged({"d": {"kind": "gamma", "cv": 3}}, {"d": {"kind": "mmpp", "burst_s": 1}}) == {"d": {"kind": "mmpp", "burst_s": 1}}
    assert _merged({"d": {"kind": "gamma", "cv": 3}}, {"d": {"kind": "gamma", "mean": 1}}) == {"d": {"kind": "gamma", "cv": 3, "mean": 1}}


def _write(folder, files):
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)


def test_each_value_keeps_the_file_and_line_it_was_written_in(tmp_path):
    _write(tmp_path, {"base/one.yaml": "a: 1\nb: 2\n", "two.yaml": "extends: base/one.yaml\n\nb: 3\n"})
    tree = read_extended(tmp_path / "two.yaml")
    assert tree.plain() == {"a": 1, "b": 3}
    assert tree.place_of(("a",)) == Place(str(tmp_path / "base/one.yaml"), 1)
    assert tree.place_of(("b",)) == Place(str(tmp_path / "two.yaml"), 3)


def test_a_base_may_extend_a_further_base(tmp_path):
    _write(tmp_path, {"a.yaml": "x: 1\ny: 1\nz: 1", "b.yaml": "extends: a.yaml\ny: 2\nz: 2", "c.yaml": "extends: b.yaml\nz: 3"})
    assert read_extended(tmp_path / "c.yaml").plain() == {"x": 1, "y": 2, "z": 3}


CIRCLE = "circle: .*a.yaml -> .*b.yaml -> .*c.yaml -> .*a.yaml"


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"a.yaml": "extends: a.yaml"}, "a.yaml -> "),
        ({"a.yaml": "extends: b.yaml", "b.yaml": "extends: c.yaml", "c.yaml": "extends: a.yaml"}, CIRCLE),
        ({"a.yaml": "extends: ../a.yaml"}, r"a.yaml:1: extends is '../a.yaml': the path leaves"),
        ({"a.yaml": "\nextends: /etc/hostname"}, "a.yaml:2: extends is '/etc/hostname': an absolute path leaves"),
        ({"a.yaml": "extends: none.yaml"}, "extends is 'none.yaml': no such file"),
        ({"a.yaml": "extends: [x, y]"}, r"extends is \['x', 'y'\], should be the name of one file"),
        ({"a.yaml": "extends: ''"}, "extends is '': no file is named"),
        ({"a.yaml": "extends: b.yaml", "b.yaml": "- 1"}, "b.yaml:1: a scenario is a mapping"),
        ({"a.yaml": "extends: b.yaml", "b.yaml": "x: ["}, "b.yaml:1: not YAML"),
        ({"a.yaml": "extends: b.yaml\nl: [{name: z, drop: true}]", "b.yaml": "l: [{name: a}]"}, "a.yaml:2: nothing named 'z' to drop"),
    ],
)  # fmt: skip
def test_what_cannot_be_extended_is_said(tmp_path, files, said):
    _write(tmp_path, files)
    with pytest.raises(ScenarioError, match=said):
        read_extended(tmp_path / "a.yaml")


def test_a_link_out_of_the_folder_is_followed_before_it_is_judged(tmp_path):
    outside, inside = tmp_path / "outside.yaml", tmp_path / "in"
    outside.write_text("x: 1")
    inside.mkdir()
    (inside / "link.yaml").symlink_to(outside)
    (inside / "a.yaml").write_text("extends: link.yaml")
    with pytest.raises(ScenarioError, match="the path leaves"):
        read_extended(inside / "a.yaml")


def test_the_chain_is_bounded(tmp_path):
    _write(tmp_path, {f"f{number}.yaml": f"extends: f{number + 1}.yaml" for number in range(12)} | {"f12.yaml": "x: 1"})
    with pytest.raises(ScenarioError, match="more than 8 files deep"):
        read_extended(tmp_path / "f0.yaml")

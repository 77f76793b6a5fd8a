"""YAML as people expect it: scalars of YAML 1.2, every value with its line, nothing without bound."""

import json
import math

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from forge1sim.errors import ScenarioError
from forge1sim.scenario.yaml_tree import MAX_DEPTH, MAX_VALUES, Place, parse_yaml, read_yaml


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e3", 1000.0), ("1_000", 1000), ("-7", -7), (".5", 0.5), ("2.", 2.0), ("true", True), ("null", None), ("~", None),
        ("12:30", "12:30"), ("no", "no"), ("on", "on"), ("2026-11-22", "2026-11-22"), ("0x10", "0x10"), ("'1'", "1"), ('"null"', "null"),
        ("", None), ("010", 10), ("1.2.3", "1.2.3"),
    ],
)  # fmt: skip
def test_scalars_are_what_they_look_like(text, value):
    read = parse_yaml(f"a: {text}", "f.yaml").plain()
    assert read == {"a": value}
    assert type(read["a"]) is type(value)


def test_each_value_keeps_its_line():
    tree = parse_yaml("a: 1\nb:\n  - x\n  - {y: 2,\n     z: 3}\n", "f.yaml")
    assert tree.place_of(("a",)) == Place("f.yaml", 1)
    assert tree.place_of(("b", 1, "z")) == Place("f.yaml", 5)
    assert tree.place_of(("b", 1, "missing")) == Place("f.yaml", 4)
    assert tree.place_of(("b", 9)) == Place("f.yaml", 2)


def test_an_alias_repeats_its_value_and_has_the_line_of_its_use():
    tree = parse_yaml("a: &x {n: 1}\nb: *x\n", "f.yaml")
    assert tree.plain() == {"a": {"n": 1}, "b": {"n": 1}}
    assert tree.place_of(("b",)).line == 2


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: 1\na: 2\n", "f.yaml:2: field 'a' is given twice, first in line 1"),
        ("a: .nan", "f.yaml:1: .nan is no finite number"),
        ("a:\n  b: -.inf", "f.yaml:2: -.inf is no finite number"),
        ("a: " + "9" * 60, "f.yaml:1:"),
        ("a: 1e999", "f.yaml:1: 1e999 is too large"),
        ("a: !!python/object/apply:os.system [ls]", "f.yaml:1: tag"),
        ("a: !secret x", "f.yaml:1: tag"),
        ("a:\n\tb: 1", "f.yaml:2: a tab"),
        ("a: [1, 2", "f.yaml:1: not YAML"),
        ("a: 'open", "f.yaml:1: not YAML"),
        ("a: &a [*a]", "f.yaml:1: *a names no complete value"),
        ("a: *b", "f.yaml:1:"),
        ("a: {<<: {b: 1}}", "f.yaml:1: merge keys"),
        ("? [x]\n: y", "f.yaml:1: a field name must be text"),
        ("--- {a: 1}\n--- {b: 2}", "f.yaml:2: a second document"),
        ("", "f.yaml: empty"),
        ("# only a comment\n", "f.yaml: empty"),
        ("a: \x07", "f.yaml: not YAML"),
        ("[" * 100, f"f.yaml:1: nested more than {MAX_DEPTH} deep"),
        ("[" * 100_000, f"f.yaml:1: nested more than {MAX_DEPTH} deep"),
    ],
)  # fmt: skip
def test_what_is_not_read_has_one_message(text, said):
    with pytest.raises(ScenarioError) as caught:
        parse_yaml(text, "f.yaml")
    assert str(caught.value).startswith(said)
    assert len(str(caught.value)) < 300
    assert "\n" not in str(caught.value)


def test_aliases_are_counted_as_often_as_they_are_used():
    bomb = "a0: &a0 [1,1,1,1,1,1,1,1,1,1]\n" + "".join(f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 9))
    with pytest.raises(ScenarioError, match=f"more than {MAX_VALUES:,} values"):
        parse_yaml(bomb, "f.yaml")


def test_a_chain_of_aliases_is_as_deep_as_it_unfolds():
    chain = "a0: &a0 [1]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}]\n" for n in range(1, 500))
    with pytest.raises(ScenarioError, match="deep, aliases expanded"):
        parse_yaml(chain, "f.yaml")


def test_files_are_bounded_and_utf8(tmp_path):
    large, latin, folder = tmp_path / "large.yaml", tmp_path / "latin.yaml", tmp_path / "folder"
    large.write_bytes(b"#" * (4 * 1024 * 1024 + 1))
    latin.write_bytes("name: café".encode("latin-1"))
    folder.mkdir()
    for path, said in ((large, "4,194,305 bytes"), (latin, "not UTF-8"), (folder, "is a folder"), (tmp_path / "none", "no such file")):
        with pytest.raises(ScenarioError, match=said):
            read_yaml(path, path.name)


def test_a_byte_order_mark_is_no_part_of_the_text(tmp_path):
    path = tmp_path / "bom.yaml"
    path.write_bytes(b"\xef\xbb\xbfname: x\n")
    assert read_yaml(path, "bom.yaml").plain() == {"name": "x"}


LETTERS = st.characters(exclude_categories=("Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp"))
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63) + 1, 2**63 - 1) | st.text(LETTERS, max_size=20)
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(LETTERS, min_size=1, max_size=8), inner, max_size=4),
    max_leaves=20,
)  # fmt: skip


def _same(read: object, written: object) -> bool:
    if isinstance(written, dict):
        return isinstance(read, dict) and list(read) == list(written) and all(_same(read[key], written[key]) for key in written)
    if isinstance(written, list):
        return isinstance(read, list) and len(read) == len(written) and all(map(_same, read, written))
    if isinstance(written, float) and isinstance(read, float | int):
        return math.isclose(read, written, rel_tol=0, abs_tol=0)
    return type(read) is type(written) and read == written


@given(value=PLAIN)
def test_what_json_writes_is_read_back(value):
    """JSON is YAML: every value comes back as it was, of its own type."""
    assert _same(parse_yaml(json.dumps(value, ensure_ascii=False), "f.json").plain(), value)


@given(text=st.text(max_size=200) | st.binary(max_size=200).map(lambda raw: raw.decode("latin-1")))
def test_any_text_is_read_or_refused(text):
    try:
        parse_yaml(text, "f.yaml").plain()
    except ScenarioError as error:
        assert str(error).startswith("f.yaml")


@given(value=st.dictionaries(st.text(min_size=1, max_size=8), st.integers() | st.text(max_size=8), max_size=4))
def test_what_pyyaml_dumps_is_read_or_refused(value):
    try:
        parse_yaml(yaml.safe_dump(value), "f.yaml").plain()
    except ScenarioError as error:
        assert str(error).startswith("f.yaml")

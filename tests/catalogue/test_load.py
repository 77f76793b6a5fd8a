"""Catalogue files of users: extending, replacing, removing; and everything that can be wrong with one."""

import gzip

import pytest

from forge1sim.catalogue import load_catalogue
from forge1sim.errors import CatalogueError

MINE = """
extends: current
evidence: {source: our contract, effective: 2026-10-01, grade: official}
models:
  gpt-5.4:
    price: {input_usd_per_1m: 2, output_usd_per_1m: 12}
  in-house:
    provider: openai
    price: {input_usd_per_1m: 0.5, output_usd_per_1m: 1}
    context: {context_tokens: 32000, max_output_tokens: 4000}
    speed: {configuration: ours, ttft_s: 0.2, tokens_per_s: 60}
    performance: {configuration: ours, scores: [0.9, 0.8, 0.7, 0.5, 0.3]}
  gpt-4o: null
providers:
  openai:
    limits:
      gpt-5.4:
        tier-5: {rpm: 30000, tpm: 80000000}
"""


def write(folder, text, name="mine.yaml"):
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_a_file_adds_replaces_and_removes(tmp_path):
    mine = load_catalogue(write(tmp_path, MINE))
    assert mine.name == "current", "what it does not say comes from the catalogue it extends"
    assert mine.model("gpt-5.4").input_usd_per_1m == 2
    assert mine.model("gpt-5.4").context_tokens == load_catalogue("current").model("gpt-5.4").context_tokens
    assert mine.model("in-house").performance == (0.9, 0.8, 0.7, 0.5, 0.3)
    assert "gpt-4o" not in mine.models
    rows = {row.dimension: row.limit for row in mine.limits("openai", "tier-5", ["gpt-5.4"])}
    assert rows == {"rpm": 30_000, "tpm": 80_000_000, "spend": 200_000}
    assert len(mine.limits("openai", "tier-4", ["gpt-5.4"])) == 3, "other usage tiers stand"


def test_a_new_figure_never_keeps_old_evidence(tmp_path):
    mine = load_catalogue(write(tmp_path, MINE))
    figures = {figure.field: figure for figure in mine.figures("gpt-5.4")}
    assert figures["price.input_usd_per_1m"].source == "our contract"
    assert figures["price.input_usd_per_1m"].grade == "official"
    assert "price.cached_input_usd_per_1m" not in figures, "the group was replaced whole"
    without = MINE.replace("evidence: {source: our contract, effective: 2026-10-01, grade: official}", "")
    with pytest.raises(CatalogueError, match=r"models\.gpt-5\.4\.price\.source: Field required"):
        load_catalogue(write(tmp_path, without))


def test_files_extend_files_beside_them(tmp_path):
    write(tmp_path, "extends: current\nmodels: {gpt-4o: null}\n", "base.yaml")
    mine = load_catalogue(write(tmp_path, "extends: base.yaml\nname: ours\n"))
    assert mine.name == "ours"
    assert "gpt-4o" not in mine.models


def test_shipped_catalogues_are_untouched_by_files_that_extend_them(tmp_path):
    before = load_catalogue("current").model_dump()
    load_catalogue(write(tmp_path, MINE))
    assert load_catalogue("current").model_dump() == before


BOMB = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join(['*' + before] * 10)}]\n" for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)
MERGE_BOMB = "a: &a {x: 1, y: 2}\n" + "".join(
    f"b{n}: &b{n} {{<<: [*{before}, *{before}]}}\n" for n, before in enumerate(["a", *(f"b{i}" for i in range(40))])
)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("models: [", "line 2: not valid YAML"),
        ("- a\n- b\n", "holds a list"),
        ("", "holds a NoneType"),
        (b"\xff\xfe\x00\x01 not text", "not valid YAML"),
        ("extends: nowhere.yaml\n", "no such file"),
        ("extends: ../other.yaml\n", "outside the folder"),
        ("extends: /etc/hosts\n", "outside the folder"),
        ("extends: 7\n", "extends must be"),
        ("extends: mine.yaml\n", "in a circle"),
        ("evidence: 7\n", "evidence must be"),
        ("extends: current\nmodels: {gpt-4o: {provider: nobody}}\n", "'nobody' is not in providers"),
        ("extends: current\nmodels: {gpt-4o: {fallbacks: [gpt-9]}}\n", "'gpt-9' is not another model"),
        ("extends: current\nmodels: {gpt-4o: {colour: red}}\n", r"models\.gpt-4o\.colour: Extra inputs"),
        ("extends: current\nmodels: {gpt-4o: {price: {input_usd_per_1m: -1}}}\n", r"greater than or equal to 0 \(got -1\)"),
        ("extends: current\nmodels: {gpt-4o: {price: {input_usd_per_1m: .nan}}}\n", "finite number"),
        ("extends: current\nmodels: {gpt-4o: {price: cheap}}\n", r"price: .* \(got 'cheap'\)"),
        ("extends: current\nproviders: {openai: {day: {timezone: Mars}}}\n", "no IANA time zone"),
        (
            "extends: current\nevidence: {source: s, effective: 2026-01-01, grade: official}\n"
            "providers: {openai: {limits: {gpt-4o: {tier-9: {rpm: 1}}}}}\n",
            "'tier-9', which is not in usage_tiers",
        ),
        (
            "extends: current\nevidence: {source: s, effective: 2026-01-01, grade: official}\n"
            "providers: {openai: {limits: {gpt-4o: {tier-1: {itpm: 1}}}}}\n",
            "'itpm', which has no rule",
        ),
        (BOMB, "aliases unfold to more"),
        (MERGE_BOMB, "merge keys unfold to too much"),
        ("x: " + "[" * 1_000_000, "line 1: .*nested more than 64 deep"),
        ("x: &x [*x]\n", "aliases unfold to more"),
        (b"#" * (5 * 1024 * 1024), "larger than 4 MiB"),
        (gzip.compress(b"#" * (5 * 1024 * 1024)), "larger than 4 MiB"),
    ],
)  # fmt: skip
def test_a_broken_file_gives_one_clear_message(tmp_path, text, said):
    path = write(tmp_path, text)
    with pytest.raises(CatalogueError, match=said) as caught:
        load_catalogue(path)
    assert "mine.yaml" in str(caught.value)


def test_a_folder_or_a_missing_file_is_no_catalogue(tmp_path):
    for path in (tmp_path, tmp_path / "missing.yaml"):
        with pytest.raises(CatalogueError, match="neither a file nor shipped"):
            load_catalogue(path)


def test_performance_needs_exactly_one_form(tmp_path):
    for form in ("", "index: 20, scores: [1, 1, 1, 1, 1]", "index: 0", "index: 100"):
        text = MINE.replace("scores: [0.9, 0.8, 0.7, 0.5, 0.3]", form)
        with pytest.raises(CatalogueError, match=r"models\.in-house\.performance"):
            load_catalogue(write(tmp_path, text))

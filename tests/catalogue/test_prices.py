"""Refreshing prices: exact, dated, and calm about whatever a price list holds."""

import gzip
import json
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forge1sim.catalogue import load_catalogue, price_overlay, refresh_prices
from forge1sim.catalogue.prices import price_of
from forge1sim.errors import CatalogueError

CURRENT = load_catalogue("current")
SHARED = Path(__file__).parents[3] / "shared" / "data"
JULY = SHARED / "litellm_model_prices_2026-07-24.json.gz"
AUGUST = SHARED / "litellm_model_prices_2026-08-01.json.gz"
needs_lists = pytest.mark.skipif(not AUGUST.is_file(), reason="needs the dated price lists in shared/data")
DAY = date(2026, 11, 1)
LUNA = {"litellm_provider": "openai", "input_cost_per_token": 4e-8, "output_cost_per_token": 2.4e-7}


def write(folder, listed):
    path = folder / "prices.json"
    path.write_text(listed if isinstance(listed, str) else json.dumps(listed))
    return path


def changed(changes):
    return {
        (c.model, c.field): (c.before_usd_per_1m, c.after_usd_per_1m) for c in changes if c.after_usd_per_1m is not None
    }


@needs_lists
def test_luna_falls_to_a_fifth_between_the_two_dated_lists():
    july, _ = refresh_prices(CURRENT, JULY, date(2026, 7, 24))
    august, changes = refresh_prices(july, AUGUST, date(2026, 8, 1))
    assert changed(changes) == {
        ("gpt-5.6-luna", "input_usd_per_1m"): (1.0, 0.2),
        ("gpt-5.6-luna", "cached_input_usd_per_1m"): (0.1, 0.02),
        ("gpt-5.6-luna", "output_usd_per_1m"): (6.0, 1.2),
        ("gpt-5.6-terra", "input_usd_per_1m"): (2.5, 2.0),
        ("gpt-5.6-terra", "cached_input_usd_per_1m"): (0.25, 0.2),
        ("gpt-5.6-terra", "output_usd_per_1m"): (15.0, 12.0),
    }
    assert august.model("gpt-5.6-luna").input_usd_per_1m == 0.2
    price = august.models["gpt-5.6-luna"].price
    assert (price.effective, price.grade) == (date(2026, 8, 1), "third_party")
    assert "272k tokens costs 0.4" in price.note


@needs_lists
def test_the_shipped_prices_are_those_of_the_list_they_name():
    _, changes = refresh_prices(CURRENT, AUGUST, date(2026, 8, 1))
    assert changed(changes) == {}
    left = {change.model for change in changes}
    assert left == {"gpt-6-luna", "gpt-6.1-sol", "claude-opus-5-5"}, "newer than the list, and left alone"


@needs_lists
def test_limits_are_never_taken_from_the_list():
    refreshed, _ = refresh_prices(CURRENT, JULY, date(2026, 7, 24))
    assert refreshed.providers == CURRENT.providers


def test_a_confirmed_price_keeps_its_evidence(tmp_path):
    same = {**LUNA, "input_cost_per_token": 2e-7, "output_cost_per_token": 1.2e-6}
    refreshed, changes = refresh_prices(CURRENT, write(tmp_path, {"gpt-5.6-luna": same}), DAY)
    assert changed(changes) == {}
    assert refreshed.models == CURRENT.models


def test_a_model_is_taken_only_from_its_own_provider(tmp_path):
    listed = {
        "gpt-5.6-luna": {**LUNA, "litellm_provider": "azure"},
        "gemini-2.5-pro": {**LUNA, "litellm_provider": "vertex_ai-language-models"},
        "gemini/gemini-2.5-pro": {**LUNA, "litellm_provider": "gemini", "input_cost_per_token": 3e-6},
    }
    refreshed, _ = refresh_prices(CURRENT, write(tmp_path, listed), DAY)
    assert refreshed.model("gpt-5.6-luna").input_usd_per_1m == 0.2
    assert refreshed.model("gemini-2.5-pro").input_usd_per_1m == 3.0


def test_an_older_list_says_that_it_is_older(tmp_path):
    _, changes = refresh_prices(CURRENT, write(tmp_path, {"gpt-5.6-luna": LUNA}), date(2026, 1, 1))
    notes = {change.note for change in changes if change.model == "gpt-5.6-luna"}
    assert notes == {"the catalogue's price was of 2026-08-01, newer than this list"}


@pytest.mark.parametrize(
    ("entry", "why"),
    [
        ("gone", "not in the list"),
        (None, "not in the list"),
        ([], "not in the list"),
        ({}, "not in the list"),
        ({**LUNA, "litellm_provider": ["openai"]}, "not in the list"),
        ({**LUNA, "input_cost_per_token": None}, "input_cost_per_token is missing"),
        ({**LUNA, "input_cost_per_token": "2e-7"}, "input_cost_per_token is missing"),
        ({**LUNA, "input_cost_per_token": True}, "input_cost_per_token is missing"),
        ({**LUNA, "input_cost_per_token": -1e-7}, "input_cost_per_token is missing"),
        ({**LUNA, "input_cost_per_token": float("nan")}, "input_cost_per_token is missing"),
        ({**LUNA, "input_cost_per_token": 10**30}, "input_cost_per_token is missing"),
        ({**LUNA, "output_cost_per_token": {}}, "output_cost_per_token is missing"),
        ({**LUNA, "input_cost_per_token": 0, "output_cost_per_token": 0}, "no cost"),
    ],
)
def test_an_unusable_entry_leaves_the_price_and_says_why(tmp_path, entry, why):
    refreshed, changes = refresh_prices(CURRENT, write(tmp_path, {"gpt-5.6-luna": entry, "sample_spec": {}}), DAY)
    assert refreshed.models == CURRENT.models
    notes = [change.note for change in changes if change.model == "gpt-5.6-luna"]
    assert len(notes) == 1
    assert why in notes[0]


def test_a_silent_list_keeps_the_cached_price_unless_it_would_exceed_the_new_one(tmp_path):
    kept, _ = refresh_prices(CURRENT, write(tmp_path, {"gpt-5.6-luna": LUNA}), DAY)
    assert kept.model("gpt-5.6-luna").cached_input_usd_per_1m == 0.02
    cheaper = {**LUNA, "input_cost_per_token": 1e-8}
    dropped, _ = refresh_prices(CURRENT, write(tmp_path, {"gpt-5.6-luna": cheaper}), DAY)
    assert dropped.model("gpt-5.6-luna").cached_input_usd_per_1m is None


@given(pico_usd=st.integers(1, 10**9))
def test_prices_carry_no_binary_noise(pico_usd):
    """A decimal price per token is the closest float to its exact price per million tokens."""
    entry = json.loads(
        f'{{"input_cost_per_token": {pico_usd}e-12, "output_cost_per_token": {pico_usd}e-12}}', parse_float=Decimal
    )
    assert price_of(entry).input_usd_per_1m == float(Decimal(pico_usd) / 10**6)


ANY_ENTRY = st.recursive(st.none() | st.floats() | st.text(), st.lists, max_leaves=5)


@settings(max_examples=30, deadline=None)
@given(listed=st.dictionaries(st.sampled_from(list(CURRENT.models)), ANY_ENTRY, max_size=3))
def test_any_json_object_is_read_or_left(tmp_path_factory, listed):
    path = write(tmp_path_factory.getbasetemp(), listed)
    refreshed, _ = refresh_prices(CURRENT, path, DAY)
    assert refreshed.models == CURRENT.models


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "not a JSON price list"),
        (b"{", "not a JSON price list, or truncated"),
        (b"\xff\xfe\x00", "not a JSON price list"),
        (b"[1, 2]", "holds a list"),
        (b"[" * 100_000, "not a JSON price list"),
        (b'{"a": 1' + b"0" * 10_000 + b"}", "not a JSON price list"),
        (gzip.compress(b"{" + b" " * 1000 + b"}")[:-12], "damaged or truncated gzip"),
        (gzip.compress(b"{}")[:5], "damaged or truncated gzip"),
        (b"\x1f\x8b not gzip at all", "damaged or truncated gzip"),
        (gzip.compress(b" " * (65 * 1024 * 1024)), "larger than 64 MiB"),
    ],
    ids=["empty", "cut", "binary", "list", "nested", "digits", "gzip-cut", "gzip-head", "gzip-fake", "gzip-bomb"],
)
def test_a_broken_list_gives_one_clear_message(tmp_path, content, said):
    path = tmp_path / "prices.json.gz"
    path.write_bytes(content)
    with pytest.raises(CatalogueError, match=said) as caught:
        refresh_prices(CURRENT, path, DAY)
    assert "prices.json.gz" in str(caught.value)


def test_a_missing_list_is_named(tmp_path):
    with pytest.raises(CatalogueError, match=r"none\.json: cannot be read \(No such file"):
        refresh_prices(CURRENT, tmp_path / "none.json", DAY)


def test_refreshed_prices_can_be_kept_as_a_file(tmp_path):
    refreshed, changes = refresh_prices(CURRENT, write(tmp_path, {"gpt-5.6-luna": LUNA}), DAY)
    kept = tmp_path / "mine.yaml"
    kept.write_text(price_overlay("current", refreshed, changes))
    assert load_catalogue(kept).models == refreshed.models

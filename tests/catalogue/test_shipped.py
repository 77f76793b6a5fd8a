"""The shipped catalogues: what they hold, and how it maps onto the platform schema."""

from datetime import date
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forge1sim.catalogue import catalogue_table, load_catalogue, performance_by_complexity, shipped_names
from forge1sim.catalogue.tables import GRADES
from forge1sim.errors import CatalogueError

CURRENT = load_catalogue("current")


def by_dimension(limits, model_class):
    return {limit.dimension: limit for limit in limits if limit.model_class == model_class}


def test_three_providers_and_enough_models():
    providers = [entry.provider for entry in CURRENT.models.values()]
    assert set(providers) == {"openai", "anthropic", "google"}
    assert len(providers) >= 14
    assert min(providers.count(name) for name in set(providers)) >= 5


@pytest.mark.parametrize("catalogue", shipped_names())
def test_every_figure_says_where_it_comes_from_and_how_good_it_is(catalogue):
    shipped = load_catalogue(catalogue)
    for name in shipped.models:
        for figure in shipped.figures(name):
            assert figure.source not in shipped.sources, f"{figure.field}: the key of a source, not the source"
            assert len(figure.source) > 15
            assert date(2024, 12, 31) < figure.effective <= date(2026, 11, 22)
            assert figure.grade in GRADES


@pytest.mark.parametrize("catalogue", shipped_names())
def test_every_source_named_by_a_key_is_listed_and_used(catalogue):
    shipped = load_catalogue(catalogue)
    used = {figure.source for name in shipped.models for figure in shipped.figures(name)}
    assert used == set(shipped.sources.values())


@pytest.mark.parametrize("name", CURRENT.models)
def test_prices_and_windows_are_sane(name):
    model = CURRENT.model(name)
    assert 0 < model.input_usd_per_1m < model.output_usd_per_1m
    assert model.cached_input_usd_per_1m is not None
    assert 0 < model.cached_input_usd_per_1m <= model.input_usd_per_1m / 2
    assert model.max_output_tokens < model.context_tokens
    assert 0 < model.speed.ttft_s <= 2.5, "an interactive configuration"


@given(index=st.floats(5, 95), stronger=st.floats(0.5, 40))
def test_performance_falls_with_complexity_and_stronger_models_lose_less(index, stronger):
    weak, strong = performance_by_complexity(index), performance_by_complexity(min(index + stronger, 99))
    for scores in (weak, strong):
        assert all(0 < low < high <= 1 for high, low in pairwise(scores))
    assert all(better >= worse for better, worse in zip(strong, weak, strict=True))
    assert strong[0] - strong[-1] < weak[0] - weak[-1]


@given(index=st.floats(1, 99))
def test_at_full_complexity_performance_is_the_index(index):
    assert performance_by_complexity(index)[-1] == pytest.approx(index / 100, abs=5e-5)


def test_openai_paces_the_minute_and_charges_max_tokens():
    limits = by_dimension(CURRENT.limits("openai", "tier-5", ["gpt-5.4"]), "gpt-5.4")
    assert set(limits) == {"rpm", "tpm"}
    assert (limits["rpm"].limit, limits["rpm"].window, limits["rpm"].charge) == (15_000, "paced", "requests")
    assert (limits["tpm"].limit, limits["tpm"].window, limits["tpm"].charge) == (40_000_000, "paced", "max_tokens")
    assert limits["tpm"].burst_s == 1.0


def test_anthropic_has_token_buckets_for_uncached_input_and_real_output():
    limits = by_dimension(CURRENT.limits("anthropic", "build", ["claude-fable-5"]), "fable-5.x")
    assert {name: (row.limit, row.charge) for name, row in limits.items()} == {
        "rpm": (2_000, "requests"),
        "itpm": (1_500_000, "uncached_input"),
        "otpm": (300_000, "output"),
    }
    assert {row.window for row in limits.values()} == {"token_bucket"}


def test_google_counts_input_days_in_california_and_spend_in_ten_minutes():
    limits = CURRENT.limits("google", "tier-2", ["gemini-2.5-pro"])
    rows = by_dimension(limits, "gemini-2.5-pro")
    assert rows["tpm"].charge == "input"
    assert (rows["rpd"].limit, rows["rpd"].window) == (50_000, "day")
    spend = {row.window: row for row in limits if row.dimension == "spend"}
    assert (spend["sliding"].limit, spend["sliding"].window_s) == (50, 600)
    assert (spend["fixed"].limit, spend["fixed"].window_s) == (2_000, 30 * 86_400)
    assert {row.charge for row in spend.values()} == {"cost"}
    assert {row.model_class for row in spend.values()} == {"*"}
    assert CURRENT.provider("google").timezone == "America/Los_Angeles"


def test_a_shared_class_comes_once():
    limits = CURRENT.limits("anthropic", "start", ["claude-opus-4-6", "claude-opus-4-8", "claude-opus-5", "gpt-5.4"])
    assert [(row.dimension, row.model_class) for row in limits] == [
        ("rpm", "opus-4.x"), ("itpm", "opus-4.x"), ("otpm", "opus-4.x"),
        ("rpm", "claude-opus-5"), ("itpm", "claude-opus-5"), ("otpm", "claude-opus-5"),
        ("spend", "*"),
    ]  # fmt: skip


def test_a_scenarios_own_model_gets_the_limits_of_its_class():
    own = CURRENT.model("claude-opus-4-8").model_copy(update={"name": "writer"})
    assert CURRENT.limits("anthropic", "start", [own]) == CURRENT.limits("anthropic", "start", ["claude-opus-4-8"])


def test_higher_usage_tiers_never_allow_less():
    for name in CURRENT.models:
        rows = [row.given() for row in CURRENT.class_limits(name).values()]
        for lower, higher in pairwise(rows):
            for dimension in ("rpm", "tpm", "itpm", "otpm"):
                assert lower.get(dimension, 0) <= higher.get(dimension, float("inf")), (name, dimension)


def test_every_model_can_be_bought_in_the_highest_usage_tier():
    for provider, entry in CURRENT.providers.items():
        assert CURRENT.limits(provider, list(entry.usage_tiers)[-1], CURRENT.models)


def test_fallbacks_lead_to_other_models_and_are_cut_to_those_present():
    assert all(len(entry.fallbacks) >= 2 for entry in CURRENT.models.values())
    chosen = CURRENT.select(["gpt-5.4", "claude-sonnet-4-6"])
    assert [model.fallbacks for model in chosen] == [("claude-sonnet-4-6",), ("gpt-5.4",)]


def test_assumptions_are_listed_once_and_only_for_usage_tiers_in_use():
    figures = CURRENT.assumptions(["gemini-3.5-flash", "gemini-2.5-flash-lite"])
    assert {figure.grade for figure in figures} == {"assumption"}
    fields = [(figure.subject, figure.field) for figure in figures]
    assert len(fields) == len(set(fields))
    assert ("gemini-3.5-flash", "performance") in fields
    assert ("gemini-3.5-flash", "limits.google.tier-2.rpm") in fields
    in_use = CURRENT.assumptions(["gemini-3.5-flash"], {("google", "free")})
    assert not [figure for figure in in_use if figure.field.startswith("limits")]


@pytest.mark.parametrize(
    ("ask", "said"),
    [
        (lambda: CURRENT.model("gpt-5.7"), "did you mean gpt-5.5"),
        (lambda: CURRENT.model("nothing alike"), "known: gpt-4o"),
        (lambda: CURRENT.figures("claude-opus-6"), "claude-opus-5"),
        (lambda: CURRENT.provider("gogle"), "did you mean google"),
        (lambda: CURRENT.limits("openai", "tier-6", ["gpt-5.4"]), "known: tier-1, tier-2"),
        (lambda: CURRENT.limits("google", "free", ["gemini-3.1-pro-preview"]), "in usage tier 'free'"),
        (lambda: load_catalogue("legcy"), "current, legacy"),
        (lambda: load_catalogue("legacy").limits("openai", "tier-1", []), "none are listed"),
    ],
)
def test_unknown_names_say_what_exists(ask, said):
    with pytest.raises(CatalogueError, match=said):
        ask()


def test_legacy_holds_the_four_prices_of_the_design_document():
    legacy = load_catalogue("legacy")
    per_1k = {
        name: (entry.price.input_usd_per_1m / 1000, entry.price.output_usd_per_1m / 1000)
        for name, entry in legacy.models.items()
    }
    assert per_1k == {
        "gpt-4": (0.03, 0.06),
        "gpt-4-turbo": (0.01, 0.03),
        "claude-3": (0.015, 0.075),
        "gemini-pro": (0.0005, 0.0015),
    }
    prices = [figure for figure in legacy.figures("gpt-4") if figure.field.startswith("price")]
    assert {figure.source for figure in prices} == {"original design document"}


def test_the_table_shows_the_highest_usage_tier_and_the_worst_grade():
    rows = {row["model"]: row for row in catalogue_table(CURRENT)}
    assert list(rows) == list(CURRENT.models)
    assert rows["gpt-4o"]["usage_tier"] == "tier-5"
    assert rows["gpt-4o"]["limits"] == {"rpm": 10_000, "tpm": 30_000_000}
    assert rows["claude-opus-4-7"]["model_class"] == "opus-4.x"
    assert {row["worst_grade"] for row in rows.values()} == {"assumption"}, "performance always is one"
    assert catalogue_table(load_catalogue("legacy"))[0]["limits"] == {}

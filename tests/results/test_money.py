"""Money adds up to the last nano-USD, and cards say what the summary says."""

import pytest

from forge1sim.results.cards import promises, tier_cards, verdict
from forge1sim.results.figures import FIGURES
from forge1sim.results.money import cost_steps
from forge1sim.results.theme import inked


def steps_of(run):
    return cost_steps(run.table("tiers"), run.table("flows"), run.table("accounts"))


def test_the_steps_of_the_waterfall_add_up_to_all_that_was_spent(scarce):
    steps = steps_of(scarce)
    assert steps["cost_nano_usd"].sum() == scarce.summary["cost_nano_usd"] + scarce.summary["key_cost_nano_usd"]
    tokens = steps["cost_nano_usd"][steps["part"] == "tokens"].sum()
    assert tokens == scarce.summary["cost_nano_usd"] > 0


def test_attempts_without_an_answer_are_a_step_of_their_own(make_run):
    run = make_run(overrides=("providers=[{name: openai, timeout_s: 1}]",))
    steps = dict(zip(*(steps_of(run)[name].tolist() for name in ("step", "cost_nano_usd")), strict=True))
    wasted = int(run.table("flows")["unanswered_cost_nano_usd"].sum())
    assert steps.get("attempts without answer", 0) == wasted
    assert sum(steps.values()) == run.summary["cost_nano_usd"] + run.summary["key_cost_nano_usd"]


def test_the_drawn_waterfall_ends_at_the_total(scarce):
    made, sentence = next(one for one in FIGURES if one.name == "waterfall").draw(scarce)
    bars = made.data[0]
    assert bars.y[-1] == pytest.approx(sum(bars.y[:-1]))
    assert bars.y[-1] == pytest.approx(scarce.summary["cost_usd"] + scarce.summary["key_cost_usd"])
    assert sentence.startswith("The run cost $")


def test_margin_bars_are_revenue_less_tokens_and_accounts(scarce):
    made, _ = next(one for one in FIGURES if one.name == "margin").draw(scarce)
    tiers = scarce.summary["tiers"]
    expected = [row["revenue_usd"] - row["cost_usd"] - row["key_cost_usd"] for row in tiers.values()]
    assert list(made.data[0].x) == pytest.approx(expected)


def test_the_sankey_of_cost_keeps_every_dollar(scarce):
    made, _ = next(one for one in FIGURES if one.name == "cost_flow").draw(scarce)
    assert sum(made.data[0].link.value) == pytest.approx(2 * scarce.summary["cost_usd"])


def test_the_ecdf_ends_at_all_answers_and_agrees_with_the_quantile(scarce):
    tail, tiers = scarce.table("tails"), scarce.summary["tiers"]
    for name, figures in tiers.items():
        if not figures["served"]:
            continue
        mine = (tail["tier"] == name) & (tail["measure"] == "latency")
        within = 1 - tail["share_above"][mine]
        assert within[-1] == 1
        at_p50 = within[tail["seconds"][mine] >= figures["latency_p50_s"]][0]
        assert at_p50 == pytest.approx(0.5, abs=0.05)


def test_cards_hold_promises_against_what_was_seen(scarce):
    cards = {card.tier: card for card in tier_cards(scarce)}
    assert cards["standard"].verdict == "MISSED: kept 0 of 1 promises"
    assert cards["professional"].verdict == "no promise of its own"
    missed = cards["standard"].promises[0]
    assert (missed.name, missed.word, missed.target) == ("iron never waits", "missed", "at most 1 ms")
    assert missed.seen == dict(cards["standard"].facts)["wait p95"]


def test_the_verdict_names_what_was_missed(scarce, easy):
    assert "iron never waits" in verdict(scarce)
    assert verdict(easy) == "All 2 promises were kept."
    assert all(promise.met for promise in promises(easy.slos))


def test_every_figure_of_a_real_run_has_a_sentence_and_is_small(scarce, easy):
    for run in (scarce, easy):
        for one in FIGURES:
            made, sentence = one.draw(run)
            assert sentence.endswith("."), one.name
            assert len(made.to_json()) < 200_000, one.name
            assert len(one.twin(run)) > 0


@pytest.mark.parametrize("background", ["light", "dark"])
def test_figures_are_readable_on_the_page_and_saved(scarce, background):
    """Text and paper differ in lightness by the 4.5 to 1 of WCAG 2.2, 1.4.3."""
    made, _ = FIGURES[0].draw(scarce)
    shown = inked(made, background)
    light, dark = sorted((luminance(shown.layout.font.color), luminance(shown.layout.paper_bgcolor)), reverse=True)
    assert (light + 0.05) / (dark + 0.05) >= 4.5
    assert made.layout.font.color is None


def luminance(hex_colour: str) -> float:
    parts = [int(hex_colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

"""The explanation names what the scenario makes scarce, and nothing else."""

import numpy as np
import pytest

from forge1sim.results.bottleneck import busiest_span, explain_bottleneck, listed, merged, told_spans

MINUTE_US = 60_000_000
ABUNDANT_TOKENS = "{dimension: tpm, model_class: gpt-5.4-mini, limit: 100000000}"
ABUNDANT_REQUESTS = "{dimension: rpm, model_class: gpt-5.4-mini, limit: 100000}"


def test_scarce_requests_are_named_with_account_time_and_tier(scarce):
    told = explain_bottleneck(scarce)
    assert told.headline == "One limit was short: 60 requests per minute for gpt-5.4-mini at alpha."
    assert told.short[0].names == ("alpha/gpt-5.4-mini.rpm",)
    assert "full from 2026-11-02 00:0" in told.sentences[0]
    assert "to 02:00 UTC" in told.sentences[0]
    assert "100% of all waiting time ended here" in told.sentences[0]
    assert set(told.short[0].tiers) == {"standard", "enterprise"}


def test_scarce_tokens_are_named_and_not_requests(make_run):
    run = make_run(alpha_limits=ABUNDANT_REQUESTS + ", {dimension: tpm, model_class: gpt-5.4-mini, limit: 30000}")
    told = explain_bottleneck(run)
    assert told.short[0].names == ("alpha/gpt-5.4-mini.tpm",)
    assert "30,000 tokens per minute" in told.headline
    assert "beta" not in " ".join(told.sentences)


def test_scarce_places_in_flight_are_named(make_run):
    limits = f"{ABUNDANT_REQUESTS}, {ABUNDANT_TOKENS}, {{dimension: concurrency, model_class: gpt-5.4-mini, limit: 2}}"
    assert "2 requests at once for gpt-5.4-mini at alpha" in explain_bottleneck(make_run(alpha_limits=limits)).headline


def test_a_daily_limit_whose_use_is_not_measured_is_named_where_it_refuses(make_run):
    limits = f"{ABUNDANT_REQUESTS}, {ABUNDANT_TOKENS}, {{dimension: rpd, model_class: gpt-5.4-mini, limit: 5000}}"
    told = explain_bottleneck(make_run(alpha_limits=limits))
    assert "5,000 requests per day for gpt-5.4-mini at alpha" in told.headline
    assert "requests found it full" in told.sentences[0]


def test_without_a_queue_the_limit_that_refused_is_named(make_run):
    run = make_run(alpha_limits="{dimension: rpm, model_class: gpt-5.4-mini, limit: 60}, " + ABUNDANT_TOKENS, queue="false")
    told = explain_bottleneck(run)
    assert told.short[0].names == ("alpha/gpt-5.4-mini.rpm",)
    assert told.short[0].named == run.summary["rejections"]["no_capacity"]
    assert any(sentence.startswith("For want of room") for sentence in told.sentences)


def test_where_nothing_is_short_it_says_so_with_the_fullest_limit(easy):
    told = explain_bottleneck(easy)
    assert told.headline.startswith("Nothing was short. The fullest limit, alpha/gpt-5.4-mini.rpm")
    assert told.short == ()


def test_a_tenants_own_limit_is_no_shortage_of_the_platform(make_run):
    told = explain_bottleneck(make_run(own_limit="requests_per_min: 1"))
    assert told.headline.startswith("Nothing was short")
    assert any("met their tenant's own limit" in sentence for sentence in told.sentences)


def test_a_shortage_that_hardly_matters_is_told_as_little(make_run):
    limit = "{dimension: rpm, model_class: gpt-5.4-mini, limit: 230, burst_s: 1}"
    told = explain_bottleneck(make_run(alpha_limits=f"{limit}, {ABUNDANT_TOKENS}"))
    assert told.headline.startswith("Little was short: requests waited ")
    assert "230 requests per minute for gpt-5.4-mini at alpha" in told.headline


def test_an_outage_is_told_with_its_time(make_run):
    fault = "faults=[{kind: outage, provider: openai, start_s: 30min, duration_s: 10min}]"
    told = explain_bottleneck(make_run(overrides=(fault,)))
    assert "Planned to go wrong: outage openai from 2026-11-02 00:30 to 00:40 UTC." in told.sentences


def test_requests_lost_add_up_to_what_the_summary_says(scarce):
    requests = scarce.summary["requests"]
    lost = requests["expired"] + scarce.summary["rejections"].get("queue_full", 0)
    assert any(sentence.startswith(f"For want of room {lost:,} requests") for sentence in explain_bottleneck(scarce).sentences)


@pytest.mark.parametrize(
    ("spans", "expected"),
    [
        ([(0, 10), (10, 20)], ((0, 20),)),
        ([(200 * MINUTE_US, 210 * MINUTE_US), (0, 10)], ((0, 10), (200 * MINUTE_US, 210 * MINUTE_US))),
        ([(0, 100), (20, 50)], ((0, 100),)),
        ([], ()),
    ],
)
def test_spans_that_nearly_touch_are_one(spans, expected):
    assert merged(spans) == expected


def test_the_time_when_most_limits_were_full():
    spans = {
        "limit": np.array(["a", "b", "c", "other"]),
        "start_us": np.array([0, 10, 20, 0]),
        "end_us": np.array([100, 60, 50, 500]),
    }
    assert busiest_span(spans, np.array(["a", "b", "c"])) == (20, 50, 3)
    assert busiest_span(spans, np.array(["nobody"])) == (0, 0, 0)


def test_many_spans_and_names_are_told_shortly():
    day_us = 86_400_000_000
    spans = tuple((day * day_us, day * day_us + MINUTE_US * (day + 1)) for day in range(6))
    assert told_spans(spans).endswith("UTC and at 3 other times")
    assert "1970-01-06 00:00 to 00:06" in told_spans(spans)
    assert listed(["a", "b", "b", "c"]) == "a, b and c"
    assert listed("abcdef", most=3) == "a, b and 4 others"

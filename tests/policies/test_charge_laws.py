"""Laws of the charge rules: what is set aside is never less than what comes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies import charge
from policies import prices as model_prices
from policies.layout import CHARGES
from policies.plain import plain
from policies.state import MODEL

at_dispatch, held, at_end = (plain(f) for f in (charge.charged_at_dispatch, charge.held_until_end, charge.charged_at_end))
cost, worst_price, price = plain(charge.cost_nano_usd), plain(model_prices.worst_price), plain(model_prices.price)
tokens = st.integers(0, 2_000_000)
prices = st.integers(0, 10**12)
shares = st.floats(0, 1)


def _model(input_price, cached_price, output_price):
    model = np.zeros(1, dtype=MODEL)[0]
    model["input_nano_usd_per_1m"], model["cached_nano_usd_per_1m"], model["output_nano_usd_per_1m"] = (
        input_price, cached_price, output_price,
    )  # fmt: skip
    model["dearest_nano_usd_per_1m"] = max(input_price, cached_price)
    return model


@pytest.mark.parametrize("rule", range(len(CHARGES)), ids=CHARGES)
@given(asked=tokens, most=tokens, cached=shares, said=shares, dear=prices, cheap=prices, out=prices)
def test_the_end_never_costs_more_than_was_set_aside(rule, asked, most, cached, said, dear, cheap, out):
    model = _model(dear, cheap, out)
    worst = worst_price(model, asked, most)
    cached_tokens, output_tokens = int(asked * cached), int(most * said)
    nano_usd = price(model, asked, cached_tokens, output_tokens)
    assert at_end(rule, asked, cached_tokens, output_tokens, nano_usd) <= held(rule, asked, most, worst)
    assert nano_usd <= worst


@pytest.mark.parametrize("rule", range(len(CHARGES)), ids=CHARGES)
@given(asked=tokens, most=tokens, worst=prices)
def test_a_unit_is_either_charged_at_once_or_held(rule, asked, most, worst):
    assert at_dispatch(rule, asked, most) == 0 or held(rule, asked, most, worst) == 0


RULES = {  # rule: at dispatch, held, at the end for 1000 input (300 cached), at most 500 output, 200 said, 7 cost, 9 worst
    "requests": (1, 0, 0), "max_tokens": (1500, 0, 0), "input": (1000, 0, 0), "uncached_input": (0, 1000, 700),
    "output": (0, 500, 200), "total": (0, 1500, 1200), "cost": (0, 9, 7),
}  # fmt: skip


@pytest.mark.parametrize("name", CHARGES)
def test_each_rule_counts_what_the_table_says(name):
    rule = CHARGES.index(name)
    assert (at_dispatch(rule, 1000, 500), held(rule, 1000, 500, 9), at_end(rule, 1000, 300, 200, 7)) == RULES[name]


@given(asked=tokens, cached=shares, said=tokens, dear=prices, cheap=prices, out=prices)
def test_a_price_is_rounded_up_to_a_whole_nano_usd(asked, cached, said, dear, cheap, out):
    cached_tokens = int(asked * cached)
    exact = (asked - cached_tokens) * dear + cached_tokens * cheap + said * out      # in 1e-6 nano-USD
    assert 0 <= cost(dear, cheap, out, asked, cached_tokens, said) * 1_000_000 - exact < 1_000_000

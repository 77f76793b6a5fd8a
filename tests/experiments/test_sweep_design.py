"""What the values of a field may look like, which points they make, and what is said about those that cannot be."""

import itertools
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forge1sim.errors import ExperimentError
from forge1sim.experiments.design import MOST_POINTS, axes_of, axis_of, axis_of_setting, points_of

PATH = "accounts.openai.count"
DIGITS = st.integers(-(10**6), 10**6)


@given(start=DIGITS, step=DIGITS.filter(bool), count=st.integers(1, 50), places=st.integers(0, 6))
def test_a_range_has_its_stop_and_every_value_is_exact(start, step, count, places):
    first, wide = Decimal(start).scaleb(-places), Decimal(step).scaleb(-places)
    last = first + (count - 1) * wide
    texts = axis_of(PATH, f"{first:f}:{last:f}:{wide:f}").texts
    assert [Decimal(text) for text in texts] == [first + place * wide for place in range(count)]


@pytest.mark.parametrize(
    ("values", "texts"),
    [
        ("0.5:0.9:0.1", ("0.5", "0.6", "0.7", "0.8", "0.9")),
        ("1:4:2", ("1", "3")),
        ("3:1:-1", ("3", "2", "1")),
        ("5:5:1", ("5",)),
        ("1e3:3e3:1e3", ("1000", "2000", "3000")),
        ("10min:30min:10min", ("10min", "20min", "30min")),
        (" .5 : 1 : .25 ", ("0.50", "0.75", "1.00")),
        ("a, b,c", ("a", "b", "c")),
        ("[1, 2],[3]", ("[1, 2]", "[3]")),
        ("{a: 1, b: 2}", ("{a: 1, b: 2}",)),
        ("'a,b',c", ("'a,b'", "c")),
        ("'12:30:00'", ("'12:30:00'",)),
        ("2026-01-01T00:00:00Z,2026-01-02T00:00:00Z", ("2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z")),
        ("it's", ("it's",)),
        ("", ("",)),
        (3, ("3",)),
        (None, ("null",)),
        ([1e-5, 0.1, 1e22], ("0.00001", "0.1", "10000000000000000000000")),
        (np.arange(2), ("0", "1")),
        (range(1, 4), ("1", "2", "3")),
        ([True, "x"], ("true", '"x"')),
    ],
)
def test_values_as_they_may_be_written(values, texts):
    assert axis_of(PATH, values).texts == texts


def test_fields_of_policies_may_be_named_without_them():
    assert axis_of_setting("tiers.enterprise.guaranteed_capacity=0.5:0.9:0.1").path == "policies.tiers.enterprise.guaranteed_capacity"
    assert axis_of_setting("tenants.client.count=1,2").path == "tenants.client.count"


BAD = {
    "accounts.openai.count": "should be PATH=VALUES",
    "=1,2": "should be PATH=VALUES",
    "  =1": "should be PATH=VALUES",
    "x=0.9:0.5:0.1": "steps of 0.1 do not lead from 0.9 to 0.5; write 0.9:0.5:-0.1",
    "x=1:5:-1": "steps of -1 do not lead from 1 to 5",
    "x=1:5:0": "the step is 0",
    "x=12:30:00": "the step is 0; a text with colons stands in quotes",
    "x=1:5": "should be start:stop:step",
    "x=1:5:": "should be start:stop:step",
    "x=1:5:1:1": "should be start:stop:step",
    "x=1:b:1": "should be start:stop:step",
    "x=1:nan:1": "should be start:stop:step",
    "x=0:inf:1": "should be start:stop:step",
    "x=0:1e999:1": "should be start:stop:step",
    "x=0:1:1e-99": "more than 10,000 values",
    "x=0:1e99:1": "more than 10,000 values",
    "x=0:10000:1": "more than 10,000 values",
    "x=10min:1h:10min": "should have the same unit",
    "x=a,,b": "has an empty value; write null for none",
    "x=,": "has an empty value",
    "x=a,b,a": "a is named 2 times",
    "x=uniform(1,1)": "1 should be below 1",
    "x=uniform(2,1)": "2 should be below 1",
    "x=uniform(1)": "should be uniform(LOW,HIGH)",
    "x=uniform(1,2,3)": "should be uniform(LOW,HIGH)",
    "x=uniform()": "should be uniform(LOW,HIGH)",
    "x=uniform(a,b)": "should be uniform(LOW,HIGH)",
    "x=loguniform(0,1)": "0 should be above 0",
    "x=loguniform(-1,1)": "-1 should be above 0",
    "x=integers(0.5,2)": "both bounds should be whole numbers",
    "x=uniform(1s,2min)": "both bounds should have the same unit",
    "seed=1:5:1": "seed: cannot be swept",
    "extends=a,b": "extends: cannot be swept",
    f"x={'9' * 100}:{'9' * 101}:1": "",
}


@pytest.mark.parametrize("setting", BAD)
def test_bad_values_are_named_with_what_would_be_right(setting):
    if not BAD[setting]:        # no number that we know: one text
        assert axis_of_setting(setting).texts == (setting[2:],)
        return
    with pytest.raises(ExperimentError) as error:
        axis_of_setting(setting)
    assert BAD[setting] in str(error.value)
    assert len(str(error.value)) < 250


@pytest.mark.parametrize("values", [[], [float("nan")], [float("inf")], [object()], list(range(MOST_POINTS + 1))])
def test_bad_values_from_python(values):
    with pytest.raises(ExperimentError, match=r"^x: "):
        axis_of("x", values)


def test_a_grid_is_all_combinations_the_last_field_fastest():
    axes = axes_of({"a": "1:3:1", "b": "x,y"})
    assert points_of(axes) == list(itertools.product("123", "xy"))


@pytest.mark.parametrize(
    ("fields", "how", "said"),
    [
        ({}, {}, "nothing is swept"),
        ({"a": "1:101:1", "b": "1:100:1"}, {}, "101 x 100 = 10,100 points, at most 10,000 are made"),
        ({"a": "uniform(0,1)"}, {}, "a: uniform(...) is for random designs; add --random N"),
        ({"a": "uniform(0,1)"}, {"random": 0}, "random is 0"),
        ({"a": "uniform(0,1)"}, {"random": True}, "random is true"),
        ({"a": "uniform(0,1)"}, {"random": 10**9}, "random is 1000000000"),
        ({"a": "uniform(0,1)"}, {"random": 3.0}, "random is 3.0"),
        ({"a": "uniform(0,1)"}, {"random": 100, "design": "sobol"}, "needs a power of 2: 64 or 128"),
        ({"a": "uniform(0,1)"}, {"random": 4, "design": "grid"}, "design is 'grid', should be one of lhs, sobol"),
        ({"a": "1"}, {"random": 4}, "every field has one value only"),
        ({"tiers.a.b": "1", "policies.tiers.a.b": "2"}, {}, "policies.tiers.a.b: is set twice"),
    ],
)
def test_designs_that_cannot_be_made(fields, how, said):
    with pytest.raises(ExperimentError) as error:
        points_of(axes_of(fields), **how)
    assert said in str(error.value)


FIELDS = {"u": "uniform(-2,0.5)", "l": "loguniform(0.001,1000)", "i": "integers(1,4)", "c": "a,b", "t": "uniform(1s,9s)", "k": "7"}


@pytest.mark.parametrize("design", ["lhs", "sobol"])
def test_drawn_points_are_inside_spread_evenly_and_the_same_for_the_same_seed(design):
    points = points_of(axes_of(FIELDS), random=64, design=design, seed=3)
    assert points == points_of(axes_of(FIELDS), random=64, design=design, seed=3)
    assert points != points_of(axes_of(FIELDS), random=64, design=design, seed=4)
    u, log, i, c, t, k = zip(*points, strict=True)
    spread = np.sort((np.array(u, dtype=float) + 2) / 2.5)
    assert np.all(np.floor(spread * 64) == np.arange(64)), "one draw in each of 64 equal parts"
    tenth = np.sort((np.log10(np.array(log, dtype=float)) + 3) / 6)
    assert np.all(np.floor(tenth * 64 + 1e-6) == np.arange(64))
    assert [i.count(str(number)) for number in range(1, 5)] == [16] * 4
    assert (c.count("a"), c.count("b")) == (32, 32)
    assert all(text.endswith("s") and 1 <= float(text[:-1]) <= 9 for text in t)
    assert set(k) == {"7"}


@given(st.floats(0, 1, exclude_max=True))
def test_draws_stay_between_their_bounds(u):
    for path, values in FIELDS.items():
        axis = axis_of(path, values)
        if axis.draw:
            assert axis.low <= Decimal(axis.text_at(u).rstrip("s")) <= axis.high

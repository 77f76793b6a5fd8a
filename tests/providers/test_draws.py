"""The keyed draw stays inside (0, 1), and no two purposes share a number."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forge1sim.workload import draws
from policies import draw
from policies.plain import plain

LARGEST = np.uint64(2**64 - 1)


@pytest.mark.parametrize(("word", "number"), [(np.uint64(0), 2.0**-53), (LARGEST, 1 - 2.0**-53)])
def test_the_least_and_the_largest_word_give_numbers_inside_0_and_1(word, number):
    one = plain(draw.draw)
    one.__globals__["hashed"] = lambda *_key: word
    assert one(1, draw.SERVICE, 0, 0, 1) == number
    assert plain(draws.uniform)(word) == number


@given(seed=st.integers(0, 2**63 - 1), number=st.integers(0, 2**40))
def test_draws_lie_inside_0_and_1(seed, number):
    assert 0 < draw.draw(seed, draw.STORM, 3, number, 1) < 1


def test_purposes_do_not_meet():
    few = (draw.BACKOFF, draw.ROUTING, draw.SERVICE, draw.FAILURE, draw.SERVICE_2, draw.FAULT, draw.CANCELLATION, draw.STORM)
    assert len({*few, *range(draw.GAMMA, draw.GAMMA_LAST + 1)}) == len(few) + 1 + 2 * draw.GAMMA_TRIES

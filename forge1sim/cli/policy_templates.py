"""What `forge1sim policies new` writes. NAME stands for the policy's name."""

POLICY = '''\
"""A routing policy of your own: which of the deployments with room takes this request?

A plain function of its arguments. It keeps nothing but what it writes to `memory`, and uses no clock, file
or chance. Numba compiles it. Helpers that it calls are decorated with `compiled`.
"""

from policies.compile import compiled
from policies.rows import Floats, Ints, Row, Rows

NOWHERE = -1         # the answer that lets the request wait
ENOUGH_FREE = 0      # params[0]: share of its tightest limit that a deployment should have free, 0 to 1


@compiled
def has_enough(deployment: Row, params: Floats) -> bool:
    """Whether a deployment has as much of its tightest limit free as it should."""
    return deployment["free_ratio"] >= params[ENOUGH_FREE]


def NAME(
    request: Row, candidates: Ints, deployments: Rows, tenant: Row, params: Floats, memory: Floats, now_us: int
) -> int:
    """The cheapest deployment that has enough room; if none has, the one with the most room.

    Args:
        request: what is asked: request["input_tokens"], ["max_output_tokens"], ["complexity_pm"], ["tier"] ...
        candidates: rows of `deployments` that are allowed and have room now, ascending, at least one.
        deployments: every deployment: ["expected_nano_usd"], ["performance_pm"], ["free_ratio"] of this request,
            ["in_flight"], ["latency_us"], ["weight"] and more. Look only at the rows of `candidates`.
        tenant: who asks: ["weight_milli"], ["budget_nano_usd"], ["budget_used"] ...
        params: `policies.routing.params` of the scenario; 0 where it names none.
        memory: 64 numbers that are kept from call to call; [1] is a number by chance in (0, 1), the request's own.
        now_us: the time in microseconds since 1970.

    Returns:
        One of `candidates`, or NOWHERE to let the request wait.
    """
    chosen = NOWHERE
    for row in candidates:
        if has_enough(deployments[row], params) and (
            chosen == NOWHERE or deployments[row]["expected_nano_usd"] < deployments[chosen]["expected_nano_usd"]
        ):
            chosen = row
    if chosen == NOWHERE:
        chosen = candidates[0]
        for row in candidates:
            if deployments[row]["free_ratio"] > deployments[chosen]["free_ratio"]:
                chosen = row
    return int(chosen)
'''

TEST = '''\
"""The laws of NAME, tried on states drawn at random. Run: pytest test_NAME.py"""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.conformance import sample
from policies.registry import load_routing_policy

questions = st.builds(sample, st.integers(0, 2**32), st.integers(1, 60), alike=st.booleans())


@pytest.fixture(scope="module")
def policy():
    """The policy, checked against the contract and compiled."""
    return load_routing_policy(Path(__file__).with_name("NAME.py"), "NAME")


@settings(deadline=None)      # the first call compiles
@given(question=questions)
def test_nothing_cheaper_has_enough_room(policy, question):
    chosen = policy(*question.arguments)
    enough = [row for row in question.candidates if question.deployments[row]["free_ratio"] >= question.params[0]]
    if enough:
        assert chosen in enough
        assert question.deployments[chosen]["expected_nano_usd"] == question.deployments["expected_nano_usd"][enough].min()


@settings(deadline=None)
@given(question=questions)
def test_without_enough_room_anywhere_the_most_room_is_taken(policy, question):
    question.params[0] = 2.0
    chosen = policy(*question.arguments)
    assert question.deployments[chosen]["free_ratio"] == question.deployments["free_ratio"][question.candidates].max()
'''

"""What `forge1sim policies new` writes. NAME stands for the policy's name."""

_ROUTING = '''\
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

_ROUTING_TEST = '''\
"""The laws of NAME, tried on states drawn at random. Run: pytest test_NAME.py"""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.registry import load_policy
from policies.samples import routing_question

questions = st.builds(routing_question, st.integers(0, 2**32), st.integers(1, 60), alike=st.booleans())


@pytest.fixture(scope="module")
def policy():
    """The policy, checked against the contract and compiled."""
    return load_policy(Path(__file__).with_name("NAME.py"), "NAME", "routing")


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

_SCALING = '''\
"""A scaling policy of your own: should this pool of accounts gain or lose one?

A plain function of its arguments. It keeps nothing but what it writes to `memory`, and uses no clock, file
or chance. Numba compiles it. Helpers that it calls are decorated with `compiled` of policies.compile.
"""

from policies.rows import Floats, Row

ADD, RETIRE, KEEP = 1, -1, 0
TARGET = 0           # params[0]: the use of accounts to aim at; 0 stands for USUAL_TARGET
USUAL_TARGET = 0.7
QUIET = 0            # memory[0]: how often in a row one account fewer would have done
QUIET_PERIODS = 5    # so often before one is retired


def NAME(pool: Row, params: Floats, memory: Floats, now_us: int) -> int:
    """Adds an account as soon as use is above the target, retires one when fewer have been enough for a while.

    Args:
        pool: the accounts of one provider that are shared, or dedicated to one tier, over the last period:
            pool["utilization"] (use of the active ones, 0 to 1), how many are active ["accounts"], ["draining"],
            ["standby"], ["orderable"], ["ordered"]; requests ["in_flight"] there and ["waiting"] anywhere;
            ["changed_us"], when scaling changed the pool last.
        params: `policies.scaling.params` of the scenario; 0 where it names none.
        memory: 64 numbers that are kept from call to call, for each pool apart.
        now_us: the time in microseconds since 1970.

    Returns:
        ADD, RETIRE or KEEP. Bounds on accounts and `cooldown_s` hold whatever it returns.
    """
    target = params[TARGET] if params[TARGET] > 0.0 else USUAL_TARGET
    work = pool["utilization"] * pool["accounts"]
    memory[QUIET] = memory[QUIET] + 1.0 if work < target * (pool["accounts"] - 1) else 0.0
    if work > target * (pool["accounts"] + pool["ordered"]):
        return ADD
    if memory[QUIET] >= QUIET_PERIODS:
        memory[QUIET] = 0.0
        return RETIRE
    return KEEP
'''

_SCALING_TEST = '''\
"""The laws of NAME, tried on states drawn at random. Run: pytest test_NAME.py"""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.registry import load_policy
from policies.samples import scaling_question

questions = st.builds(scaling_question, st.integers(0, 2**32))


@pytest.fixture(scope="module")
def policy():
    """The policy, checked against the contract and compiled."""
    return load_policy(Path(__file__).with_name("NAME.py"), "NAME", "scaling")


def work_and_target(question):
    pool = question.pools[0]
    return pool["utilization"] * pool["accounts"], question.params[0] or 0.7


@settings(deadline=None)      # the first call compiles
@given(question=questions)
def test_an_account_is_added_where_those_there_and_coming_are_too_few(policy, question):
    work, target = work_and_target(question)
    pool = question.pools[0]
    assert (policy(*question.arguments) == 1) == (work > target * (pool["accounts"] + pool["ordered"]))


@settings(deadline=None)
@given(question=questions, quiet=st.integers(0, 10))
def test_none_is_retired_that_is_needed_nor_at_once(policy, question, quiet):
    question.memory[0] = quiet
    work, target = work_and_target(question)
    if policy(*question.arguments) == -1:
        assert work < target * (question.pools[0]["accounts"] - 1)
        assert quiet >= 4
'''

_TIER = '''\
"""A tier policy of your own: may this request take room of a limit, or is that kept for other tiers?

A plain function of its arguments. It keeps nothing, and uses no clock, file or chance. Numba compiles it.
Helpers that it calls are decorated with `compiled` of policies.compile.
"""

from policies.rows import Floats, Row, Rows

KEPT = 0      # params[0]: which part of what is left of the higher tiers' shares stays free for them, 0 to 1


def NAME(request: Row, limit: Row, tiers: Rows, params: Floats, now_us: int) -> bool:
    """Lower tiers leave free what the tiers above have left of their shares, or a part of that.

    Args:
        request: who asks: request["tier"] (row of `tiers`), ["service_class"] (1: batch), ["input_tokens"] ...
        limit: one limit of a shared account that has room for it: limit["units"] that the request would take,
            ["capacity"], what is ["free"] now, ["dimension"] (rpm 0, tpm 1, itpm 2, otpm 3, rpd 4, tpd 5, spend 6,
            concurrency 7, acceleration 8).
        tiers: by tier: ["rank"] (0 is the highest), the ["share"] of the limit granted to it, and what it has ["left"]
            of that (below 0: it has borrowed so much), in units of the limit.
        params: `policies.reservation.params` of the scenario; 0 where it names none.
        now_us: the time in microseconds since 1970.

    Returns:
        Whether the request may take its units. It is asked for every limit of a deployment: all must agree.
    """
    kept = 0
    for tier in range(tiers.size):
        if tiers[tier]["rank"] < tiers[request["tier"]]["rank"]:
            kept += max(tiers[tier]["left"], 0)
    return limit["units"] + params[KEPT] * kept <= limit["free"]
'''

_TIER_TEST = '''\
"""The laws of NAME, tried on states drawn at random. Run: pytest test_NAME.py"""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.registry import load_policy
from policies.samples import tier_question

questions = st.builds(tier_question, st.integers(0, 2**32), st.integers(1, 16))


@pytest.fixture(scope="module")
def policy():
    """The policy, checked against the contract and compiled."""
    return load_policy(Path(__file__).with_name("NAME.py"), "NAME", "tier")


@settings(deadline=None)      # the first call compiles
@given(question=questions)
def test_the_highest_tier_is_kept_out_by_nobody(policy, question):
    question.requests["tier"] = question.tiers["rank"].argmin()
    assert policy(*question.arguments)


@settings(deadline=None)
@given(question=questions)
def test_whoever_goes_leaves_the_part_that_is_kept(policy, question):
    if policy(*question.arguments):
        tiers, limit = question.tiers, question.limits[0]
        above = tiers["rank"] < tiers["rank"][question.requests[0]["tier"]]
        kept = tiers["left"][above].clip(min=0).sum()
        assert limit["free"] - limit["units"] >= question.params[0] * kept
'''

TEMPLATES = {"routing": (_ROUTING, _ROUTING_TEST), "scaling": (_SCALING, _SCALING_TEST), "tier": (_TIER, _TIER_TEST)}
"""By kind: the policy, and its test."""

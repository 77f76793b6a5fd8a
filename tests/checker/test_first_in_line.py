"""Who becomes first in line without arriving or leaving is served at once."""

from running import check, run
from worlds import START_US, World, tried_account_world, used_share_world

from policies.log import DISPATCH


def sent_at_us(world: World, request: int) -> list[int]:
    """When a request was sent, after the start; the checker finds nothing."""
    log = run(world)
    assert check(world, log).findings == []
    return (log[(log["kind"] == DISPATCH) & (log["request"] == request)]["time_us"] - START_US).tolist()


def test_where_a_tier_uses_up_its_share_another_is_first():
    assert sent_at_us(used_share_world(), 4) == [2_201_000]


def test_nobody_yields_to_who_waited_for_a_trial_and_has_left():
    assert sent_at_us(tried_account_world(), 6) == [10_500_000]

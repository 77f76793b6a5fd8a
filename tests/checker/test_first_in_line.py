"""Who becomes first in line without arriving or leaving is served at once."""

from running import check, run
from worlds import START_US, used_share_world

from policies.log import DISPATCH


def test_where_a_tier_uses_up_its_share_another_is_first():
    world = used_share_world()
    log = run(world)
    sent = log[(log["kind"] == DISPATCH) & (log["request"] == 4)]
    assert (sent["time_us"] - START_US).tolist() == [2_201_000]
    assert check(world, log).findings == []

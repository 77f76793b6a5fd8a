"""What guaranteed shares come to where they add up to more than 1 (docs/tiers.md)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.build import by_priority, granted_shares
from policies.bundle import DESIGN_TIERS
from policies.schema import Tier

tiers = st.lists(
    st.builds(Tier, name=st.just("t"), priority_score=st.floats(0, 100), guaranteed_capacity=st.floats(0, 1)),
    min_size=1, max_size=6,
).map(tuple)  # fmt: skip


def test_the_design_documents_shares():
    assert granted_shares(DESIGN_TIERS, "priority") == pytest.approx([0.8, 0.2, 0.0])
    assert granted_shares(DESIGN_TIERS, "proportional") == pytest.approx([0.8 / 1.3, 0.4 / 1.3, 0.1 / 1.3])


@pytest.mark.parametrize("rule", ["priority", "proportional"])
@given(tiers=tiers)
def test_no_more_than_everything_is_granted_and_no_more_than_promised(rule, tiers):
    granted = granted_shares(tiers, rule)
    promised = [tier.guaranteed_capacity for tier in tiers]
    assert sum(granted) <= 1 + 1e-9
    assert all(0 <= share <= tier.guaranteed_capacity + 1e-9 for share, tier in zip(granted, tiers, strict=True))
    assert granted == promised or sum(granted) == pytest.approx(1)


@given(tiers=tiers)
def test_by_priority_nobody_gets_a_share_before_those_above_have_theirs(tiers):
    granted = granted_shares(tiers, "priority")
    short = False
    for row in by_priority(tiers):
        assert not short or granted[row] == pytest.approx(0, abs=1e-9)
        short = short or granted[row] < tiers[row].guaranteed_capacity - 1e-9

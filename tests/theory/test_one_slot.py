"""One slot: M/M/1, M/G/1, GI/M/1, MMPP/M/1, priorities. The 99.9 % interval holds the truth and is narrow."""

import pytest

from tests.theory.cases import ONE_SLOT
from tests.theory.replications import Case, problems
from tests.theory.today import dated, problems_twice


@pytest.mark.parametrize("case", ONE_SLOT, ids=str)
def test_theory_lies_in_a_narrow_interval(case: Case) -> None:
    assert not problems(case, 0)


@pytest.mark.parametrize("case", dated(ONE_SLOT))
def test_theory_lies_in_a_narrow_interval_with_seeds_of_today(case: Case) -> None:
    assert not problems_twice(case)

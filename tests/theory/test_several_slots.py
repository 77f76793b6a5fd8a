"""Several slots: M/M/c, loss, bounded waiting, abandonment, GI/M/c. The 99.9 % interval holds the truth and is narrow."""

import pytest

from tests.theory.cases import SEVERAL_SLOTS
from tests.theory.replications import Case, problems
from tests.theory.today import dated, problems_twice


@pytest.mark.parametrize("case", SEVERAL_SLOTS, ids=str)
def test_theory_lies_in_a_narrow_interval(case: Case) -> None:
    assert not problems(case, 0)


@pytest.mark.parametrize("case", dated(SEVERAL_SLOTS))
def test_theory_lies_in_a_narrow_interval_with_seeds_of_today(case: Case) -> None:
    assert not problems_twice(case)

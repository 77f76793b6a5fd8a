"""Limiters under Poisson load. The 99.9 % interval holds the truth and is narrow."""

import pytest

from tests.theory.cases import LIMITERS
from tests.theory.replications import Case, problems
from tests.theory.today import dated, problems_twice


@pytest.mark.parametrize("case", LIMITERS, ids=str)
def test_theory_lies_in_a_narrow_interval(case: Case) -> None:
    assert not problems(case, 0)


@pytest.mark.parametrize("case", dated(LIMITERS))
def test_theory_lies_in_a_narrow_interval_with_seeds_of_today(case: Case) -> None:
    assert not problems_twice(case)

"""Bugs that people make, seeded one at a time into the gateway: the checker tells of each, and of nothing without one."""

import pytest
from mutants import MUTANTS
from plainly import together

NAMES = sorted(MUTANTS)


@pytest.fixture(scope="module")
def verdicts() -> dict[str, list[str]]:
    halves = together("mutants.py", [["", *NAMES[::2]], NAMES[1::2]])
    return halves[0] | halves[1]


def test_without_a_bug_there_is_nothing_to_tell(verdicts):
    assert verdicts[""] == []


@pytest.mark.parametrize("name", NAMES)
def test_the_checker_tells(name, verdicts):
    assert set(verdicts[name]) & set(MUTANTS[name].rules), f"{name}: found {verdicts[name]}, expected one of {MUTANTS[name].rules}"

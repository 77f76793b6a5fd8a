"""The gateway keeps its rules in worlds drawn by chance: the checker finds nothing."""

import pytest
from plainly import together
from running import check, run
from worlds import chance_world


def nothing_found(first: int, last: int, *options: str) -> None:
    middle = (first + last) // 2
    for found in together("chances.py", [[first, middle, *options], [middle, last, *options]]):
        assert found == {}


def test_worlds_by_chance():
    nothing_found(0, 80)


def test_worlds_by_chance_in_which_the_gateway_has_estimates_only():
    nothing_found(0, 60, "guessing")


@pytest.mark.parametrize("seed", [3113, 4738, 5170, 5754, 8731])
def test_worlds_in_which_something_was_found_once(seed):
    world = chance_world(seed)
    assert check(world, run(world)).findings == []


@pytest.mark.slow
def test_many_worlds_by_chance():
    nothing_found(1000, 3000)

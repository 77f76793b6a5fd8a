"""The gateway keeps its rules in worlds drawn by chance: the checker finds nothing."""

import pytest
from plainly import together


def nothing_found(first: int, last: int) -> None:
    middle = (first + last) // 2
    for found in together("chances.py", [[first, middle], [middle, last]]):
        assert found == {}


def test_worlds_by_chance():
    nothing_found(0, 80)


@pytest.mark.slow
def test_many_worlds_by_chance():
    nothing_found(1000, 3000)

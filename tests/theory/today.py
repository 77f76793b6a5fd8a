"""The variant that draws its seeds from the date."""

from datetime import UTC, datetime

import pytest

from tests.theory.replications import Case, problems

QUICK = ("erlang_b", "md1", "sliding_log")


def dated(cases: tuple[Case, ...]) -> list[object]:
    """The cases as parameters; all but a few quick ones are left to `make verify`."""
    return [pytest.param(case, marks=() if case.scenario in QUICK else pytest.mark.slow, id=str(case)) for case in cases]


def problems_twice(case: Case) -> list[str]:
    """Problems with today's seeds that fresh seeds do not take away.

    One figure is outside of its interval in one of a thousand trials, by the meaning of 99.9 %. A
    fault is there again with other seeds, chance is not: two trials fail by chance in one of
    some hundred thousand (docs/theory.md).
    """
    today = datetime.now(UTC).date()
    first = problems(case, today.toordinal(), 1)
    if not first:
        return []
    again = problems(case, today.toordinal(), 2)
    return [f"{problem} (seeds of {today})" for problem in (*first, *again)] if again else []

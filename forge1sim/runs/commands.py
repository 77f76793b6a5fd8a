"""The command that makes again what a page shows."""

import shlex
from collections.abc import Iterable

from forge1sim.ask import Ask


def command_of(name: str, ask: Ask, options: Iterable[tuple[str, str]], out: str) -> str:
    """`forge1sim NAME` about what is asked, with options and their values, its results going to the folder `out`."""
    settings = [("--set", override) for override in ask.overrides]
    words = [word for pair in (*settings, *options, ("--seed", str(ask.seed)), ("--out", out)) for word in pair]
    return shlex.join(["forge1sim", name, ask.scenario, *words])

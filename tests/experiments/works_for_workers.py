"""What workers are told to do in tests. Workers import it; an ask's scenario is a file in which each attempt leaves a line."""

import os
import signal
import time
from pathlib import Path

from forge1sim.ask import Ask
from forge1sim.errors import RunError


def seed_of(ask: Ask) -> int:
    """Gives the seed and notes the attempt."""
    _note(ask)
    return ask.seed


def twice(ask: Ask) -> int:
    """Notes nothing."""
    return 2 * ask.seed


def dies_once(ask: Ask) -> int:
    """Seed 4 kills its worker at the first attempt."""
    if _note(ask) == 1 and ask.seed == 4:
        time.sleep(0.2)
        os.kill(os.getpid(), signal.SIGKILL)
    return ask.seed


def always_dies(ask: Ask) -> int:
    """Seed 4 kills its worker at each attempt."""
    _note(ask)
    if ask.seed == 4:
        os.kill(os.getpid(), signal.SIGKILL)
    return ask.seed


def refuses(ask: Ask) -> int:
    """Seed 2 fails as a run fails."""
    if ask.seed == 2:
        raise RunError("too much")
    return ask.seed


def has_a_bug(ask: Ask) -> int:
    """Raises what nobody expects."""
    return ask.seed // 0


def one_thread(_ask: Ask) -> str:
    """How many threads linear algebra may take, and the worker."""
    return os.environ["OPENBLAS_NUM_THREADS"] + " " + os.environ["OMP_NUM_THREADS"]


def process(_ask: Ask) -> int:
    """Which worker it is."""
    time.sleep(0.05)
    return os.getpid()


def sleeps(ask: Ask) -> int:
    """Does not end while a test runs."""
    _note(ask)
    time.sleep(600)
    return ask.seed


def _note(ask: Ask) -> int:
    """How many attempts at this ask there were, with this one."""
    with Path(ask.scenario).open("a", encoding="utf-8") as file:
        file.write(f"{ask.seed} {os.getpid()}\n")
    return sum(line.split()[0] == str(ask.seed) for line in Path(ask.scenario).read_text(encoding="utf-8").splitlines())

"""Runs on disk and the processes that make them: what the workbench, and any other front end, starts and reads."""

from forge1sim.ask import Ask
from forge1sim.runs.pool import Answer, RunPool
from forge1sim.runs.record import Progress, Run, Status
from forge1sim.runs.shelf import Shelf
from forge1sim.runs.store import RunStore

__all__ = ["Answer", "Ask", "Progress", "Run", "RunPool", "RunStore", "Shelf", "Status"]

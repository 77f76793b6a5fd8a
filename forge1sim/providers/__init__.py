"""The provider emulator: an independent witness of what providers allow and how they answer."""

from forge1sim.providers.build import build_emulator, new_answers
from forge1sim.providers.emulator import NO_LIMIT, OK, begin, cancel, end, partial_output
from forge1sim.providers.faults import set_limit_scale, set_outage
from forge1sim.providers.tables import ANSWER, Emulator, open_emulator

__all__ = [
    "ANSWER", "NO_LIMIT", "OK", "Emulator", "begin", "build_emulator", "cancel", "end",
    "new_answers", "open_emulator", "partial_output", "set_limit_scale", "set_outage",
]  # fmt: skip

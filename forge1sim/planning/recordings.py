"""What a plan is fitted to and what it is verified on, where demand is a recording: an earlier and a later part of it, in blocks."""

from dataclasses import replace

from forge1sim.ask import Ask
from forge1sim.scenario.load import LoadedScenario
from forge1sim.workload.spec import Bootstrap, FileTrace


def fitted_and_later(ask: Ask, loaded: LoadedScenario) -> tuple[Ask, Ask]:
    """The ask on draws of the first `plan.fitted_share` of each recording, and on draws of the rest; the same ask twice without one."""
    terms = loaded.scenario.plan
    fitted, later = [], []
    for row, source in enumerate(loaded.workload_sources):
        if not isinstance(source, FileTrace):
            continue
        whole = source.bootstrap or Bootstrap(block_s=terms.block_s)
        split = whole.from_share + terms.fitted_share * (whole.until_share - whole.from_share)
        rest_from = split if terms.fitted_share < 1 else whole.from_share
        fitted.append(_override(row, whole.block_s, whole.from_share, split))
        later.append(_override(row, whole.block_s, rest_from, whole.until_share))
    return replace(ask, overrides=(*ask.overrides, *fitted)), replace(ask, overrides=(*ask.overrides, *later))


def recorded(loaded: LoadedScenario) -> bool:
    """Whether any demand is a recording."""
    return any(isinstance(source, FileTrace) for source in loaded.workload_sources)


def _override(row: int, block_s: float, from_share: float, until_share: float) -> str:
    return f"workload.sources.{row}.bootstrap={{block_s: {block_s!r}, from_share: {from_share!r}, until_share: {until_share!r}}}"

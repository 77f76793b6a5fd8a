"""Requests worth a look: those that waited longest, and some of every way to end badly."""

from collections import defaultdict
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from forge1sim.run import simulate
from policies import log
from policies.layout import lay_out

if TYPE_CHECKING:
    from forge1sim.scenario.load import LoadedScenario

MOST_EACH = 5
_WORDS = {log.REJECT: "rejected", log.EXPIRE: "expired", log.CANCEL: "cancelled"}


class _Picker:
    """A sink that keeps a few rows of each sort: the longest waits, the most attempts, the first of each bad end."""

    def __init__(self) -> None:
        self.kept: dict[str, list[tuple[float, np.void]]] = defaultdict(list)

    def __call__(self, rows: NDArray[np.void]) -> None:
        answers = rows[rows["kind"] == log.COMPLETE]
        self._keep_largest("waited longest", answers, (answers["v4"] & log.LOW_48) / 1e6)
        retried = answers[answers["attempt"] > 1]
        self._keep_largest("most attempts", retried, retried["attempt"].astype(np.float64))
        for kind, word in _WORDS.items():
            ended = rows[rows["kind"] == kind]
            for code in np.unique(ended["code"]).tolist():
                name = f"{word}: {log.REASON_NAMES[code].replace('_', ' ')}"
                room = MOST_EACH - len(self.kept[name])
                self.kept[name] += [(-float(row["request"]), row.copy()) for row in ended[ended["code"] == code][:room]]

    def _keep_largest(self, name: str, rows: NDArray[np.void], sizes: NDArray[np.float64]) -> None:
        for place in np.argsort(-sizes, kind="stable")[:MOST_EACH].tolist():
            if sizes[place] > 0:
                self.kept[name].append((float(sizes[place]), rows[place].copy()))
        self.kept[name] = sorted(self.kept[name], key=lambda one: -one[0])[:MOST_EACH]


def notable_requests(loaded: "LoadedScenario", driver: str, seed: int) -> list[dict[str, Any]]:
    """At most five requests of each sort, ready for JSON: `request`, `tenant`, `why`, `ended_us`, `latency_s`, `wait_s`."""
    picker = _Picker()
    simulate(loaded, driver=driver, seed=seed, sinks=(picker,), hash_log=False)
    names = lay_out(loaded.platform, loaded.start_us).tenant_names
    return [_told(why, row, names) for why, kept in picker.kept.items() for _, row in kept]


def _told(why: str, row: np.void, names: list[str]) -> dict[str, Any]:
    answered = row["kind"] == log.COMPLETE
    return {
        "request": int(row["request"]),
        "tenant": names[int(row["tenant"])],
        "why": why,
        "ended_us": int(row["time_us"]),
        "latency_s": int(row["v3"] if answered else row["v1"]) / 1e6,
        "wait_s": int(row["v4"] & log.LOW_48) / 1e6 if answered else None,
    }

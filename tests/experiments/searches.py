"""Made-up platforms for tests of searches: outcomes by formulas, so that the best is known and nothing is simulated."""

import hashlib
import math
import os
import signal
from functools import partial
from pathlib import Path
from typing import Any

from forge1sim.ask import Ask
from forge1sim.experiments.tuning.tune import Tuning, tune

SMALL = """\
name: small
horizon_s: 10min
models: [gpt-5.4-mini]
accounts: [{name: openai, provider: openai, limits: [{dimension: rpm, limit: 300, window: fixed}]}]
tenants: [{name: client, count: 5, demand: {requests_per_s: 4}}]
"""
SPACE = ["policies.retry.backoff_s=0.01:10:log", "policies.queue.aging_per_s=0:10", "policies.queue.fair_share=true,false"]
BEST_BACKOFF_S, BEST_AGING = 0.1, 7.0


def scenario_in(folder: Path) -> Ask:
    """A scenario file and its first draw."""
    file = folder / "small.yaml"
    file.write_text(SMALL)
    return Ask(scenario=str(file), seed=1)


def search(folder: Path, work: Any = None, **options: Any) -> Tuning:
    """A search of `SPACE` in this process, for the least cost unless told otherwise."""
    goals = {} if {"minimize", "maximize"} & set(options) else {"minimize": ["all.cost_usd"]}
    usual = {"trials": 60, "defaults": False, "work": work or bowl, "backend": "serial", **goals}
    return tune(scenario_in(folder), SPACE, **{**usual, **options})


def settings_of(ask: Ask) -> dict[str, str]:
    """What the overrides set, in their last word; defaults of the bundle otherwise."""
    given = {"policies.retry.backoff_s": "0.5", "policies.queue.aging_per_s": "1", "policies.queue.fair_share": "true"}
    return given | dict(override.split("=", 1) for override in ask.overrides)


def luck(ask: Ask, *words: object) -> float:
    """A number from -0.5 to 0.5 that depends on seed and settings as a draw does."""
    text = f"{ask.seed} {sorted(settings_of(ask).items())} {words}"
    return int(hashlib.sha256(text.encode()).hexdigest()[:8], 16) / 16**8 - 0.5


def bowl(ask: Ask) -> dict[str, float]:
    """A cost with one lowest point, at `BEST_BACKOFF_S` and `BEST_AGING`, of 10; waits fall with ageing."""
    settings = settings_of(ask)
    backoff_s, aging = float(settings["policies.retry.backoff_s"]), float(settings["policies.queue.aging_per_s"])
    decades = math.log10(backoff_s / BEST_BACKOFF_S)
    cost = 10 + decades**2 + ((aging - BEST_AGING) / 10) ** 2 + (0.0 if settings["policies.queue.fair_share"] == "false" else 0.5)
    common = Ask(scenario=ask.scenario, seed=ask.seed)
    return {
        "all.cost_usd": cost + luck(common, "day") + 0.01 * luck(ask), "all.jain_index": 1 - cost / 100, "all.wait_p95_s": 10 - aging,
        "standard.wait_p95_s": 10 - aging, "slo.attained": 1.0,
    }  # fmt: skip


def pure_luck(ask: Ask) -> dict[str, float]:
    """All policies are equally good: what differs is luck."""
    return {"all.cost_usd": 100 + luck(ask), "slo.attained": 1.0}


def lucky_in_search(ask: Ask) -> dict[str, float]:
    """Far from the default cost seems to fall steeply, but on the draws of the search only."""
    away = float(settings_of(ask)["policies.queue.aging_per_s"]) / 10
    return {"all.cost_usd": 100 - (50 * away if ask.seed < 1000 else 0) + luck(ask), "slo.attained": 1.0}


def tempting(ask: Ask) -> dict[str, float]:
    """The less ageing, the cheaper; but on fresh draws the wait is over the bound wherever ageing is below 5."""
    aging = float(settings_of(ask)["policies.queue.aging_per_s"])
    spread = luck(ask)
    return {"all.cost_usd": 100 + aging + 0.1 * luck(Ask(scenario=ask.scenario, seed=ask.seed)), "all.wait_p95_s": 7 - aging + 4 * spread}


def counted(ask: Ask, file: str, kill_at: int = 0) -> dict[str, float]:
    """`bowl`, with a line in `file` for each run; the process kills itself at run number `kill_at`."""
    with Path(file).open("a", encoding="utf-8") as runs:
        runs.write(" ".join([str(ask.seed), *ask.overrides]) + "\n")
    if kill_at and len(Path(file).read_text().splitlines()) == kill_at:
        os.kill(os.getpid(), signal.SIGKILL)
    return bowl(ask)


def counting(file: Path, kill_at: int = 0):
    """`counted` over a file."""
    return partial(counted, file=str(file), kill_at=kill_at)


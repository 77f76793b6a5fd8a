"""Finished runs in a store, without a worker: what pages about results need."""

from dataclasses import dataclass
from pathlib import Path

from streamlit.testing.v1 import AppTest

from forge1sim.ask import content_key
from forge1sim.run import simulate
from forge1sim.runs import Ask, RunStore, Status

OWNER = "a" * 32
SCENARIO = """
name: small
start: 2026-11-02T00:00:00Z
horizon_s: 30min
models: [gpt-5.4-mini]
accounts:
  - name: alpha
    provider: openai
    usd_per_month: 100
    limits: [{dimension: rpm, model_class: gpt-5.4-mini, limit: 60}, {dimension: tpm, model_class: gpt-5.4-mini, limit: 10000000}]
tenants:
  - {name: gold, count: 2, tier: enterprise, contract_usd_per_month: 9000, demand: {requests_per_s: 1}}
  - name: iron
    count: 30
    tier: standard
    demand: {requests_per_s: 1, deadline_s: {kind: deterministic, mean: 20}}
slos:
  - {name: gold is served, tier: enterprise, metric: served_ratio, at_least: 0.5}
  - {name: iron never waits, tier: standard, metric: wait_p95_s, at_most: 0.001}
"""


@dataclass(frozen=True)
class Finished:
    """A store with three finished runs of the same scenario: as it is, with more room, and with another seed."""

    folder: Path
    base: str
    roomy: str
    other_seed: str


def finish(store: RunStore, ask: Ask, name: str, kind: str = "run") -> str:
    """A finished run in the store, simulated here and now; its id."""
    loaded = ask.load()
    run = store.create(ask, owner=OWNER, name=name, kind=kind, key=content_key(loaded, ask.driver), pool="none")
    simulate(loaded, driver=ask.driver, seed=ask.seed, out=run.folder)
    store.set_state(run.id, Status.DONE, seconds=0.1)
    return run.id


def finished_runs(folder: Path) -> Finished:
    """Simulate all three into a store in `folder`."""
    file = folder / "small.yaml"
    file.write_text(SCENARIO, encoding="utf-8")
    store = RunStore(folder / "runs")
    ask = Ask(scenario=str(file), seed=3)
    room = ("accounts.alpha.limits=[{dimension: rpm, model_class: gpt-5.4-mini, limit: 150}]",)
    return Finished(
        folder / "runs",
        finish(store, ask, "as it is"),
        finish(store, Ask(scenario=str(file), seed=3, overrides=room), "more room"),
        finish(store, Ask(scenario=str(file), seed=4), "other luck"),
    )


def texts(app: AppTest) -> str:
    """All that a page says in words."""
    return "\n".join(str(element.value) for kind in ("markdown", "caption", "error", "info", "warning") for element in app.get(kind))

"""One request's life with what could have served it: for each decision the candidates, and how full their limits were.

What a limit had let through in its last minute is counted from the log, as an outsider would see
it. The gateway's own word is in the sentences: the reason, and the limit that it names.
"""

from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from forge1sim.errors import RunError
from forge1sim.explain import tell
from forge1sim.run import simulate
from policies import log
from policies.build import build_state, tier_of
from policies.layout import Layout, LimitRow, lay_out
from policies.state import open_state

if TYPE_CHECKING:
    from forge1sim.scenario.load import LoadedScenario

MOST_MOMENTS = 12
_MINUTE_US = 60_000_000
_ENDS = (log.COMPLETE, log.REJECT, log.EXPIRE, log.CANCEL)
_COMPLEXITIES = (0.0, 0.25, 0.5, 0.75, 1.0)
Rows = NDArray[np.void]


class _EnoughError(Exception):
    """The request has ended: nothing that comes later matters to it."""


class _Keeper:
    """A sink that keeps the rows of one request, those of the minute before it came and all until it ends, and every rest."""

    def __init__(self, request: int) -> None:
        self._request = request
        self._arrived = False
        self._chunks: deque[Rows] = deque()
        self._rests: list[Rows] = []

    def __call__(self, rows: Rows) -> None:
        if not rows.size:
            return
        mine = rows[rows["request"] == self._request]
        self._arrived = self._arrived or bool(mine.size)
        self._rests.append(rows[rows["kind"] == log.COOL].copy())
        self._chunks.append(rows.copy())
        while not self._arrived and self._chunks[0]["time_us"][-1] < rows["time_us"][-1] - 2 * _MINUTE_US:
            self._chunks.popleft()
        if np.isin(mine["kind"], _ENDS).any():
            raise _EnoughError

    @property
    def rows(self) -> Rows:
        """All rows kept, in order."""
        return np.concatenate(self._chunks) if self._chunks else np.zeros(0, log.ROW)

    @property
    def rests(self) -> Rows:
        """Every COOL row so far, in order."""
        return np.concatenate(self._rests) if self._rests else np.zeros(0, log.ROW)


@dataclass(frozen=True)
class _Scene:
    """What every decision about the request has in common."""

    layout: Layout
    arrival: np.void
    candidates: tuple[int, ...]       # deployment rows
    rests: Rows


def life_of(loaded: "LoadedScenario", driver: str, seed: int, request: int) -> dict[str, Any]:
    """The life of a request, ready for JSON; the scenario is run up to its end.

    Keys: `request`, `tenant`, `tier`, `sentences` (`at_s`, `text`) and `moments`: decisions with
    `at_s`, `title` and `candidates`, each with `deployment`, `quality`, `most_usd` (if all output
    tokens are used), `sent` (limit by limit in words, the fullest first) and `state`. Raises RunError if there is no such request.
    """
    keep = _Keeper(request)
    arrived = None
    with suppress(_EnoughError):
        arrived = simulate(loaded, driver=driver, seed=seed, sinks=(keep,), hash_log=False).summary["requests"]["arrived"]
    rows = keep.rows
    mine = np.flatnonzero(rows["request"] == request) if rows.size else np.zeros(0, np.int64)
    if not mine.size:
        raise RunError(f"request {request}: there is no such request; they are numbered 0 to {(arrived or 1) - 1}")
    layout = lay_out(loaded.platform, loaded.start_us)
    arrival = rows[mine[0]]
    scene = _Scene(layout, arrival, _candidates(loaded, layout, seed, arrival), keep.rests)
    told = tell(rows[mine], layout, loaded.bundle)
    group = layout.tenant_groups[layout.tenant_group[int(arrival["tenant"])]]
    return {
        "request": request,
        "tenant": layout.tenant_names[int(arrival["tenant"])],
        "tier": loaded.bundle.tiers[tier_of(group, loaded.bundle.tiers)].name,
        "arrived_us": int(arrival["time_us"]),
        "sentences": [{"at_s": _seconds(rows[row], loaded), "text": text} for row, text in zip(mine, told, strict=True)],
        "moments": list(_moments(scene, rows, mine, loaded)),
    }


def _seconds(row: np.void, loaded: "LoadedScenario") -> float:
    return (int(row["time_us"]) - loaded.start_us) / 1e6


def _candidates(loaded: "LoadedScenario", layout: Layout, seed: int, arrival: np.void) -> tuple[int, ...]:
    """Deployments that the tenant's contract opens and whose model is the one wanted or a fallback, in the order of trial."""
    state = open_state(build_state(layout, loaded.bundle, loaded.start_us, seed))
    width = state.deployments.size
    access = int(state.tenants[int(arrival["tenant"])]["access"])
    wanted = int(arrival["limit"])
    models = list(range(len(layout.models)))
    if wanted >= 0:
        last = state.models[wanted]["chain_hi"] if loaded.bundle.retry.fallback_models else state.models[wanted]["chain_lo"] + 1
        models = state.chain[state.models[wanted]["chain_lo"] : last].tolist()
    return tuple(
        row for model in models for row in range(*layout.model_deployments[model]) if state.open[access * width + row]
    )  # fmt: skip


def _moments(scene: _Scene, rows: Rows, mine: NDArray[np.int64], loaded: "LoadedScenario") -> Iterator[dict[str, Any]]:
    """Each decision about the request: sent, put into the queue, or turned away."""
    decisions = [row for row in mine.tolist() if rows[row]["kind"] in _TITLES]
    for number in decisions[:MOST_MOMENTS]:
        row = rows[number]
        chosen = int(row["deployment"]) if row["kind"] == log.DISPATCH else -1
        before = rows[:number]
        listed = [_candidate(scene, deployment, before, int(row["time_us"]), deployment == chosen) for deployment in scene.candidates]
        yield {
            "at_s": _seconds(row, loaded),
            "title": _TITLES[int(row["kind"])].format(attempt=int(row["attempt"])),
            "candidates": sorted(listed, key=lambda one: one["state"] != "chosen"),
        }


_TITLES = {log.DISPATCH: "Attempt {attempt} is sent", log.QUEUE: "It has to wait", log.REJECT: "It is turned away"}


def _candidate(scene: _Scene, deployment: int, before: Rows, now_us: int, chosen: bool) -> dict[str, Any]:
    layout = scene.layout
    place = layout.deployments[deployment]
    model = layout.models[place.model]
    packed, most_output = int(scene.arrival["v0"]), int(scene.arrival["v1"]) or model.max_output_tokens
    sent, cached = packed & log.LOW_32, packed >> 32
    cached_usd = model.input_usd_per_1m if model.cached_input_usd_per_1m is None else model.cached_input_usd_per_1m
    most_usd = ((sent - cached) * model.input_usd_per_1m + cached * cached_usd + most_output * model.output_usd_per_1m) / 1e6
    uses = [use for limit in _limits_of(layout, deployment) if (use := _use(layout, limit, before, now_us)) is not None]
    uses.sort(key=lambda use: -use[1] / use[0].amount)
    needs = {"requests": 1, "max_tokens": sent + most_output}
    full = [limit for limit, used in uses if used + needs.get(limit.charge, 0) > limit.amount]
    rests_us = _rests_until_us(scene, deployment, now_us) - now_us
    state = "chosen" if chosen else f"rests for {rests_us / 1e6:.1f} s more" if rests_us > 0 else "full" if full else _told(uses)
    return {
        "deployment": place.name,
        "quality": float(np.interp(int(scene.arrival["v4"]) / 1000, _COMPLEXITIES, model.performance)),
        "most_usd": most_usd,
        "sent": [f"{used:,} of {limit.amount:,} {_unit(limit)}" for limit, used in uses],
        "state": state,
    }


def _unit(limit: LimitRow) -> str:
    return "tokens" if limit.charge == "max_tokens" else limit.charge.replace("_", " ")


def _told(uses: list[tuple[LimitRow, int]]) -> str:
    return f"{max(used / limit.amount for limit, used in uses):.0%} used" if uses else "no limit per minute"


def _limits_of(layout: Layout, deployment: int) -> list[LimitRow]:
    place = layout.deployments[deployment]
    bucket, account = layout.buckets[place.bucket], layout.accounts[place.account]
    return [*layout.limits[bucket.limit_lo : bucket.limit_hi], *layout.limits[account.limit_lo : account.limit_hi]]


def _use(layout: Layout, limit: LimitRow, before: Rows, now_us: int) -> tuple[LimitRow, int] | None:
    """What a limit per minute has let through in its last minute, or in its present one if they are fixed; None for others."""
    if limit.dimension not in ("rpm", "tpm", "itpm", "otpm") or limit.window_us not in (0, _MINUTE_US):
        return None
    since_us = now_us - (now_us - limit.offset_us) % _MINUTE_US if limit.window == "fixed" else now_us - _MINUTE_US
    kind = log.DISPATCH if limit.charge in ("requests", "max_tokens") else log.COMPLETE
    at = [row for row, place in enumerate(layout.deployments) if limit.bucket in (-1, place.bucket) and place.account == limit.account]
    rows = before[(before["time_us"] >= since_us) & (before["kind"] == kind) & np.isin(before["deployment"], at)]
    return limit, _charged(rows, limit.charge)


def _charged(rows: Rows, charge: str) -> int:
    sent, cached = rows["v0"] & log.LOW_32, rows["v0"] >> 32
    amounts = {
        "requests": np.ones(rows.size, np.int64), "max_tokens": rows["v1"], "input": sent, "uncached_input": sent - cached,
        "output": rows["v1"], "total": sent + rows["v1"],
    }  # fmt: skip
    return int(amounts[charge].sum())


def _rests_until_us(scene: _Scene, deployment: int, now_us: int) -> int:
    """Until when a deployment rests, by itself, with its class of models, or with its account; 0 for never."""
    place = scene.layout.deployments[deployment]
    where = {log.SCOPE_DEPLOYMENT: deployment, log.SCOPE_BUCKET: place.bucket, log.SCOPE_ACCOUNT: place.account}
    rests = scene.rests[scene.rests["time_us"] <= now_us]
    mine = np.zeros(rests.size, np.bool_)
    for scope, row in where.items():
        mine |= (rests["code"] == scope) & (rests["v0"] == row)
    return int(rests["v1"][mine].max(initial=0))

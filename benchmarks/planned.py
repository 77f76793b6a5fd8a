"""Generated problems of a plan, of the size that platforms have."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from forge1sim.planning.problem import DemandClass, Goal, Kind, Problem, Room, State, Survival

Floats = NDArray[np.float64]
PROVIDERS = ("openai", "anthropic", "google")
TIERS = ("enterprise", "pro", "standard")
STATES = ("t1", "t2", "t3", "t4", "t5")
_HOURS_A_MONTH = 730.0


@dataclass(frozen=True)
class Size:
    """How large a problem to generate."""

    models: int = 12
    kinds: int = 12
    scenarios: int = 10
    blocks: int = 24


def problem(seed: int, size: Size, repeats: Floats) -> Problem:
    """Tiers, models of three providers, kinds of account with usage tiers, and every limit: requests, tokens in and out, requests a
    day, USD a month; capacity kept for enterprise, and enterprise served though an account is lost.

    `repeats`, shape (blocks,), is how many such blocks a month has.
    """
    rng = np.random.default_rng(seed)
    of_model = np.arange(size.models) % len(PROVIDERS)
    of_kind = np.arange(size.kinds) % len(PROVIDERS)
    usd = 10.0 ** rng.uniform(-3, -1.5, size.models)
    quality = 0.6 + 0.12 * (np.log10(usd) + 3) / 1.5 + rng.uniform(0, 0.2, size.models)
    served_by = of_kind[:, None] == of_model[None, :]
    classes = _classes(rng, size, served_by, usd, quality)
    demand = _demand(rng, size)
    kinds = tuple(_kind(rng, number, PROVIDERS[of_kind[number]]) for number in range(size.kinds))
    rooms: list[Room] = []
    for number in range(size.kinds):
        rooms += _rooms(rng, number, size, np.flatnonzero(served_by[number]), classes, demand, repeats)
    busiest = np.argsort(demand.sum(axis=1), axis=1)[:, -2:].tolist()
    peaks = tuple((scenario, block) for scenario in range(0, size.scenarios, 5) for block in busiest[scenario])
    return Problem(
        tiers=TIERS, models=tuple(f"model-{number}" for number in range(size.models)), kinds=kinds, rooms=tuple(rooms), classes=classes,
        demand=demand, probability=np.full(size.scenarios, 1 / size.scenarios), repeats=repeats,
        goals=(Goal(tier=0, served_share=0.999), Goal(tier=1, served_share=0.99), Goal(tier=2, served_share=0.95, tail=0.7)),
        survivals=(Survival(tier=0, lost="account", served_share=0.99, moments=peaks),),
    )  # fmt: skip


def _classes(rng: np.random.Generator, size: Size, served_by: NDArray[np.bool_], usd: Floats, quality: Floats) -> tuple[DemandClass, ...]:
    """A class for each tier and model: answered there, or in part by two others."""
    found = []
    for tier in range(len(TIERS)):
        for model in range(size.models):
            share = np.zeros(size.models)
            share[rng.choice(size.models, 2, replace=False)] = 0.5, 0.3
            share[model] = 1.0
            tokens = rng.uniform(0.5, 2.0)
            found.append(DemandClass(
                name=f"{TIERS[tier]}, model {model}", tier=tier, most_share=share * served_by, usd=np.tile(usd * tokens, (size.kinds, 1)),
                quality=quality.clip(0, 1), refusal_usd=float(usd[model]) * (20.0, 10.0, 5.0)[tier],
            ))  # fmt: skip
    return tuple(found)


def _demand(rng: np.random.Generator, size: Size) -> Floats:
    """A working day's shape, of a random size by scenario and class, in requests an hour."""
    hours = np.arange(size.blocks) % 24
    day = 0.25 + np.exp(-(((hours - 14) / 4.0) ** 2))
    level = rng.lognormal(7, 1, len(TIERS) * size.models)
    by_scenario = level[None, :, None] * rng.lognormal(0, 0.3, (size.scenarios, len(level), 1))
    return by_scenario * day * rng.lognormal(0, 0.1, (size.scenarios, 1, size.blocks))


def _kind(rng: np.random.Generator, number: int, provider: str) -> Kind:
    most = (12, 10, 8, 5, 3)
    fees = np.cumsum(rng.uniform(20, 130, len(STATES)))
    states = tuple(State(name=name, usd_per_month=float(fee), most=count) for name, fee, count in zip(STATES, fees, most, strict=True))
    return Kind(name=f"{provider}-{number}", provider=provider, states=states, held=(1, 0, 0, 0, 0), at_least=0, at_most=12)


def _rooms(
    rng: np.random.Generator, kind: int, size: Size, models: NDArray[np.int64], classes: tuple[DemandClass, ...],
    demand: Floats, repeats: Floats,
) -> list[Room]:  # fmt: skip
    """Buckets of two models each with limits on requests and tokens, and one limit on requests a day and USD a month for all."""
    rise = np.array([1.0, 2.0, 3.0, 5.0, 8.0]) * rng.uniform(0.7, 1.3)
    alone = tuple((block,) for block in range(size.blocks))
    day = tuple(tuple(range(at, min(at + 24, size.blocks))) for at in range(0, size.blocks, 24))
    per_request = {"requests": np.ones(len(classes)), "tokens in": rng.uniform(500, 3000, len(classes)),
                   "tokens out": rng.uniform(100, 900, len(classes))}  # fmt: skip
    kept = np.array([0.2, 0.1, 0.0])
    found = []
    for first in range(0, len(models), 2):
        bucket = np.isin(np.arange(size.models), models[first : first + 2])
        peak = demand.mean(axis=0).max(axis=1)
        typical = sum(float(peak[number]) for number, one in enumerate(classes) if one.most_share[kind, bucket].max() >= 1) / 36
        for name, units in per_request.items():
            capacity = np.repeat((rise * typical * float(units.mean()) * rng.uniform(0.8, 2.0))[:, None], len(alone), axis=1)
            found.append(Room(
                name=f"{kind}, bucket {first}: {name}", kind=kind, units=np.outer(units, bucket), spans=alone, times=np.ones(size.blocks),
                capacity=capacity, usable=np.full(len(alone), 0.9), kept_for=kept,
            ))  # fmt: skip
    shared = np.isin(np.arange(size.models), models)
    typical = sum(float(demand[:, number].sum(axis=1).mean()) for number, one in enumerate(classes) if one.most_share[kind].max() >= 1) / 36
    days = size.blocks / 24
    found.append(Room(
        name=f"{kind}: requests a day", kind=kind, units=np.outer(np.ones(len(classes)), shared), spans=day, times=np.ones(size.blocks),
        capacity=np.repeat((rise * typical / days)[:, None], len(day), axis=1), usable=np.ones(len(day)), kept_for=np.zeros(3),
    ))  # fmt: skip
    spent = np.array([one.usd[kind] * shared for one in classes])
    monthly = typical / size.blocks * float(repeats.sum()) * float(spent[spent > 0].mean())
    found.append(Room(
        name=f"{kind}: USD a month", kind=kind, units=spent, spans=(tuple(range(size.blocks)),), times=repeats,
        capacity=(rise * monthly)[:, None], usable=np.ones(1), kept_for=np.zeros(3),
    ))  # fmt: skip
    return found


def day(seed: int = 1) -> Problem:
    """Twenty-four hours, ten demand scenarios."""
    return problem(seed, Size(), np.full(24, _HOURS_A_MONTH / 24))


def week(seed: int = 1) -> Problem:
    """A week by two representative days, of work and of rest, of twelve blocks each."""
    return problem(seed, Size(), np.repeat([_HOURS_A_MONTH * 5 / 7 / 12, _HOURS_A_MONTH * 2 / 7 / 12], 12))

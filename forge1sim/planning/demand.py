"""What draws ask for, class by class and block by block: requests alike are counted together.

A class is a tier, the model asked for, what the contract opens, and a size. Sums are kept, so that draws are added one by one and
none stays in memory.
"""

from dataclasses import dataclass
from functools import reduce
from math import inf

import numpy as np
from numpy.typing import NDArray

from forge1sim.experiments.clairvoyant.bound import BLOCK_SECONDS
from forge1sim.experiments.clairvoyant.choices import SECONDS
from forge1sim.experiments.clairvoyant.rooms import Blocks, cut_time
from forge1sim.planning.reach import Demanded, Reach
from forge1sim.workload.table import AUTO
from policies.layout import CHARGES, LimitRow
from policies.schema import Distribution, Model

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Ints = NDArray[np.int64]
MOST_BLOCKS = 24
MINUTE_US = 60_000_000
_MOST_WAITS = 0.9                   # of waits with an end, the share that a block is no shorter than
_SIZES = (0.5, 0.85)                # quantiles of tokens where one size ends


def cut(reach: Reach, usual_wait_s: float) -> Blocks:
    """At most about 24 blocks of equal length over the horizon, none shorter than most requests may wait, and one after it."""
    loaded = reach.options.loaded
    horizon_s, end_us = loaded.horizon_us / 1e6, loaded.start_us + loaded.horizon_us
    least_s = max(horizon_s / MOST_BLOCKS, min(usual_wait_s, horizon_s))
    usual_s = next((length for length in BLOCK_SECONDS if length >= least_s), least_s)
    return cut_time(loaded.start_us, end_us, end_us + loaded.drain_us + 1, max(1, round(usual_s * 1e6)))


def rule_of(limit: LimitRow) -> int:
    """The row of `CHARGES` by which a limit is used, or SECONDS for one on requests in flight."""
    return SECONDS if limit.window == "none" else CHARGES.index(limit.charge)


@dataclass(frozen=True, kw_only=True)
class Class:
    """The rows of a tier, of the model asked for (AUTO: any), of what a contract opens, and of a size."""

    tier: int
    wanted: int
    access: int
    size: int


class Demand:
    """Sums over draws. Shapes: (keys,) are classes that may be, in order of `Class`'s fields; (keys, models); `open_count` by route.

    `counts` has an array of shape (keys, blocks) for each draw, `per_min` one of shape (limits, minutes) of what each limit of the
    layout would be asked for if all that may go there went there.
    """

    def __init__(self, reach: Reach, first: Demanded) -> None:
        requests, layout = first.requests, reach.layout
        waits_us = np.minimum(requests["deadline_us"], requests["cancel_us"]) - requests["arrive_us"]
        finite = waits_us[waits_us < (1 << 60)]
        self.reach, self.blocks = reach, cut(reach, float(np.quantile(finite, _MOST_WAITS)) / 1e6 if len(finite) else 0.0)
        self.size_edges = np.quantile(requests["input_tokens"] + requests["output_tokens"], _SIZES)
        self.accesses = int(first.open_routes.shape[0])
        self.models = len(layout.models)
        self.keys = len(reach.bundle.tiers) * (self.models + 1) * self.accesses * (len(_SIZES) + 1)
        self.rules = sorted({rule_of(limit) for limit in layout.limits})
        shape = (self.keys, self.models)
        self.suited, self.usd, self.quality = np.zeros(shape), np.zeros(shape), np.zeros(shape)
        self.uses = {rule: np.zeros(shape) for rule in self.rules}
        self.open_count = np.zeros((self.keys, len(first.routes)))
        self.counts: list[Floats] = []
        self.per_min: list[Floats] = []
        self.routes, self.pools = first.routes, first.pools

    def add(self, choices: Demanded) -> None:
        """Another draw."""
        from scipy.sparse import csr_array

        key, count = self._keys(choices), self.blocks.count
        rows = np.arange(len(key))
        by_key = csr_array((np.ones(len(key)), (key, rows)), shape=(self.keys, len(key)))
        is_open = np.stack([choices.open_to(row) for row in range(len(choices.routes))], axis=1)
        uses = {rule: answer_s(choices) if rule == SECONDS else choices.uses(rule) for rule in self.rules}
        model_of = np.array([route.model for route in choices.routes])
        suits = np.stack([is_open[:, model_of == model].any(axis=1) for model in range(self.models)], axis=1).astype(np.float64)
        self.open_count += np.asarray(by_key @ is_open.astype(np.float64))
        self.suited += np.asarray(by_key @ suits)
        self.usd += np.asarray(by_key @ (suits * choices.nano_usd)) / 1e9
        self.quality += np.asarray(by_key @ (suits * choices.quality_pm)) / 1e3
        for rule, found in uses.items():
            self.uses[rule] += np.asarray(by_key @ (suits * found))
        block = self.blocks.of(choices.requests["arrive_us"])
        self.counts.append(np.bincount(key * count + block, minlength=self.keys * count).reshape(self.keys, count).astype(np.float64))
        self.per_min.append(self._per_min(choices, is_open, uses))

    def _keys(self, choices: Demanded) -> Ints:
        requests = choices.requests
        size = np.searchsorted(self.size_edges, requests["input_tokens"] + requests["output_tokens"])
        wanted = requests["wanted"].astype(np.int64) - AUTO
        return np.asarray(((choices.tier * (self.models + 1) + wanted) * self.accesses + choices.access) * (len(_SIZES) + 1) + size)

    def class_of(self, key: int) -> Class:
        """What a key stands for."""
        rest, size = divmod(key, len(_SIZES) + 1)
        rest, access = divmod(rest, self.accesses)
        tier, wanted = divmod(rest, self.models + 1)
        return Class(tier=tier, wanted=wanted + AUTO, access=access, size=size)

    def mean(self, sums: Floats) -> Floats:
        """Sums over the requests that suit a model as means, shape (keys, models)."""
        return sums / np.maximum(self.suited, 1.0)

    def _per_min(self, choices: Demanded, is_open: Flags, uses: dict[int, Floats | Ints]) -> Floats:
        minute = (choices.requests["arrive_us"] - self.blocks.edges[0]) // MINUTE_US
        count = -(-int(self.blocks.edges[-1] - self.blocks.edges[0]) // MINUTE_US)
        found = np.zeros((len(self.reach.layout.limits), count))
        for number, limit in enumerate(self.reach.layout.limits):
            on_it = [row for row, route in enumerate(choices.routes) if number in route.limits]
            if limit.window in ("day", "none", "acceleration") or not on_it:
                continue
            asked = uses[rule_of(limit)]
            most = reduce(np.maximum, (is_open[:, row] * asked[:, choices.routes[row].model] for row in on_it))
            found[number] = np.bincount(minute, weights=most, minlength=count)
        return found


def answer_s(choices: Demanded) -> Floats:
    """How long an answer takes on average beside nobody else, shape (n, models)."""
    fresh, said = choices.requests["input_tokens"].astype(np.float64), choices.requests["output_tokens"].astype(np.float64)
    found = [_answer_s(model, fresh, np.minimum(said, choices.most_output[:, row]))
             for row, model in enumerate(choices.realised.layout.models)]  # fmt: skip
    return np.stack(found, axis=1)


def _answer_s(model: Model, input_tokens: Floats, output_tokens: Floats) -> Floats:
    speed = model.speed
    if speed.service_s is not None:
        return np.full(len(input_tokens), mean_of(speed.service_s))
    return np.asarray(speed.ttft_s + input_tokens * speed.s_per_1k_input / 1000 + output_tokens / speed.tokens_per_s)


def mean_of(drawn: Distribution) -> float:
    """The mean of a distribution, before it is cut off."""
    mean = float(np.mean(drawn.values)) if drawn.kind == "empirical" else drawn.mean
    return min(mean, inf if drawn.at_most is None else drawn.at_most)

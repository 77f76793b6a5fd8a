"""Which points a sweep looks at: values of fields, in all combinations or drawn at random.

What a field takes is written as for `--set`, and besides as

    0.5:0.9:0.1             start, stop (itself included) and step, exact; also with a unit: 10min:30min:5min
    a,b,c                   a list
    uniform(0.5,0.9)        draws, for random designs; also loguniform(1,1000) and integers(1,9)
"""

import itertools
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, DecimalException
from typing import Any

import numpy as np

from forge1sim.errors import ExperimentError
from forge1sim.scenario.problems import shown_value
from forge1sim.scenario.schema import DEFAULT_SEED, Scenario
from policies.bundle import PolicyBundle

MOST_POINTS = 10_000
DESIGNS = ("lhs", "sobol")
_NUMBER = r"[+-]?(?:[0-9]{1,30}\.?[0-9]{0,30}|\.[0-9]{1,30})(?:[eE][+-]?[0-9]{1,2})?"
_AMOUNT = re.compile(rf"\s*({_NUMBER})\s*(ms|s|min|h|d|w)?\s*")
_DRAW = re.compile(r"\s*(uniform|loguniform|integers)\s*\((.*)\)\s*")
_DIGITS = 12        # of a drawn number: the same on every machine, whatever its logarithms do in the last place


@dataclass(frozen=True, kw_only=True)
class Axis:
    """A field and what it takes: `texts` as after `--set path=`, or draws by `draw` between `low` and `high`, in `unit`."""

    path: str
    texts: tuple[str, ...] = ()
    draw: str = ""
    low: Decimal = Decimal(0)
    high: Decimal = Decimal(0)
    unit: str = ""

    @property
    def varies(self) -> bool:
        """Whether it takes more than one value."""
        return bool(self.draw) or len(self.texts) > 1

    def text_at(self, u: float) -> str:
        """What it takes at `u` in [0, 1), evenly spread."""
        if not self.draw:
            return self.texts[int(u * len(self.texts))]
        low, high = float(self.low), float(self.high)
        if self.draw == "integers":
            return f"{min(int(self.high), int(self.low) + math.floor(u * (high - low + 1)))}{self.unit}"
        value = math.exp(math.log(low) + u * (math.log(high) - math.log(low))) if self.draw == "loguniform" else low + u * (high - low)
        return f"{format(Decimal(f'{min(high, max(low, value)):.{_DIGITS}g}'), 'f')}{self.unit}"


def axis_of_setting(setting: str) -> Axis:
    """The axis of `--set PATH=VALUES`. Raises ExperimentError."""
    path, equals, values = setting.partition("=")
    if not equals or not path.strip():
        raise ExperimentError(f"--set {shown_value(setting)}: should be PATH=VALUES, such as accounts.openai.count=1:5:1")
    return axis_of(path, values)


def axis_of(path: str, values: Any) -> Axis:
    """The axis of a field: `values` is a text as above, a sequence of values, or one value. Raises ExperimentError."""
    path = _full(path.strip())
    if path.partition(".")[0] in ("seed", "extends"):
        raise ExperimentError(f"{path}: cannot be swept; runs of one point differ by their seed (--seed, --replications)")
    if not isinstance(values, str):
        several = values.tolist() if isinstance(values, np.ndarray) else values
        several = list(several) if isinstance(several, Sequence | range) else [several]
        return Axis(path=path, texts=_distinct(path, [_text(path, value) for value in several]))
    drawn = _DRAW.fullmatch(values)
    if drawn:
        return _drawn(path, values, drawn.group(1), drawn.group(2).split(","))
    parts = values.split(":")
    if len(parts) > 1 and _AMOUNT.fullmatch(parts[0]):
        return Axis(path=path, texts=_range(path, values, parts))
    return Axis(path=path, texts=_distinct(path, _listed(path, values)))


def axes_of(fields: Mapping[str, Any]) -> tuple[Axis, ...]:
    """The axes of `{path: values}`. Raises ExperimentError."""
    return checked([axis_of(path, values) for path, values in fields.items()])


def checked(axes: Sequence[Axis]) -> tuple[Axis, ...]:
    """Axes that belong together. Raises ExperimentError: none, one path twice."""
    if not axes:
        raise ExperimentError("nothing is swept: name a field and its values, such as --set accounts.openai.count=1:5:1")
    paths = [axis.path for axis in axes]
    for path in paths:
        if paths.count(path) > 1:
            raise ExperimentError(f"{path}: is set twice; write its values as one list: {path}=a,b,c")
    return tuple(axes)


def points_of(axes: Sequence[Axis], *, random: int | None = None, design: str = "lhs", seed: int = DEFAULT_SEED) -> list[tuple[str, ...]]:
    """The points: for each, a text for each axis. All combinations, the last axis fastest, or `random` drawn ones.

    `design` is `lhs`, a Latin hypercube: in each field the draws are spread evenly; or `sobol`, a scrambled Sobol
    sequence: any few fields together are. Source: scipy.stats.qmc. Raises ExperimentError.
    """
    if design not in DESIGNS:
        raise ExperimentError(f"design is {shown_value(design)}, should be one of {', '.join(DESIGNS)}")
    if random is None:
        return _grid(axes)
    if isinstance(random, bool) or not isinstance(random, int) or not 1 <= random <= MOST_POINTS:
        raise ExperimentError(f"random is {shown_value(random)}, should be a number of points from 1 to {MOST_POINTS:,}")
    varied = [axis for axis in axes if axis.varies]
    if not varied:
        raise ExperimentError(f"random is {random}, but every field has one value only; write {axes[0].path}=uniform(LOW,HIGH)")
    if design == "sobol" and random & (random - 1):
        near = 1 << (random.bit_length() - 1)
        raise ExperimentError(f"random is {random}, but a Sobol design needs a power of 2: {near} or {2 * near}")
    from scipy.stats import qmc

    sampler = qmc.LatinHypercube(len(varied), rng=seed) if design == "lhs" else qmc.Sobol(len(varied), scramble=True, rng=seed)
    places = {axis.path: column for column, axis in enumerate(varied)}
    return [
        tuple(axis.text_at(float(row[places[axis.path]])) if axis.varies else axis.texts[0] for axis in axes)
        for row in sampler.random(random)
    ]


def _grid(axes: Sequence[Axis]) -> list[tuple[str, ...]]:
    for axis in axes:
        if axis.draw:
            raise ExperimentError(f"{axis.path}: {axis.draw}(...) is for random designs; add --random N, or write start:stop:step")
    count = math.prod(len(axis.texts) for axis in axes)
    if count > MOST_POINTS:
        sizes = " x ".join(str(len(axis.texts)) for axis in axes)
        raise ExperimentError(f"{sizes} = {count:,} points, at most {MOST_POINTS:,} are made; take wider steps, or --random N")
    return list(itertools.product(*(axis.texts for axis in axes)))


def _full(path: str) -> str:
    """`tiers.enterprise` is `policies.tiers.enterprise`: fields of the policies may be named without them."""
    first = path.partition(".")[0]
    return f"policies.{path}" if first not in Scenario.model_fields and first in PolicyBundle.model_fields else path


def _range(path: str, shown: str, parts: list[str]) -> tuple[str, ...]:
    amounts = [_AMOUNT.fullmatch(part) for part in parts]
    where = f"{path}: {shown_value(shown)}"
    if len(parts) != 3 or None in amounts:
        raise ExperimentError(f"{where} should be start:stop:step, such as 0.5:0.9:0.1; a text with colons stands in quotes")
    start, stop, step = (Decimal(amount.group(1)) for amount in amounts if amount)
    units = {amount.group(2) or "" for amount in amounts if amount}
    if len(units) > 1:
        raise ExperimentError(f"{where}: start, stop and step should have the same unit")
    if step == 0:
        raise ExperimentError(f"{where}: the step is 0; a text with colons stands in quotes")
    if (stop - start) * step < 0:
        raise ExperimentError(f"{where}: steps of {step} do not lead from {start} to {stop}; write {start}:{stop}:{-step}")
    try:
        count = int((stop - start) // step) + 1
    except DecimalException:
        count = 10**18
    if count > MOST_POINTS:
        raise ExperimentError(f"{where}: has more than {MOST_POINTS:,} values; take a wider step")
    unit = units.pop()
    return tuple(f"{format(start + place * step, 'f')}{unit}" for place in range(count))


def _drawn(path: str, shown: str, draw: str, bounds: list[str]) -> Axis:
    amounts = [_AMOUNT.fullmatch(bound) for bound in bounds]
    where = f"{path}: {shown_value(shown)}"
    if len(bounds) != 2 or None in amounts:
        raise ExperimentError(f"{where} should be {draw}(LOW,HIGH), such as {draw}(1,9)")
    low, high = (Decimal(amount.group(1)) for amount in amounts if amount)
    units = {amount.group(2) or "" for amount in amounts if amount}
    if len(units) > 1:
        raise ExperimentError(f"{where}: both bounds should have the same unit")
    if not low < high:
        raise ExperimentError(f"{where}: {low} should be below {high}")
    if draw == "loguniform" and low <= 0:
        raise ExperimentError(f"{where}: {low} should be above 0, or there is no logarithm")
    if draw == "integers" and (low != low.to_integral_value() or high != high.to_integral_value()):
        raise ExperimentError(f"{where}: both bounds should be whole numbers")
    return Axis(path=path, draw=draw, low=low, high=high, unit=units.pop())


def _listed(path: str, text: str) -> list[str]:
    """The parts between commas that stand in no bracket and no quotes."""
    parts, depth, quote = [""], 0, ""
    for letter in text:
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "\"'" and not parts[-1].strip():
            quote = letter
        elif letter in "[{":
            depth += 1
        elif letter in "]}":
            depth -= 1
        if letter == "," and not depth and not quote:
            parts.append("")
        else:
            parts[-1] += letter
    parts = [part.strip() for part in parts]
    if len(parts) > 1 and "" in parts:
        raise ExperimentError(f"{path}: {shown_value(text)} has an empty value; write null for none")
    return parts


def _text(path: str, value: Any) -> str:
    """A value as after `--set path=`."""
    value = value.item() if isinstance(value, np.generic) else value
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ExperimentError(f"{path}: {value} is no finite number")
        return format(Decimal(repr(value)), "f")
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ExperimentError(f"{path}: {shown_value(value)} is no value of a scenario's field") from error


def _distinct(path: str, texts: list[str]) -> tuple[str, ...]:
    if not texts:
        raise ExperimentError(f"{path}: has no values")
    if len(texts) > MOST_POINTS:
        raise ExperimentError(f"{path}: has {len(texts):,} values, at most {MOST_POINTS:,} points are made")
    for text, count in {text: texts.count(text) for text in texts[:200]}.items():
        if count > 1:
            raise ExperimentError(f"{path}: {text} is named {count} times")
    return tuple(texts)

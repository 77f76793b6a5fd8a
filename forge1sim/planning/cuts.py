"""What simulations taught, in a form that the program understands.

All cuts speak of the same coordinates: accounts of a kind in a state or a higher one (`Counts.at_or_above`). Adding to a coordinate
adds capacity, so what one plan failed at, no plan with less can do. Commitments are no coordinates: they change no capacity.
"""

from dataclasses import dataclass

from forge1sim.planning.problem import Counts

ByCoordinate = tuple[tuple[float, ...], ...]


@dataclass(frozen=True, kw_only=True)
class NotWithin:
    """A plan with no coordinate above those of `counts` breaks what must hold: one at least must be higher.

    Valid where more capacity never lowers what is attained.
    """

    counts: Counts


@dataclass(frozen=True, kw_only=True)
class CostsAtLeast:
    """A plan with no coordinate above those of `counts` has a running cost (tokens at list price and refusals) of `usd` a month or more."""

    counts: Counts
    usd: float


@dataclass(frozen=True, kw_only=True)
class AffineCost:
    """The running cost is at least `constant_usd` less, by coordinate, `usd_by_coordinate` for each account."""

    constant_usd: float
    usd_by_coordinate: ByCoordinate


@dataclass(frozen=True, kw_only=True)
class Slope:
    """What was attained at `counts`, and its slope by coordinate, must reach `target`. A guess, unless attainment is concave."""

    counts: Counts
    attained: float
    slope: ByCoordinate
    target: float


Cut = NotWithin | CostsAtLeast | AffineCost | Slope

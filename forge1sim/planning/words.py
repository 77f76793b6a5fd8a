"""A plan in words."""

from forge1sim.planning.planned import Planned
from forge1sim.planning.told import answer_sentences
from forge1sim.statistics.interval import Interval


def sentences(planned: Planned) -> list[str]:
    """What it costs, how far from the best, and on what it rests."""
    best, gaps = planned.on_draws, planned.gaps
    found = [
        f"{best.usd_per_month:,.0f} USD a month: accounts {best.fixed_usd:,.0f}, tokens {best.tokens_usd:,.0f}, "
        f"priced refusals {best.refusals_usd:,.0f}. On fresh days {_money(planned.cost)}."
    ]
    if planned.held is not None and planned.held.plan != planned.plan:
        kept = "keeps all promises" if planned.held_keeps_promises else "breaks promises"
        if planned.held.holds and not planned.held_keeps_promises:
            kept = "keeps all promises there, but not on fresh days"
        found.append(f"What is held today costs {planned.held.usd_per_month:,.0f} and {kept}.")
    proven = "Proven: no plan of these terms that keeps the promises is cheaper on these draws"
    if not planned.proven:
        proven = f"Best found: {planned.why_not_proven}"
    found.append(
        f"{proven} ({planned.simulated} of {planned.plans:,} plans simulated). At most {gaps.total:.1%} of the cost, "
        f"{gaps.controllable:.1%} of what plans decide, could be saved by other accounts."
    )
    found.append(
        f"Whatever the policies, it costs no less than {planned.fluid_bound_usd:,.0f} USD a month: fees, and the cheapest answers."
    )
    found += [
        f"With {one.loss.shown()} at the busiest hour, all promises to {one.loss.tier} hold."
        for one in planned.verified.survived if all(promise.holds for promise in one.promises)
    ]  # fmt: skip
    return [*found, *answer_sentences(planned.answers), *planned.said]


def _money(cost: Interval) -> str:
    bounds = f"{cost.low:,.0f} to {cost.high:,.0f}" if cost.trusted else f"no interval: {cost.why}"
    return f"{cost.value:,.0f} ({bounds})"

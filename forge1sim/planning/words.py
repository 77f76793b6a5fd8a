"""A plan in words."""

from forge1sim.planning.cash import MONTHS
from forge1sim.planning.commitments import CreditEnd
from forge1sim.planning.planned import Planned
from forge1sim.planning.told import answer_sentences
from forge1sim.statistics.interval import Interval


def sentences(planned: Planned) -> list[str]:
    """What it costs, how far from the best, and on what it rests."""
    best, gaps = planned.on_draws, planned.gaps
    found = [
        f"{best.usd_per_month:,.0f} USD a month: accounts {best.fixed_usd:,.0f}, tokens {best.tokens_usd:,.0f}, "
        f"{_commitments(planned)}priced refusals {best.refusals_usd:,.0f}. On fresh days {_money(planned.cost)}. "
        f"Margin {planned.margin_usd:,.0f}: contracts pay {planned.revenue_usd:,.0f}."
    ]
    found += [
        f"Commit {one.usd_per_month:,.0f} USD a month to {one.provider} ({one.name}), for {one.discount:.0%} off its tokens."
        for one in best.taken
    ]
    found += [_of_credit(one) for one in planned.answers.credits]
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


def _commitments(planned: Planned) -> str:
    return f"commitments {planned.on_draws.commitments_usd:+,.0f}, " if planned.on_draws.taken else ""


def _of_credit(one: CreditEnd) -> str:
    if one.lost_usd > 0:
        end = f"expires after {one.months:.1f} months with {one.lost_usd:,.0f} left, which is lost"
    else:
        end = f"pays {one.provider}'s tokens for {one.months:.1f} months" + ("" if one.months < MONTHS else " and more")
    return f"The credit {one.name} of {one.usd:,.0f} USD {end}."


def _money(cost: Interval) -> str:
    bounds = f"{cost.low:,.0f} to {cost.high:,.0f}" if cost.trusted else f"no interval: {cost.why}"
    return f"{cost.value:,.0f} ({bounds})"

"""Answers about dates, the meantime and what a plan rests on: ready for JSON, as tables, and in words.

A table is a mapping of column names to columns, all equally long. The command prints it, and the page shows it, as it is.
"""

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from forge1sim.planning.answers import Answers, difference_json
from forge1sim.planning.exhaustion import Exhaustion, Filled, KeptUntil
from forge1sim.planning.interim import Column, Interim
from forge1sim.planning.tornado import End, Tornado

Table = dict[str, list[Any]]
SOON = 12                           # limits that the command names, those that run out first


def exhaustion_json(one: Exhaustion) -> dict[str, Any]:
    """Ready for JSON."""
    return {
        "growth": one.growth, "looked_until": one.until,
        "limits": [
            {"account": row.account, "limit": row.limit, "held": _filled_json(one, row.held), "planned": _filled_json(one, row.planned)}
            for row in one.limits
        ],
        "promises": {"held": asdict(one.held) if one.held else None, "planned": asdict(one.planned)},
    }  # fmt: skip


def _filled_json(one: Exhaustion, filled: Filled | None) -> dict[str, Any] | None:
    if filled is None:
        return None
    return {"use_at_start": filled.use, **asdict(filled.full), "in_words": filled.full.shown(one.not_within)}


def exhaustion_table(one: Exhaustion, most: int | None = None) -> Table:
    """A row for each limit, those that run out first on top; `most` of them."""
    rows = sorted(one.limits, key=lambda row: min(_order(row.planned), _order(row.held)))[:most]
    return {
        "account": [row.account for row in rows], "limit": [row.limit for row in rows],
        "held: used at the start": [_used(row.held) for row in rows],
        "held: full": [row.held.full.shown(one.not_within) if row.held else "none held" for row in rows],
        "planned: used at the start": [_used(row.planned) for row in rows],
        "planned: full": [row.planned.full.shown(one.not_within) if row.planned else "given up" for row in rows],
    }  # fmt: skip


def _order(filled: Filled | None) -> tuple[str, float]:
    return ("9", 0.0) if filled is None else (filled.full.date or filled.full.earliest or "9", -filled.use)


def _used(filled: Filled | None) -> str:
    return f"{filled.use:.1%}" if filled else ""


def exhaustion_sentences(one: Exhaustion) -> Iterator[str]:
    """Until when promises hold, and how many limits are full by when."""
    yield f"Limits were looked at until {one.until}: {one.growth}."
    if one.held is not None:
        yield f"What is held {_kept(one.held, one.until)}."
    yield f"The plan {_kept(one.planned, one.until)}."
    full = [row for row in one.limits if row.planned and row.planned.full.date]
    later = sorted((row for row in full if row.planned and not row.planned.full.at_start), key=lambda row: _order(row.planned))
    told = f"{len(full) - len(later)} of the plan's {sum(row.planned is not None for row in one.limits)} limits are full from the start"
    if later and later[0].planned:
        told += f"; the first of the others is {later[0].limit} of {later[0].account}: {later[0].planned.full.shown(one.not_within)}"
    yield f"{told}."


def _kept(one: KeptUntil, until: str) -> str:
    broken = ", ".join(f"{name!r}" for name in one.breaks)
    if one.last is None:
        return f"does not keep all promises at the start ({broken})"
    if one.first_broken is None:
        return f"keeps all promises until {one.last}" + (", as far as was looked" if one.last >= until else "; beyond nothing is known")
    return f"keeps all promises until {one.last}, and by {one.first_broken} no more ({broken})"


def interim_json(one: Interim) -> dict[str, Any]:
    """Ready for JSON."""
    return {
        "in_force": one.in_force, "usage_tiers": [asdict(tier) for tier in one.tiers],
        "steps": [
            {"begins": step.begins, "ends": step.ends, "days": step.days, "best": _column(step.best), "nothing": _column(step.nothing)}
            for step in one.steps
        ],
        "usd": one.usd, "setup_usd": one.setup_usd, "notice_usd": one.notice_usd, "nothing_usd": one.nothing_usd,
    }  # fmt: skip


def _column(one: Column) -> dict[str, Any]:
    return asdict(one) | {"keeps_promises": one.keeps_promises, "breaks": list(one.breaks)}


def interim_table(one: Interim) -> Table:
    """Two rows for each step: what breaks least, and doing nothing."""
    rows = [(step, name, column) for step in one.steps for name, column in (("breaks least", step.best), ("do nothing", step.nothing))]
    return {
        "from": [step.begins for step, _, _ in rows], "until": [step.ends for step, _, _ in rows], "way": [name for _, name, _ in rows],
        "accounts": [column.accounts for _, _, column in rows], "usd": [column.usd for _, _, column in rows],
        "refused": [_refused(column) for _, _, column in rows],
        "breaks": ["; ".join(column.breaks) or "nothing" for _, _, column in rows],
    }  # fmt: skip


def _refused(one: Column) -> str:
    return ", ".join(f"{name} {count:,.0f}" for name, count in one.refused.items() if round(count)) or "none"


def usage_tier_table(one: Interim) -> Table:
    """A row for each usage tier that the plan counts on."""
    return {
        "account": [tier.account for tier in one.tiers], "accounts": [tier.accounts for tier in one.tiers],
        "held": ["yes" if tier.is_held else "new" for tier in one.tiers], "usage_tier": [tier.usage_tier for tier in one.tiers],
        "reached": [tier.date or "never" for tier in one.tiers],
        "paid_per_day_usd": [tier.paid_per_day_usd for tier in one.tiers], "waits for": [tier.because for tier in one.tiers],
    }  # fmt: skip


def interim_sentences(one: Interim) -> Iterator[str]:
    """When the plan is in force, what getting there costs and breaks."""
    if one.in_force is None:
        never = "; ".join(f"{tier.account} never reaches {tier.usage_tier}" for tier in one.tiers if tier.date is None)
        yield f"The plan is never in force as it is: {never}."
    if not one.steps:
        if one.in_force is not None:
            yield f"The plan is in force from {one.in_force} on: nothing has to be waited for."
        return
    if one.in_force is not None:
        yield f"Decided at the start, the plan is in force from {one.in_force} on."
    ways = ((step.best for step in one.steps), (step.nothing for step in one.steps))
    best, nothing = (_meantime(list(columns)) for columns in ways)
    yield (
        f"Until {one.steps[-1].ends}, what breaks least costs {one.usd:,.0f} USD and {best}; "
        f"doing nothing costs {one.nothing_usd:,.0f} and {nothing}."
    )


def _meantime(columns: list[Column]) -> str:
    refused = sum(sum(column.refused.values()) for column in columns)
    broken = dict.fromkeys(name for column in columns for name in column.breaks)
    breaks = f"breaks {', '.join(repr(name) for name in broken)}" if broken else "keeps all promises"
    return f"{breaks}, {refused:,.0f} requests refused"


def tornado_json(one: Tornado) -> dict[str, Any]:
    """Ready for JSON."""
    return {
        "usd_per_month": one.usd_per_month,
        "bars": [{"name": bar.name, "share": bar.share, "low": _end(bar.low), "high": _end(bar.high)} for bar in one.bars],
    }


def _end(one: End) -> dict[str, Any]:
    return {
        "factor": one.factor, "kept_usd_per_month": one.kept_usd, "kept_difference": difference_json(one.kept),
        "kept_keeps_promises": one.keeps_promises, "kept_breaks": list(one.breaks), "anew_usd_per_month": one.anew_usd, "anew": one.anew,
    }  # fmt: skip


def tornado_table(one: Tornado) -> Table:
    """Two rows for each bar."""
    rows = [(bar.name, end) for bar in one.bars for end in (bar.low, bar.high)]
    return {
        "moved": [f"{name} x {end.factor:g}" for name, end in rows], "kept_usd": [end.kept_usd for _, end in rows],
        "difference": [end.kept.shown() for _, end in rows], "kept breaks": ["; ".join(end.breaks) or "nothing" for _, end in rows],
        "anew_usd": [end.anew_usd for _, end in rows], "made anew": [end.anew for _, end in rows],
    }  # fmt: skip


def tornado_sentences(one: Tornado) -> Iterator[str]:
    """What moves the cost most, and where promises break."""
    widest = one.bars[0]
    far = f"{widest.width_usd:,.0f} USD a month"
    yield f"What moves the plan's cost most is {widest.name}: by up to {far} at {widest.share:.0%} either way."
    broken = [f"{bar.name} x {end.factor:g}" for bar in one.bars for end in (bar.low, bar.high) if not end.keeps_promises]
    named = ", ".join(broken)
    yield f"Kept as it is, the plan {f'breaks promises at {named}' if broken else 'keeps all promises at every end'}."


def answer_sentences(answers: Answers) -> Iterator[str]:
    """All of it in words."""
    if answers.exhaustion:
        yield from exhaustion_sentences(answers.exhaustion)
    if answers.interim:
        yield from interim_sentences(answers.interim)
    if answers.tornado:
        yield from tornado_sentences(answers.tornado)


def answer_tables(answers: Answers, most_limits: int | None = None) -> dict[str, Table]:
    """The tables that have rows, by name."""
    found: dict[str, Table] = {}
    if answers.exhaustion:
        found["exhaustion"] = exhaustion_table(answers.exhaustion, most_limits)
    if answers.interim:
        found["usage tiers"], found["interim"] = usage_tier_table(answers.interim), interim_table(answers.interim)
    if answers.tornado:
        found["tornado"] = tornado_table(answers.tornado)
    return {name: table for name, table in found.items() if any(table.values())}

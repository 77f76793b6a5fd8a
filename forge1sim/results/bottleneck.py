"""What was short, in words: which limit of which account, when, and whom it held up.

The facts are those of the tables `limits`, `limit_tiers` and `limit_spans` (docs/metrics.md,
"Limits"). Limits that allow the same for the same model at accounts of one provider are told of
together: a pool of four equal accounts has one bottleneck, not four.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from forge1sim.metrics.tables import Table
from forge1sim.results.read import RunFolder
from forge1sim.results.theme import clock, seconds

_MOST_GROUPS = 4
_JOIN_GAP_US = 30 * 60_000_000          # shorter breaks are not worth a word
_MOST_SPANS = 3
_LITTLE = 0.001                         # seconds waited, or requests lost, per request: below this nobody needs an explanation
_SLIGHT_WAIT_S = 0.02                   # on average: below this, and with next to nothing lost, it is told as little
# Ends that no provider limit explains, in the words of a sentence that begins with a number of requests.
_OTHER_REASONS = {
    "tenant_limit": "met their tenant's own limit",
    "tenant_budget": "found their tenant's budget spent",
    "request_budget": "were worth less to their client than any model costs",
    "not_eligible": "asked for what no account offers them",
    "too_large": "were larger than any limit lets through",
    "attempts_spent": "had no attempts left",
    "caller_fault": "were faulty",
    "preempted": "gave way to a tier with a guarantee",
}
_CAPACITY_REASONS = ("no_capacity", "reserved", "behind_others", "queue_full", "system_full", "cooling")


@dataclass(frozen=True, kw_only=True)
class ShortLimit:
    """Equal limits that were short together. `names` are rows of the table `limits`."""

    names: tuple[str, ...]
    what: str
    spans_us: tuple[tuple[int, int], ...]
    waited_s: float
    named: int
    tiers: tuple[str, ...]
    sentence: str


@dataclass(frozen=True, kw_only=True)
class Explanation:
    """`headline` answers "what was short?" in one sentence; `sentences` give the evidence, the worst first."""

    headline: str
    sentences: tuple[str, ...]
    short: tuple[ShortLimit, ...]


def explain_bottleneck(run: RunFolder) -> Explanation:
    """Which limits held requests up in this run, when and whom, and what else ended requests without an answer."""
    limits, spans, by_tier = (run.table(name) for name in ("limits", "limit_spans", "limit_tiers"))
    total_s = _waited_total_s(run.table("tiers"))
    short = _short_limits(limits, spans, by_tier, total_s)
    lost = sum(_lost_to_capacity(run).values())
    arrived = run.summary["requests"]["arrived"]
    other = (*_faults(run), *_other_ends(run))
    harmless = total_s < _LITTLE * max(1, arrived) and lost < _LITTLE * max(1, arrived)
    if harmless and not any(limit.named for limit in short):
        return Explanation(headline=_nothing_short(limits), sentences=other, short=())
    slight = total_s < _SLIGHT_WAIT_S * arrived and lost < _LITTLE * arrived
    headline = _slight_headline(short, total_s / arrived) if slight else _headline(short, limits, spans)
    evidence = (limit.sentence for limit in short[:_MOST_GROUPS])
    causes = (*_cooling(run, limits, total_s), *other)
    return Explanation(headline=headline, sentences=(*evidence, *_hit(run), *causes), short=short)


def _waited_total_s(tiers: Table) -> float:
    return float(np.nansum(tiers["served"] * np.nan_to_num(tiers["wait_mean_s"])))


def _short_limits(limits: Table, spans: Table, by_tier: Table, total_s: float) -> tuple[ShortLimit, ...]:
    """Groups of limits that held anything up, those with the most waiting time first, then the most named."""
    groups: dict[tuple[str, str, str], list[int]] = {}
    for row in np.flatnonzero((limits["waited_s"] > 0) | (limits["named"] > 0)).tolist():
        key = tuple(str(limits[column][row]) for column in ("provider", "model_class", "allows"))
        groups.setdefault((key[0], key[1], key[2]), []).append(row)
    found = [_short_limit(limits, spans, by_tier, rows, total_s) for rows in groups.values()]
    return tuple(sorted(found, key=lambda one: (-one.waited_s, -one.named)))


def _short_limit(limits: Table, spans: Table, by_tier: Table, rows: list[int], total_s: float) -> ShortLimit:
    names = tuple(str(limits["limit"][row]) for row in rows)
    mine = np.isin(spans["limit"], names)
    spans_us = merged(zip(spans["start_us"][mine].tolist(), spans["end_us"][mine].tolist(), strict=True))
    waited_s, named = float(limits["waited_s"][rows].sum()), int(limits["named"][rows].sum())
    tiers = _tiers_hit(by_tier, names)
    accounts = listed([str(limits["account"][row]) for row in rows], most=4)
    each = " each" if len(rows) > 1 else ""
    model = f"for {limits['model_class'][rows[0]]} " if limits["model_class"][rows[0]] else "for all models "
    what = f"{limits['allows'][rows[0]]} {model}at {accounts}{each}"
    when = f"full {told_spans(spans_us)}" if spans_us else "never full for long"
    parts = [f"{what}: {when}."]
    if waited_s > 0:
        share = f"{waited_s / total_s:.0%} of all waiting time ended here" if total_s else "requests waited here"
        parts.append(f"{share}, {_shares(by_tier, names, tiers)}.")
    elif named:
        parts.append(f"{named:,} requests found it full, of {listed(tiers)}.")
    return ShortLimit(
        names=names, what=what, spans_us=spans_us, waited_s=waited_s, named=named, tiers=tiers, sentence=" ".join(parts)
    )


def _tier_sums(by_tier: Table, names: tuple[str, ...], column: str) -> dict[str, float]:
    mine = np.isin(by_tier["limit"], names)
    sums: dict[str, float] = {}
    for tier, value in zip(by_tier["tier"][mine].tolist(), by_tier[column][mine].tolist(), strict=True):
        sums[tier] = sums.get(tier, 0.0) + value
    return sums


def _tiers_hit(by_tier: Table, names: tuple[str, ...]) -> tuple[str, ...]:
    """Tiers that the limits held up, the most first."""
    waited, named = _tier_sums(by_tier, names, "waited_s"), _tier_sums(by_tier, names, "named")
    return tuple(sorted(waited, key=lambda tier: (-waited[tier], -named[tier])))


def _shares(by_tier: Table, names: tuple[str, ...], tiers: tuple[str, ...]) -> str:
    """`85% of it of standard, 14% of professional`; shares under half a per cent go unsaid."""
    waited = _tier_sums(by_tier, names, "waited_s")
    total = sum(waited.values())
    shares = [(tier, waited[tier] / total) for tier in tiers if total and waited[tier] / total >= 0.005]
    return ", ".join(f"{share:.0%} {'of it ' if not place else ''}of {tier}" for place, (tier, share) in enumerate(shares))


def _slight_headline(short: tuple[ShortLimit, ...], mean_s: float) -> str:
    at = f", mostly at {short[0].what}" if short and short[0].waited_s else ""
    return f"Little was short: requests waited {seconds(mean_s)} on average{at}."


def _headline(short: tuple[ShortLimit, ...], limits: Table, spans: Table) -> str:
    if not short:
        return "Requests waited or were turned away, but no provider limit was full: see the reasons below."
    measured = np.flatnonzero(np.isfinite(limits["peak_use"]) & (limits["full_s"] > 0))
    if len(short) > _MOST_GROUPS and len(measured) > 1:
        start_us, end_us, most = busiest_span(spans, limits["limit"][measured])
        if most > 1 and 2 * most >= len(measured):
            return (
                f"The pool as a whole was too small {told_spans(((start_us, end_us),))}: "
                f"{most} limits of {len(set(limits['account'][measured].tolist()))} accounts were full at once."
            )
    first = short[0]
    return f"{'One limit was' if len(first.names) == 1 else 'Equal limits were'} short: {first.what}."


def busiest_span(spans: Table, names: NDArray[np.str_]) -> tuple[int, int, int]:
    """From when to when at least 90 % of the largest number of limits full at once were full, and that number."""
    mine = np.isin(spans["limit"], names)
    times = np.concatenate([spans["start_us"][mine], spans["end_us"][mine]])
    change = np.repeat([1, -1], mine.sum())
    order = np.lexsort((change, times))          # at one moment ends come first: touching spans do not overlap
    level = np.cumsum(change[order])
    if not len(level):
        return 0, 0, 0
    many = np.flatnonzero(level >= 0.9 * level.max())
    return int(times[order][many[0]]), int(times[order][many[-1] + 1]), int(level.max())


def merged(spans: Iterable[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    """Spans in order of time; those that overlap, or nearly follow each other, are one."""
    found: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if found and start - found[-1][1] <= _JOIN_GAP_US:
            found[-1] = (found[-1][0], max(found[-1][1], end))
        else:
            found.append((start, end))
    return tuple(found)


def told_spans(spans_us: tuple[tuple[int, int], ...]) -> str:
    """`from 2026-11-02 11:15 to 17:00 UTC`, the longest first where there are many."""
    kept = sorted(sorted(spans_us, key=lambda span: span[0] - span[1])[:_MOST_SPANS])
    told = listed([f"from {clock(start)} to {clock(end, after=start)}" for start, end in kept])
    more = f" and at {len(spans_us) - len(kept)} other times" if len(spans_us) > len(kept) else ""
    return f"{told} UTC{more}"


def listed(names: Iterable[str], most: int = 8) -> str:
    """`a, b and c`; of many the first ones and how many more."""
    unique = list(dict.fromkeys(names))
    if len(unique) > most:
        return f"{', '.join(unique[: most - 1])} and {len(unique) - most + 1} others"
    return " and ".join([", ".join(unique[:-1]), unique[-1]] if len(unique) > 1 else unique)


def _nothing_short(limits: Table) -> str:
    measured = np.flatnonzero(np.isfinite(limits["peak_use"]))
    if not len(measured):
        return "Nothing was short: no account has a limit on requests or tokens."
    row = measured[int(limits["peak_use"][measured].argmax())]
    return (
        f"Nothing was short. The fullest limit, {limits['limit'][row]} ({limits['allows'][row]}), "
        f"was used to {limits['peak_use'][row]:.0%} at its busiest."
    )


def _lost_to_capacity(run: RunFolder) -> dict[str, int]:
    """By tier, requests that expired, or were rejected because there was no room."""
    tiers, tenants = run.table("tiers"), run.table("tenants")
    lost = dict(zip(tiers["tier"].tolist(), tiers["expired"].tolist(), strict=True))
    for reason in _CAPACITY_REASONS:
        rejected = tenants.get(f"rejected_{reason}", np.zeros(len(tenants["tenant"]), np.int64))
        for tier in lost:
            lost[tier] += int(rejected[tenants["tier"] == tier].sum())
    return lost


def _hit(run: RunFolder) -> list[str]:
    """Whom the shortage hit: requests lost, and waits, by tier."""
    lost, tiers = _lost_to_capacity(run), run.table("tiers")
    waits = [
        f"{name} {seconds(float(wait))}"
        for name, wait in zip(tiers["tier"].tolist(), tiers["wait_p95_s"].tolist(), strict=True) if np.isfinite(wait)
    ]  # fmt: skip
    sentences = [f"Of answered requests 95 % waited at most: {', '.join(waits)}."] if waits else []
    if any(lost.values()):
        told = ", ".join(f"{count:,} of {tier}" for tier, count in lost.items() if count)
        sentences.insert(0, f"For want of room {sum(lost.values()):,} requests expired or were turned away: {told}.")
    return sentences


def _cooling(run: RunFolder, limits: Table, total_s: float) -> list[str]:
    """Waiting time that no limit explains."""
    rest_s = total_s - float(limits["waited_s"].sum())
    if total_s <= 0 or rest_s < 0.05 * total_s:
        return []
    return [f"{rest_s / total_s:.0%} of all waiting time ended where no limit was full: after failed attempts, or where accounts rested."]


def _faults(run: RunFolder) -> list[str]:
    """What was planned to go wrong in this run, and when."""
    marks = run.table("marks")
    rows = np.flatnonzero(marks["is_fault"]).tolist()
    told = [f"{marks['label'][row]} {told_spans(((int(marks['start_us'][row]), int(marks['end_us'][row])),))}" for row in rows]
    return [f"Planned to go wrong: {listed(told)}."] if told else []


def _other_ends(run: RunFolder) -> list[str]:
    """Ends without an answer that no provider limit explains."""
    rejections = run.summary["rejections"]
    return [f"{rejections[reason]:,} requests {words}." for reason, words in _OTHER_REASONS.items() if rejections.get(reason)]

"""What was paid for tokens, by tier and model, and what was bought for it: of simulated days, of a run's folder, of a ledger as CSV."""

import csv
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass
from itertools import starmap
from pathlib import Path
from typing import Any, TextIO

from forge1sim.errors import PlanError
from forge1sim.metrics.tables import Table

SERVED = "served"                   # the status of an attempt in a ledger that brought an answer
_COLUMNS = ("tier", "model", "status", "input_tokens", "cached_tokens", "output_tokens", "cost_nano_usd", "sent_us", "ended_us")


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """Answers by a model to a tier, their tokens (input with the cached part), what they cost, and what attempts without an answer did."""

    tier: str
    model: str
    answers: int
    input_tokens: int
    cached_tokens: int
    output_tokens: int
    answers_nano_usd: int
    unanswered_nano_usd: int


@dataclass(frozen=True, kw_only=True)
class Actual:
    """What really was spent, and over how long. `fees_nano_usd` is None where the source does not tell fees of accounts."""

    source: str
    duration_us: int
    spent: tuple[Spent, ...]
    fees_nano_usd: int | None


def added(parts: Iterable[Spent]) -> tuple[Spent, ...]:
    """Those of the same tier and model together, by name."""
    found: dict[tuple[str, str], list[int]] = {}
    for one in parts:
        tier, model, *amounts = astuple(one)
        sums = found.setdefault((tier, model), [0] * len(amounts))
        for place, amount in enumerate(amounts):
            sums[place] += amount
    return tuple(starmap(_spent, ((*name, *sums) for name, sums in sorted(found.items()))))


def _spent(tier: str, model: str, *amounts: int) -> Spent:
    answers, input_tokens, cached_tokens, output_tokens, answers_nano_usd, unanswered_nano_usd = amounts
    return Spent(
        tier=tier, model=model, answers=answers, input_tokens=input_tokens, cached_tokens=cached_tokens, output_tokens=output_tokens,
        answers_nano_usd=answers_nano_usd, unanswered_nano_usd=unanswered_nano_usd,
    )  # fmt: skip


def spent_of_flows(flows: Table) -> tuple[Spent, ...]:
    """Of the table `flows` of a run."""
    columns = ("tier", "model", "served", "input_tokens", "cached_tokens", "output_tokens", "cost_nano_usd", "unanswered_cost_nano_usd")
    rows = zip(*(flows[name].tolist() for name in columns), strict=True)
    return added(_spent(*row[:6], row[6] - row[7], row[7]) for row in rows)


def actual_of(path: Path, days: float | None = None) -> Actual:
    """Of a run's folder, or of a ledger's CSV (`forge1sim gateway ledger --csv`), which `days` tells the length of.

    Raises RunError for a folder that is no run's, PlanError for a file that is no ledger.
    """
    return _of_run(path, days) if path.is_dir() else _of_ledger(path, days)


def _of_run(folder: Path, days: float | None) -> Actual:
    from forge1sim.results.read import read_run

    run = read_run(folder)
    flows = run.table("flows")
    if "cached_tokens" not in flows:
        raise PlanError(f"{folder}: its flows do not say cached_tokens, which an older version left out; run the scenario again")
    if days is not None:
        raise PlanError(f"{folder}: a run says itself how long it was; leave --days out")
    return Actual(
        source=str(folder), duration_us=round(run.summary["simulated_s"] * 1e6), spent=spent_of_flows(flows),
        fees_nano_usd=int(run.summary["key_cost_nano_usd"]),
    )  # fmt: skip


def _of_ledger(path: Path, days: float | None) -> Actual:
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(_rows(path, file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise PlanError(f"{path}: cannot be read as CSV ({error}); give a run's folder or a ledger's CSV") from error
    if not rows:
        raise PlanError(f"{path}: has no attempts; nothing can be compared with it")
    begins_us, ends_us = min(row[0] for row in rows), max(row[1] for row in rows)
    duration_us = ends_us - begins_us if days is None else round(days * 86_400e6)
    if duration_us <= 0:
        raise PlanError(f"{path}: its attempts last {duration_us} microseconds in all; say with --days how long they were collected")
    return Actual(source=str(path), duration_us=duration_us, spent=added(row[2] for row in rows), fees_nano_usd=None)


def _rows(path: Path, file: TextIO) -> Iterator[tuple[int, int, Spent]]:
    """When each attempt was sent and ended, and what it came to."""
    reader = csv.DictReader(file)
    missing = [name for name in _COLUMNS if name not in (reader.fieldnames or ())]
    if missing:
        raise PlanError(f"{path}: lacks the columns {', '.join(missing)} of a ledger (forge1sim gateway ledger --csv)")
    for row in reader:
        yield _attempt(path, reader.line_num, row)


def _attempt(path: Path, line: int, row: Mapping[str, Any]) -> tuple[int, int, Spent]:
    try:
        tokens = [int(row[name]) for name in ("input_tokens", "cached_tokens", "output_tokens")]
        cost, sent_us, ended_us = (int(row[name]) for name in ("cost_nano_usd", "sent_us", "ended_us"))
    except (TypeError, ValueError) as error:
        raise PlanError(f"{path}:{line}: {error}; tokens, cost_nano_usd, sent_us and ended_us are whole numbers") from error
    if min(*tokens, cost) < 0 or tokens[1] > tokens[0]:
        raise PlanError(f"{path}:{line}: tokens {tokens} and cost_nano_usd {cost} must be 0 or more, cached_tokens part of input_tokens")
    served = row["status"] == SERVED
    amounts: Sequence[int] = [1, *tokens, cost, 0] if served else [0, 0, 0, 0, 0, cost]
    return sent_us, ended_us, _spent(str(row["tier"]), str(row["model"]), *amounts)

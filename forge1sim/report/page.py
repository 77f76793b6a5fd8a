"""Parts of the page as HTML. Every text from outside goes through `text`; nothing else is trusted."""

import html
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from forge1sim.metrics.tables import Table
from forge1sim.results.bottleneck import Explanation
from forge1sim.results.cards import Card, Promise
from forge1sim.results.theme import colour

if TYPE_CHECKING:
    import plotly.graph_objects as go

_MOST_ROWS = 200
_MOMENTS = ("start_us", "end_us")
_POLICY = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:"


def text(value: object) -> str:
    """Any value as HTML text or attribute."""
    printable = "".join(letter if letter.isprintable() or letter == "\n" else " " for letter in str(value))
    return html.escape(printable)


def script_json(value: str) -> str:
    """JSON that may stand inside a script element: nothing in it can end the element."""
    return value.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e").replace("\u2028", "\\u2028")


def number(value: Any) -> str:
    """A cell: whole numbers with separators, others with four digits that matter, a dash for nothing."""
    if value is None or (isinstance(value, float) and not np.isfinite(value)):
        return "\u2013"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:,.0f}" if abs(value) >= 10_000 else f"{value:,.4g}" if isinstance(value, float) else text(value)


def table(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A table; numbers stand to the right. Cells that are `Markup` are HTML already."""
    listed = list(rows)
    numeric = [
        any(isinstance(row[place], int | float) for row in listed)
        and all(row[place] is None or isinstance(row[place], int | float) for row in listed)
        for place in range(len(columns))
    ]
    marks = [' class="n"' if right else "" for right in numeric]
    head = "".join(f"<th{mark}>{text(name)}</th>" for mark, name in zip(marks, columns, strict=True))
    body = "".join(
        "<tr>" + "".join(f"<td{mark}>{_cell(value)}</td>" for mark, value in zip(marks, row, strict=True)) + "</tr>"
        for row in listed
    )
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


class Markup(str):
    """HTML made here, not to be escaped again."""


def _cell(value: Any) -> str:
    if isinstance(value, Markup):
        return value
    return number(value) if value is None or isinstance(value, int | float) else text(value)


def details(title: str, content: Table) -> str:
    """The table behind a figure, folded away; at most 200 rows are shown, and it says so."""
    names = list(content)
    length = len(content[names[0]]) if names else 0
    lists = [_readable(name, content[name][:_MOST_ROWS]) for name in names]
    names = [name.replace("_us", " (UTC)") if name in _MOMENTS else name for name in names]
    more = f" (first {_MOST_ROWS} of {length:,} rows; all are in the run folder)" if length > _MOST_ROWS else ""
    rows = zip(*lists, strict=True)
    return f"<details><summary>{text(title)}{more}</summary>{table(names, rows)}</details>"


def _readable(name: str, values: NDArray[Any]) -> list[Any]:
    """Cells of a column; moments as date and time."""
    if name not in _MOMENTS:
        return list(values.tolist())
    return [str(moment).replace("T", " ") for moment in values.astype("datetime64[us]").astype("datetime64[s]")]


def section(number_: int, title: str, shown: "tuple[go.Figure, str]", twin: Table) -> str:
    """A figure with its finding above and its table below."""
    made, sentence = shown
    data = script_json(str(made.to_json()))
    return (
        f"<section><h2>{text(title)}</h2><p>{text(sentence)}</p>"
        f'<div class="figure" data-figure="figure-{number_}" role="img" aria-label="{text(sentence)}"></div>'
        f'<script type="application/json" id="figure-{number_}">{data}</script>'
        f"{details('The figures as a table', twin)}</section>"
    )


def verdict_word(met: bool) -> Markup:
    """PASS or FAIL, as a word and in colour."""
    return Markup('<span class="pass">PASS</span>' if met else '<span class="fail">FAIL</span>')


def slo_table(promises: Sequence[Promise]) -> str:
    """What was promised, what was seen, and whether it held."""
    if not promises:
        return "<p>The scenario makes no promises (slos).</p>"
    rows = [(verdict_word(one.met), one.name, one.tier, one.measure, one.target, one.seen) for one in promises]
    return table(("result", "promise", "tier", "measure", "target", "seen"), rows)


def cards(shown: Sequence[Card]) -> str:
    """One card for each tier: share served, waits, quality, money, and its promises."""
    parts = []
    for row, card in enumerate(shown):
        kept = sum(promise.met for promise in card.promises)
        count = len(card.promises)
        promises = f"{verdict_word(kept == count)} {kept} of {count} SLOs" if count else "no SLO of its own"
        listed = "".join(f"<dt>{text(term)}</dt><dd>{text(value)}</dd>" for term, value in card.facts)
        parts.append(
            f'<div class="card" style="border-top-color:{colour(row)}"><h3>{text(card.tier)}</h3>'
            f'<div class="big">{text(card.served)}</div><div class="soft">served &middot; {promises}</div><dl>{listed}</dl></div>'
        )
    return f'<div class="cards">{"".join(parts)}</div>'


def bottleneck(explanation: Explanation) -> str:
    """What was short: the headline, and the evidence as a list."""
    evidence = "".join(f"<li>{text(sentence)}</li>" for sentence in explanation.sentences)
    return f"<p><strong>{text(explanation.headline)}</strong></p><ul>{evidence}</ul>"


def assumptions(figures: Sequence[Mapping[str, Any]]) -> str:
    """The catalogue figures of the grade `assumption` that the run rests on."""
    if not figures:
        return "<p>None: every catalogue figure used has a source.</p>"
    rows = [[figure.get(key, "") for key in ("subject", "field", "value", "note", "source")] for figure in figures]
    return (
        "<p>These catalogue figures are assumptions, not published facts. Check those that matter to you.</p>"
        + table(("subject", "field", "value", "note", "source"), [[str(cell) for cell in row] for row in rows])
    )


def page(title: str, body: str, script: str, style: str, plotly_js: str) -> str:
    """The whole file. Its content policy forbids the browser to fetch anything."""
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{text(title)}</title><style>{style}</style></head><body><main>{body}</main>"
        f"<script>{plotly_js}</script><script>{script}</script></body></html>\n"
    )


def facts_json(value: Any) -> str:
    """A value as readable JSON text for a `pre`."""
    return text(json.dumps(value, indent=1, ensure_ascii=False))

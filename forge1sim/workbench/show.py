"""How pages show text, tables and figures: the same way everywhere."""

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import streamlit as st

from forge1sim.metrics.tables import Table
from forge1sim.report.export import csv_bytes, file_name, png_button
from forge1sim.results.figures import FigureOf, Shown, figures_of
from forge1sim.results.read import RunFolder, read_run
from forge1sim.results.readable import readable
from forge1sim.results.theme import inked

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go

MOST_ROWS = 2000
VERDICTS = {"better": "\u25b2 better", "worse": "\u25bc worse", "same": "= same", "unclear": "? unclear"}
_VERDICT_STYLES = {"better": "color: #2b7fd4; font-weight: 600", "worse": "color: #dd6b20; font-weight: 600"}
_SCREENS = Path(__file__).parent / "screens"
_MARKDOWN = re.compile(r"([\\`*_{}\[\]()#+\-.!|<>$~:&])")
_ADDRESS = re.compile(r"https?(?=:)|ftp(?=:)|www(?=\.)|.(?=@)", re.IGNORECASE)     # an unseen mark after it keeps it from being a link
_FEW_DIGITS = "%.4g"


def words(text: object) -> str:
    """Text from outside for a place that takes Markdown: nothing in it is a link, a formula or a picture."""
    return _MARKDOWN.sub(r"\\\1", _ADDRESS.sub("\\g<0>\u2060", str(text)))


def trouble(error: Exception) -> None:
    """One message that says what is wrong; problems stand below each other."""
    st.error(words(error).replace("\n", "  \n"), icon=":material/error:")


@st.cache_resource(max_entries=16, show_spinner="Reading the results")
def results_in(folder: str) -> RunFolder:
    """The results in a run's folder, which never change. Raises RunError."""
    return read_run(Path(folder))


@st.cache_resource(max_entries=200, show_spinner=False)
def _drawn(folder: str, name: str) -> Shown:
    run = results_in(folder)
    return next(one for one in figures_of(run) if one.name == name).draw(run)


def frame(table: Table) -> "pd.DataFrame":
    """A table with headings in words, as the widgets take it."""
    import pandas as pd  # noqa: PLC0415

    return pd.DataFrame(readable(table))


def column_formats(shown: "pd.DataFrame") -> dict[str, Any]:
    """How the columns of `frame` are written: thousands set apart, few digits, no year where none is needed."""
    formats: dict[str, Any] = {}
    for name, column in shown.items():
        heading = str(name)
        if column.dtype.kind == "M":
            formats[heading] = st.column_config.DatetimeColumn(format="YYYY-MM-DD HH:mm:ss", timezone="UTC")
        elif column.dtype.kind in "iu":
            formats[heading] = st.column_config.NumberColumn(format="localized")
        elif column.dtype.kind == "f":
            formats[heading] = st.column_config.NumberColumn(format="dollar" if heading.endswith("($)") else _FEW_DIGITS)
    return formats


def table(content: Table, *, alt: str, key: str | None = None, **options: Any) -> Any:
    """A table that can be sorted and searched; `alt` names it for screen readers."""
    shown = frame(content)
    return st.dataframe(shown, key=key, hide_index=True, alt=alt, column_config=column_formats(shown), **options)


def kept_table(columns: Mapping[str, Sequence[Any]], *, alt: str) -> None:
    """A table that an answer holds as columns; None is an empty cell."""
    import pandas as pd  # noqa: PLC0415

    table({name: pd.Series(list(column)).to_numpy() for name, column in columns.items()}, alt=alt)


def judged(columns: Mapping[str, Sequence[str]]) -> Any:
    """Cells that begin with a word of VERDICTS in its colour, as `st.dataframe` takes them."""
    import pandas as pd  # noqa: PLC0415

    styles = {word: _VERDICT_STYLES.get(verdict, "") for verdict, word in VERDICTS.items()}
    return pd.DataFrame(columns).style.map(lambda cell: next((style for word, style in styles.items() if cell.startswith(word)), ""))


def figure(made: "go.Figure", sentence: str, *, key: str, save_as: str = "figure") -> None:
    """A figure under its sentence, which is also its name for screen readers."""
    st.markdown(words(sentence))
    st.plotly_chart(inked(made, st.context.theme.type), key=key, alt=sentence, theme=None, config=png_button(save_as), width="stretch")


def kept_figure(kept: Mapping[str, Any], *, key: str) -> None:
    """A figure that an answer holds: `figure`, as Plotly's JSON, and its `sentence`."""
    import plotly.io  # noqa: PLC0415

    figure(plotly.io.from_json(kept["figure"]), kept["sentence"], key=key, save_as=key)


def run_figure(run: RunFolder, one: FigureOf) -> None:
    """A figure of a run with its title, and its table with a download folded away below it."""
    st.subheader(one.title, anchor=one.name)
    made, sentence = _drawn(str(run.folder), one.name)
    figure(made, sentence, key=f"figure-{one.name}", save_as=file_name(run, one.name))
    twin = st.expander("The figures as a table", key=f"twin-{one.name}", on_change="rerun")
    if twin.open:
        with twin:
            _twin(run, one)


def first_rows(content: Table, *, alt: str) -> None:
    """The first rows of a table, and how many more its file has."""
    rows = len(next(iter(content.values()), ()))
    table({name: column[:MOST_ROWS] for name, column in content.items()}, alt=alt)
    if rows > MOST_ROWS:
        st.caption(f"The first {MOST_ROWS:,} of {rows:,} rows are shown; the file has all of them.")


def _twin(run: RunFolder, one: FigureOf) -> None:
    first_rows(one.twin(run), alt=f"Table of: {one.title}")
    download("CSV", lambda: csv_bytes(one.twin(run)), f"{file_name(run, one.name)}.csv", "text/csv", key=f"csv-{one.name}")


def download(title: str, make: Callable[[], bytes], name: str, mime: str, *, key: str, help_text: str | None = None) -> None:
    """A button that saves a file, which is made when it is asked for."""
    st.download_button(
        title, data=make, file_name=name, mime=mime, key=key, help=help_text, on_click="ignore", icon=":material/download:"
    )


def link(label: str, page: str, icon: str | None = None, **address: str) -> None:
    """A link to another page of the app, such as `link("All tenants", "results", run=run_id)`."""
    st.page_link(_SCREENS / f"{page}.py", label=label, icon=icon, query_params=address)


def command(text: str) -> None:
    """The command that makes what is on the screen again."""
    st.caption("The same from the command line:")
    st.code(text, language="bash", wrap_lines=True)


def pairs(rows: Sequence[tuple[str, str]]) -> None:
    """Titles with texts, one below the other."""
    lines = {"title": [words(title) for title, _ in rows], "text": [words(text) for _, text in rows]}
    st.table(lines, hide_index=True, hide_header=True, border="horizontal")


def mark(good: bool | None, text: str) -> None:
    """A word in green or red with a tick or a cross; grey where there is nothing to judge."""
    colour: Literal["green", "red", "gray"] = "gray" if good is None else "green" if good else "red"
    icon = None if good is None else ":material/check:" if good else ":material/close:"
    st.badge(words(text), color=colour, icon=icon)

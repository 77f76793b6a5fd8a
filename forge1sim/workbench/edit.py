"""Tables of a document that people edit in place."""

from collections.abc import Collection
from typing import Any

import streamlit as st

from forge1sim.runs import forms

_CELLS = {"number": "Float64", "whole": "Int64", "flag": "boolean"}


def table_editor(
    base: forms.Document, document: forms.Document, table: forms.FormTable, *, key: str, given: Collection[str] = ()
) -> forms.Document:
    """The document with a table's rows, which were filled from `base`, as edited. Rows can be added at its end and removed,
    but not where some fields are `given`: these cannot be changed."""
    import pandas as pd  # noqa: PLC0415

    cells = forms.rows_of(base, table)
    columns = {field.path: ([row[field.path] for row in cells], _CELLS.get(field.kind, "object")) for field in table.fields}
    before = pd.DataFrame({name: pd.Series(values, dtype=kind) for name, (values, kind) in columns.items()})
    after = st.data_editor(
        before, key=key, num_rows="fixed" if given else "dynamic", hide_index=True, placeholder="",
        alt=f"{table.title} of the scenario", disabled=list(given),
        column_config={field.path: _column_of(field) for field in table.fields},
    )  # fmt: skip
    rows: list[tuple[int, dict[str, Any]]] = []
    removed = st.session_state[key]["deleted_rows"]      # a row added after the last was removed is given its number
    for number, row in zip(after.index, after.to_dict("records"), strict=True):
        is_old = isinstance(number, int) and number < len(before) and number not in removed
        rows.append((number if is_old else forms.NEW, {str(name): None if pd.isna(cell) else cell for name, cell in row.items()}))
    return forms.with_rows(document, table, rows)


def _column_of(field: forms.Field) -> Any:
    """How a field is edited in a table."""
    if field.kind == "choice":
        return st.column_config.SelectboxColumn(field.title, options=list(field.choices))
    if field.kind == "flag":
        return st.column_config.CheckboxColumn(field.title)
    if field.kind in ("number", "whole"):
        return st.column_config.NumberColumn(field.title, format="%d" if field.kind == "whole" else None)
    return st.column_config.TextColumn(field.title)

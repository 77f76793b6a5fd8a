"""Tables in batches, CSV or Parquet, and their columns as checked whole numbers.

Every complaint names file, row (data rows from 1), column and value.
"""

import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from forge1sim.errors import TraceError
from forge1sim.workload.files import TraceFile
from forge1sim.workload.spec import ROWS_MAX, TOKENS_MAX

if TYPE_CHECKING:
    import pandas as pd

BATCH_ROWS = 65_536
SECONDS_MAX = 1e10


class Batch:
    """Some rows of a table, beginning with data row `first_row` (from 1)."""

    def __init__(self, file: TraceFile, frame: "pd.DataFrame", first_row: int) -> None:
        self._name, self._frame, self.first_row = file.name, frame, first_row

    def __len__(self) -> int:
        return len(self._frame)

    def __contains__(self, column: str) -> bool:
        return column in self._frame.columns

    def tokens(self, column: str) -> NDArray[np.int64]:
        """Whole numbers in [0, TOKENS_MAX]."""
        values = self.numbers(column)
        self.refuse((values != np.floor(values)) | (values < 0), column, "must be a whole number of tokens, 0 or more")
        self.refuse(values > TOKENS_MAX, column, f"is more than {TOKENS_MAX:,} tokens")
        return values.astype(np.int64)

    def ratios(self, column: str) -> NDArray[np.float64]:
        """Numbers between 0 and 1."""
        values = self.numbers(column)
        self.refuse((values < 0) | (values > 1), column, "must be between 0 and 1")
        return values

    def seconds_us(self, column: str) -> NDArray[np.int64]:
        """Seconds as whole microseconds."""
        values = self.numbers(column)
        self.refuse(np.abs(values) > SECONDS_MAX, column, f"must be seconds, at most {SECONDS_MAX:.0e}")
        return np.asarray(np.rint(values * 1e6), np.int64)

    def stamps_us(self, column: str) -> NDArray[np.int64]:
        """Dates and times as microseconds since the epoch; without an offset they count as UTC."""
        import pandas as pd  # noqa: PLC0415  (slow to import)

        times = pd.to_datetime(self._frame[column], format="ISO8601", utc=True, errors="coerce")
        right = "must be a date and time such as 2024-05-10 00:00:00.01 or 2024-05-10T00:00:00Z"
        self.refuse(times.isna().to_numpy(), column, right)
        return np.asarray(times.dt.as_unit("us").astype("int64").to_numpy(), np.int64)

    def labels(self, column: str) -> list[str]:
        """Texts, never empty."""
        texts = self._frame[column]
        self.refuse((texts.isna() | (texts.astype(str) == "")).to_numpy(np.bool_), column, "must not be empty")
        return texts.astype(str).tolist()

    def numbers(self, column: str) -> NDArray[np.float64]:
        """Finite numbers."""
        import pandas as pd  # noqa: PLC0415  (slow to import)

        series = self._frame[column]
        if series.dtype.kind not in "iuf":
            series = pd.to_numeric(series.astype(str), errors="coerce")
        values = series.to_numpy(np.float64, na_value=np.nan)
        self.refuse(~np.isfinite(values), column, "must be a number")
        return values

    def refuse(self, wrong: NDArray[np.bool_], column: str, right: str) -> None:
        """Raise TraceError for the first row that is `wrong`, saying what would be `right`."""
        if wrong.any():
            at = int(wrong.argmax())
            value = self._frame[column].iloc[at]
            raise TraceError(f"{self._name}: row {self.first_row + at}, column {column!r}: {value!s:.60} {right}")


def read_table(
    file: TraceFile, columns: tuple[str, ...], texts: tuple[str, ...] = (), limit_rows: int | None = None
) -> Iterator[Batch]:
    """Batches of a CSV or Parquet file that must have these columns; `texts` are never read as numbers.

    Raises TraceError if it is malformed, lacks a column, is empty or exceeds a bound.
    """
    first_row = 1
    frames = _parquet_frames(file, columns + texts) if file.is_parquet else _csv_frames(file, columns + texts, texts)
    for frame in frames:
        left = len(frame) if limit_rows is None else limit_rows - first_row + 1
        if left <= 0:
            break
        if len(frame):
            yield Batch(file, frame.iloc[:left], first_row)
            first_row += len(frame)
        if first_row > ROWS_MAX:
            raise TraceError(f"{file.name}: has more than {ROWS_MAX:,} rows; set limit_rows")
    if first_row == 1:
        raise TraceError(f"{file.name}: has a header but no rows; a trace needs at least one")


def _csv_frames(file: TraceFile, columns: tuple[str, ...], texts: tuple[str, ...]) -> Iterator["pd.DataFrame"]:
    import pandas as pd  # noqa: PLC0415  (slow to import)

    with file.open() as stream:
        try:
            options: dict[str, Any] = {"encoding": "utf-8-sig", "keep_default_na": False, "low_memory": False}
            reader = pd.read_csv(
                stream, chunksize=BATCH_ROWS, index_col=False, dtype=dict.fromkeys(texts, str), **options
            )
            while True:
                with warnings.catch_warnings():
                    # Rows longer than the header would lose their last fields with a mere warning.
                    warnings.simplefilter("error", pd.errors.ParserWarning)
                    frame = next(reader, None)
                if frame is None:
                    break
                _require(file, columns, frame.columns.tolist())
                yield frame
        except UnicodeDecodeError as error:
            raise TraceError(f"{file.name}: not UTF-8 ({error.reason}); save it as UTF-8") from error
        except (pd.errors.ParserWarning, ValueError, OverflowError) as error:
            raise stream.failure or TraceError(f"{file.name}: is no CSV table: {error}") from error


def _parquet_frames(file: TraceFile, columns: tuple[str, ...]) -> Iterator["pd.DataFrame"]:
    import pyarrow as pa  # noqa: PLC0415  (slow to import)
    import pyarrow.parquet as pq  # noqa: PLC0415

    try:
        with pq.ParquetFile(file.path) as table:
            _require(file, columns, table.schema_arrow.names)
            groups = [table.metadata.row_group(at) for at in range(table.metadata.num_row_groups)]
            if sum(group.total_byte_size for group in groups) > file.max_bytes:
                raise TraceError(f"{file.name}: is larger than {file.max_bytes:,} bytes decompressed; raise max_gib")
            for batch in table.iter_batches(BATCH_ROWS, columns=list(columns)):
                yield batch.to_pandas()
    except (pa.ArrowException, OSError) as error:
        raise TraceError(f"{file.name}: is no readable Parquet file ({error})") from error


def _require(file: TraceFile, columns: tuple[str, ...], found: list[str]) -> None:
    for column in columns:
        if column not in found:
            names = ", ".join(map(str, found[:30]))
            raise TraceError(f"{file.name}: has no column {column!r}; its columns are {names:.500}")

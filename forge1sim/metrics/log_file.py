"""The event log as Parquet: columns as in `policies.log.ROW`, row group by row group."""

import os
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from forge1sim.errors import RunError
from policies.log import ROW, SCHEMA_VERSION

LOG = "log.parquet"
GROUP_ROWS = 262_144
_VERSION_KEY = b"forge1sim_log_schema_version"


def _schema() -> Any:
    import pyarrow as pa  # noqa: PLC0415

    names = ROW.names or ()
    fields = [pa.field(name, pa.from_numpy_dtype(ROW[name]), nullable=False) for name in names]
    return pa.schema(fields, metadata={_VERSION_KEY: str(SCHEMA_VERSION).encode()})


class LogWriter:
    """Writes rows as they come to `log.parquet` in a folder; the file appears there when the writer is closed well.

    Use it as a context manager: an exception inside leaves no file.
    """

    def __init__(self, folder: Path) -> None:
        import pyarrow.parquet as pq  # noqa: PLC0415

        folder.mkdir(parents=True, exist_ok=True)
        path = folder / LOG
        self._path = path
        self._unfinished = path.with_name(f".{path.name}.unfinished")
        self._writer = pq.ParquetWriter(self._unfinished, _schema(), compression="zstd")
        self._waiting: list[NDArray[np.void]] = []
        self._waiting_rows = 0

    def write(self, rows: NDArray[np.void]) -> None:
        """Append rows of dtype `policies.log.ROW`; they are copied, so the caller may reuse them."""
        if rows.dtype != ROW:
            raise RunError(f"log rows have dtype {rows.dtype}, must be policies.log.ROW")
        self._waiting.append(rows.copy())
        self._waiting_rows += rows.size
        if self._waiting_rows >= GROUP_ROWS:
            self._write_group()

    def _write_group(self) -> None:
        import pyarrow as pa  # noqa: PLC0415

        if self._waiting_rows:
            rows = np.concatenate(self._waiting)
            columns = [pa.array(np.ascontiguousarray(rows[name])) for name in rows.dtype.names or ()]
            self._writer.write_table(pa.Table.from_arrays(columns, schema=_schema()))
        self._waiting, self._waiting_rows = [], 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._write_group()
            self._writer.close()
            if kind is None:
                os.replace(self._unfinished, self._path)
        finally:
            self._unfinished.unlink(missing_ok=True)


def read_log(path: Path) -> Iterator[NDArray[np.void]]:
    """Chunks of log rows, dtype `policies.log.ROW`, in the order in which they were written.

    Raises RunError if the file is missing, is no event log, or has another schema version.
    """
    import pyarrow as pa  # noqa: PLC0415
    import pyarrow.parquet as pq  # noqa: PLC0415

    try:
        with pq.ParquetFile(path) as file:
            _check(path, file.schema_arrow)
            for group in range(file.num_row_groups):
                table = file.read_row_group(group)
                rows = np.zeros(table.num_rows, ROW)
                for name in ROW.names or ():
                    rows[name] = table[name].to_numpy()
                yield rows
    except (OSError, pa.ArrowException) as error:
        raise RunError(f"{path}: cannot be read as an event log: {error}") from error


def _check(path: Path, found: Any) -> None:
    version = (found.metadata or {}).get(_VERSION_KEY, b"").decode(errors="replace")
    if not version:
        raise RunError(f"{path}: is no event log of forge1sim (run --out DIR --log writes one)")
    if version != str(SCHEMA_VERSION):
        raise RunError(
            f"{path}: log schema version {version}, this program reads {SCHEMA_VERSION}; run the scenario again"
        )
    if not found.equals(_schema()):
        raise RunError(f"{path}: columns are {found.names}, must be {list(ROW.names or ())}")

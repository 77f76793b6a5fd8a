"""Work beside the simulation, on a second core: requests are described one chunk ahead, rows are read one slice behind.

Order and results are those of doing everything in turn. Compiled code that takes long lets other
threads run meanwhile (`policies.compile.unlocked`).
"""

from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.void]


def ahead(chunks: Iterator[Rows]) -> Generator[Rows]:
    """The same chunks, each made while the one before is in use. What making one raises is raised here."""
    with ThreadPoolExecutor(1) as thread:
        coming = thread.submit(next, chunks, None)
        while (chunk := coming.result()) is not None:
            coming = thread.submit(next, chunks, None)
            yield chunk


class Behind:
    """Hands rows to `sink` on a thread of its own; at the end of the block all have been handed over.

    Rows are copied, so that the caller may use their place again. What the sink raises is raised by
    the next call, or at the end.
    """

    def __init__(self, sink: Callable[[Rows], None]) -> None:
        self._sink = sink
        self._thread = ThreadPoolExecutor(1)
        self._last: Future[None] | None = None
        self._bytes = np.empty(0, np.uint8)

    def __call__(self, rows: Rows) -> None:
        """Take the next rows."""
        self._catch_up()
        taken = rows.view(np.uint8)
        if self._bytes.size < taken.size:
            self._bytes = np.empty(taken.size, np.uint8)
        copied = self._bytes[: taken.size]
        copied[:] = taken
        self._last = self._thread.submit(self._sink, copied.view(rows.dtype))

    def _catch_up(self) -> None:
        last, self._last = self._last, None
        if last is not None:
            last.result()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._thread.shutdown()
        if error is None:
            self._catch_up()

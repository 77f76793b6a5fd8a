"""Trace files: found only inside allowed folders, opened plain or gzip, and bounded in size."""

import gzip
import io
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

from forge1sim.errors import TraceError

LINE_BYTES_MAX = 16 * 2**20
_GZIP_MAGIC, _PARQUET_MAGIC = b"\x1f\x8b", b"PAR1"
_WIDE_MARKS = (b"\xff\xfe", b"\xfe\xff")


def resolve(path: str, folders: tuple[Path, ...]) -> Path:
    """The file that `path` names, relative to the first folder; it must lie inside one of them.

    Symbolic links are followed first. Raises TraceError if it lies outside, is missing or is no file.
    """
    if not folders:
        raise TraceError(f"{path}: no folder is allowed to read traces from")
    try:
        real = (folders[0] / path).resolve()
        inside = any(real.is_relative_to(folder.resolve()) for folder in folders)
        is_file = inside and real.is_file()
    except (OSError, ValueError, RuntimeError) as error:
        raise TraceError(f"{path}: this is no usable path ({error})") from error
    if not inside:
        raise TraceError(f"{path}: lies outside the scenario's folder and the other folders allowed; move the file there")
    if not is_file:
        raise TraceError(f"{path}: there is no such file in {folders[0]}; give a path relative to the scenario")
    return real


class TraceFile:
    """A trace on disk. `max_bytes` bounds its decompressed size; messages call it by `name`."""

    def __init__(self, path: Path, max_bytes: int) -> None:
        self.path, self.name, self.max_bytes = path, path.name, max_bytes

    @property
    def is_parquet(self) -> bool:
        """Whether it starts as a Parquet file does."""
        return self._starts_with(4) == _PARQUET_MAGIC

    def _starts_with(self, size: int) -> bytes:
        try:
            with self.path.open("rb") as file:
                return file.read(size)
        except OSError as error:
            raise TraceError(f"{self.name}: cannot be read ({error.strerror})") from error

    def open(self) -> "BoundedStream":
        """Its decompressed bytes. Raises TraceError, also later while reading."""
        start = self._starts_with(2)
        if start in _WIDE_MARKS:
            raise TraceError(f"{self.name}: is UTF-16; save it as UTF-8")
        raw = self.path.open("rb")
        return BoundedStream(gzip.GzipFile(fileobj=raw) if start == _GZIP_MAGIC else raw, raw, self.name, self.max_bytes)

    def lines(self) -> Iterator[tuple[int, str]]:
        """Lines of text with their number from 1; blank lines are left out."""
        with self.open() as stream:
            text = io.TextIOWrapper(io.BufferedReader(stream), encoding="utf-8-sig")
            number = 0
            try:
                for number, line in enumerate(text, 1):
                    if line.strip():
                        yield number, line
            except UnicodeDecodeError as error:
                raise TraceError(f"{self.name}: after line {number}: not UTF-8 ({error.reason}); save it as UTF-8") from error


class BoundedStream(io.RawIOBase):
    """Reads until more than `max_bytes` came or a line has no end; then raises TraceError.

    `failure` keeps what was raised, for callers behind libraries that hide it.
    """

    def __init__(self, source: Any, raw: io.BufferedReader, name: str, max_bytes: int) -> None:
        self._source, self._raw, self._name, self._max_bytes = source, raw, name, max_bytes
        self._read_bytes = self._line_bytes = 0
        self.failure: TraceError | None = None

    def readable(self) -> bool:
        """Always."""
        return True

    def readinto(self, buffer: Any, /) -> int:
        """Fill `buffer`; 0 at the end."""
        view = memoryview(buffer).cast("B")
        try:
            data = cast(bytes, self._source.read(len(view)))
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise self._failed(f"the gzip file is damaged or cut short ({error}); fetch it again") from error
        except OSError as error:
            raise self._failed(f"cannot be read ({error})") from error
        self._read_bytes += len(data)
        if self._read_bytes > self._max_bytes:
            raise self._failed(f"is larger than {self._max_bytes:,} bytes decompressed; raise max_gib if you trust it")
        newline = data.rfind(b"\n")
        self._line_bytes = self._line_bytes + len(data) if newline < 0 else len(data) - newline
        if self._line_bytes > LINE_BYTES_MAX:
            raise self._failed(f"has a line of more than {LINE_BYTES_MAX:,} bytes; this is no table of requests")
        view[: len(data)] = data
        return len(data)

    def _failed(self, why: str) -> TraceError:
        self.failure = TraceError(f"{self._name}: {why}")
        return self.failure

    def close(self) -> None:
        """Close the file too."""
        self._source.close()
        self._raw.close()
        super().close()

"""Bodies of calls, read so that single fields of theirs can be changed and every other byte stays as it came."""

import json
import math
import re
from collections.abc import Mapping
from typing import Any

from live_adapter.errors import LiveError

_SPACE = re.compile(r"[ \t\n\r]*")


class CallError(LiveError):
    """A call that no provider would take: says which field is wrong, and what would be right."""


class Body:
    """A JSON object: its fields, and where their values stand in the text."""

    __slots__ = ("_places", "fields", "raw")

    def __init__(self, raw: bytes) -> None:
        """Raises CallError for what is no JSON object of RFC 8259 in UTF-8, and for a field that is given twice.

        Of two fields of one name, which one counts differs between readers: the provider would obey another than the one that was
        checked and paid for.
        """
        self.raw = raw
        self.fields: dict[str, Any] = {}
        self._places: dict[str, tuple[int, int]] = {}
        try:
            self._read(raw.decode())
        except UnicodeDecodeError:
            raise CallError("the body is not UTF-8") from None
        except (ValueError, RecursionError, IndexError):
            raise CallError("the body is not valid JSON") from None

    def changed(self, changes: Mapping[str, Any]) -> bytes:
        """The body with these fields set, all else byte for byte."""
        if not changes:
            return self.raw
        text, at, parts = self.raw.decode(), 0, []
        for name, (begin, end) in self._places.items():
            if name in changes:
                parts += [text[at:begin], _written(changes[name])]
                at = end
        added = [f"{_written(name)}:{_written(value)}" for name, value in changes.items() if name not in self._places]
        whole = "".join(parts) + text[at:]
        if added:
            open_at = whole.index("{") + 1
            whole = whole[:open_at] + ",".join(added) + ("," if self._places else "") + whole[open_at:]
        return whole.encode()

    def _read(self, text: str) -> None:
        at = _past_space(text, 0)
        if text[at] != "{":
            _DECODER.decode(text)
            raise CallError("the body must be a JSON object")
        at, ended = _past_space(text, at + 1), False
        if text[at] == "}":
            at, ended = at + 1, True
        while not ended:
            name, at = _DECODER.raw_decode(text, at)
            at = _past_space(text, at)
            if not isinstance(name, str) or text[at] != ":":
                raise ValueError
            if name in self.fields:
                raise CallError(f"{name[:80]!r} is given twice, must be given once")
            begin = _past_space(text, at + 1)
            self.fields[name], end = _DECODER.raw_decode(text, begin)
            self._places[name] = (begin, end)
            at = _past_space(text, end)
            if text[at] not in ",}":
                raise ValueError
            ended, at = text[at] == "}", _past_space(text, at + 1)
        if _past_space(text, at) != len(text):
            raise ValueError


def _past_space(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return found.end() if found is not None else at


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError
    return value


def _refuse(text: str) -> float:
    raise ValueError(text)


def _written(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), allow_nan=False)


# Not NaN and Infinity, which Python takes and JSON does not have.
_DECODER = json.JSONDecoder(parse_constant=_refuse, parse_float=_finite)

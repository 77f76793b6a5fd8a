"""An answer on its way from a provider to a client: as it is where both speak one protocol, else translated."""

import json
from functools import cached_property

from live_adapter.protocols.calls import Call
from live_adapter.protocols.errors import error_body
from live_adapter.protocols.refusing import without_secrets
from live_adapter.protocols.translating import StreamBack, answer_back, translated
from live_adapter.protocols.usage import StreamReader, Usage, usage_of
from live_adapter.site import Target


class Passing:
    """One attempt of a call on a deployment. Raises UntranslatableError where its provider cannot be asked this."""

    def __init__(self, call: Call, target: Target, model: str, number: int, now_s: int) -> None:
        self._call, self.dialect, self._model = call, target.site.protocol, model
        self.is_translated = self.dialect != call.dialect
        self.there = translated(call, self.dialect, target.model_name) if self.is_translated else call
        self._number, self._now_s = str(number), now_s

    @cached_property
    def reader(self) -> StreamReader:
        """Reads the provider's stream."""
        return StreamReader(self.there, self.dialect)

    @cached_property
    def _back(self) -> StreamBack | None:
        return StreamBack(self._call, self.dialect, self._model, self._number, self._now_s) if self.is_translated else None

    @property
    def failed(self) -> bool:
        """Whether the stream has told of a failure, or cannot be translated."""
        return self.reader.failed or (self._back is not None and self._back.failed)

    def feed(self, chunk: bytes) -> bytes:
        """What the client gets of a piece of a stream."""
        passed = self.reader.feed(chunk)
        return self._back.feed(passed) if self._back is not None else passed

    def rest(self, used: Usage) -> bytes:
        """What the client gets when the stream has ended as it should."""
        rest = self.reader.rest()
        return self._back.feed(rest) + self._back.end(used) if self._back is not None else rest

    def whole(self, body: bytes) -> tuple[Usage | None, bytes]:
        """Usage and the client's body of a whole answer; None for one that is not what its protocol says."""
        try:
            used = usage_of(self.dialect, json.loads(body))
            return used, answer_back(body, self._call, self.dialect, self._model, self._now_s) if self.is_translated else body
        except (ValueError, RecursionError):
            return None, b""

    def error(self, status: int, body: bytes) -> bytes:
        """The client's body of a provider's complaint about the call."""
        if not self.is_translated:
            return without_secrets(body)
        try:
            found = json.loads(body)
            message = str((found[0] if isinstance(found, list) else found)["error"]["message"])
        except (ValueError, KeyError, TypeError, IndexError, RecursionError):
            message = "the provider refused the request as it is"
        return error_body(self._call.dialect, status, "provider_refused", message)

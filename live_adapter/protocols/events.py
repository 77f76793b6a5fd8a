"""Server-sent events cut out of bytes as they come, however these are split (WHATWG HTML, section 9.2.6)."""

import re

# Two ends of line in a row; each is CR LF, LF or CR, and a CR LF is never taken for two.
_BLANK = re.compile(rb"(?>\r\n|\n|\r)(?>\r\n|\n|\r)")
_LONGEST_BLANK = 4
MOST_EVENT_BYTES = 16 * 1024 * 1024         # an image in base64 fits


class Events:
    """Cuts events out, each with the blank line that ends it. Holds at most MOST_EVENT_BYTES and one chunk."""

    __slots__ = ("_cut", "_held", "_seen")

    def __init__(self) -> None:
        self._held = bytearray()
        self._seen, self._cut = 0, False

    def feed(self, chunk: bytes) -> list[tuple[bytes, bool]]:
        """Take in bytes; returns what has come to its end, and whether it is a whole event: one that is too long comes in pieces.

        All that is returned, with `rest` in the end, is all that was fed.
        """
        self._held += chunk
        found: list[tuple[bytes, bool]] = []
        begin, at = 0, max(0, self._seen - _LONGEST_BLANK)
        while (blank := _BLANK.search(self._held, at)) is not None:
            at = blank.end()
            if at == len(self._held) and self._held[-1:] == b"\r":
                break               # half of a CR LF, perhaps
            found.append((bytes(self._held[begin:at]), not self._cut))
            begin, self._cut = at, False
        del self._held[:begin]
        if len(self._held) > MOST_EVENT_BYTES:
            # What may be the beginning of a blank line stays.
            found.append((bytes(self._held[:-_LONGEST_BLANK]), False))
            del self._held[:-_LONGEST_BLANK]
            self._cut = True
        self._seen = len(self._held)
        return found

    def rest(self) -> tuple[bytes, bool]:
        """What came after the last event, and whether it may be one."""
        rest, whole = bytes(self._held), not self._cut
        self._held.clear()
        self._seen, self._cut = 0, False
        return rest, whole


def data_of(event: bytes) -> bytes:
    """What an event says; empty for a comment."""
    lines = event.removeprefix(b"\xef\xbb\xbf").splitlines()
    return b"\n".join(line[5:].removeprefix(b" ") for line in lines if line.startswith(b"data:"))

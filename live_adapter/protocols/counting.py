"""How much of a body a model reads: for estimates of input tokens, which must not come out far too low whatever a client sends.

Everything counts but what is known not to be read. Text counts by its bytes (UTF-8): system prompts, all parts of all messages. JSON
that is shown to the model as such (tools on offer, arguments and results of their use, schemas) counts with the names of its fields.
A number in a list counts as 4 bytes, about what a token has: input of
embeddings may be lists of tokens. Images, sounds and files count by an
allowance in place of their bytes. Assumptions: an image is 850 tokens, a square of 800 pixels (Anthropic, Vision: width * height / 750);
sound has a token in 1,000 characters of base64, files one in 50 (a page of a PDF of 75 kB: 2,000 tokens), and both at least 850.
"""

import json
from dataclasses import dataclass
from typing import Any

MOST_DEPTH = 64
_NUMBER_BYTES = 4
_TOKEN_BYTES = 4
_LEAST_MEDIUM_BYTES = 850 * _TOKEN_BYTES
_CHARACTERS_PER_TOKEN = {"images": 0, "audios": 1_000, "files": 50}
# Fields of a body that no model reads.
_SETTINGS = frozenset((
    "model", "metadata", "user", "stream", "stream_options", "service_tier", "safety_identifier", "prompt_cache_key", "safetySettings",
    "store", "include", "encoding_format", "previous_response_id", "cachedContent", "taskType",
))  # fmt: skip
# Labels inside messages; a long one is no label.
_LABELS = frozenset((
    "role", "type", "id", "name", "tool_call_id", "tool_use_id", "call_id", "status", "detail", "media_type", "mimeType", "mime_type",
))  # fmt: skip
_LONGEST_LABEL = 256
_SHOWN_AS_JSON = frozenset((
    "tools", "functions", "response_format", "output_config", "args", "response", "responseSchema", "responseJsonSchema", "schema",
))  # fmt: skip
_MEDIA = {
    "image_url": "images", "input_image": "images", "image": "images", "input_audio": "audios", "file": "files", "input_file": "files",
    "document": "files",
}  # fmt: skip
_INLINE = ("inlineData", "inline_data", "fileData", "file_data")


class TooDeepError(Exception):
    """A body that is nested more than MOST_DEPTH levels deep."""


@dataclass(slots=True)
class Counted:
    """Bytes of all that a model reads, of the JSON among it, the number of media, and whether there is code."""

    text_bytes: int = 0
    json_bytes: int = 0
    images: int = 0
    audios: int = 0
    files: int = 0
    has_code: bool = False

    def take_body(self, body: dict[str, Any]) -> None:
        """Count a body. Raises TooDeepError."""
        for name, value in body.items():
            self._take(name, value, 1, counts=name not in _SETTINGS)

    def _take(self, name: str, value: Any, depth: int, *, counts: bool) -> None:
        """`name` is empty for what stands in a list; `counts` is false where only the depth matters."""
        if depth > MOST_DEPTH:
            raise TooDeepError
        if isinstance(value, str):
            if counts and not (name in _LABELS and len(value) <= _LONGEST_LABEL):
                self._take_text(value)
        elif isinstance(value, dict | list):
            as_json = counts and (name in _SHOWN_AS_JSON or (name == "input" and isinstance(value, dict)))
            self._take_inner(value, depth, counts=counts and not as_json)
            if as_json:
                self._take_json(value)
        elif counts and not name and isinstance(value, int | float) and not isinstance(value, bool):
            self.text_bytes += _NUMBER_BYTES

    def _take_inner(self, value: dict[str, Any] | list[Any], depth: int, *, counts: bool) -> None:
        if isinstance(value, list):
            for item in value:
                self._take("", item, depth + 1, counts=counts)
            return
        kind = _medium(value) if counts else ""
        counts = counts and (not kind or self._take_medium(kind, value))
        for name, item in value.items():
            self._take(name, item, depth + 1, counts=counts)

    def _take_text(self, text: str) -> None:
        self.text_bytes += len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))
        self.has_code = self.has_code or "```" in text

    def _take_json(self, value: Any) -> None:
        size = len(json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "surrogatepass"))
        self.text_bytes += size
        self.json_bytes += size

    def _take_medium(self, kind: str, value: dict[str, Any]) -> bool:
        """Count a medium. Returns whether what it holds is to be read as text."""
        setattr(self, kind, getattr(self, kind) + 1)
        source = value.get("source")
        if isinstance(source, dict) and source.get("type") in ("text", "content"):
            return True
        per_token = _CHARACTERS_PER_TOKEN[kind]
        told = _longest(value, 0) // per_token * _TOKEN_BYTES if per_token else 0
        self.text_bytes += max(_LEAST_MEDIUM_BYTES, told)
        return False


def _medium(value: dict[str, Any]) -> str:
    """`images`, `audios` or `files` for a part that is a medium."""
    kind = value.get("type")
    if isinstance(kind, str) and kind in _MEDIA:
        return _MEDIA[kind]
    for name in _INLINE:
        inline = value.get(name)
        if isinstance(inline, dict):
            mime = str(inline.get("mimeType") or inline.get("mime_type") or "")
            return {"image": "images", "audio": "audios"}.get(mime.partition("/")[0], "files")
    return ""


def _longest(value: Any, depth: int) -> int:
    """Characters of the longest string within."""
    if isinstance(value, str):
        return len(value)
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return max((_longest(item, depth + 1) for item in inner), default=0) if depth < MOST_DEPTH else 0

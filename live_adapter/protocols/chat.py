"""A chat, whichever protocol it came in: what all three have in common. What one of them lacks is refused by name, never dropped."""

from dataclasses import dataclass, field
from typing import Any

from live_adapter.errors import LiveError


class UntranslatableError(LiveError):
    """A field that the other provider's protocol has no place for."""


@dataclass(frozen=True, slots=True)
class Text:
    """Words."""

    text: str


@dataclass(frozen=True, slots=True)
class Image:
    """A picture in base64."""

    media_type: str
    data: str


@dataclass(frozen=True, slots=True)
class ToolCall:
    """The model asks for a tool; `arguments` is an object."""

    id: str
    name: str
    arguments: dict[str, Any]


@dataclass(frozen=True, slots=True)
class ToolResult:
    """What a tool gave."""

    id: str
    text: str


Part = Text | Image | ToolCall | ToolResult


@dataclass(frozen=True, slots=True)
class Turn:
    """What one side said: `user` (with results of tools) or `assistant`."""

    role: str
    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool on offer; `schema` is the JSON Schema of its arguments."""

    name: str
    description: str
    schema: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Chat:
    """A call. `most_tokens` 0: not said. `tool_choice`: `auto`, `none`, `any`, or a tool's name."""

    system: str
    turns: tuple[Turn, ...]
    most_tokens: int = 0
    temperature: float | None = None
    top_p: float | None = None
    stop: tuple[str, ...] = ()
    tools: tuple[Tool, ...] = ()
    tool_choice: str = "auto"
    stream: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """An answer. `ended` is `stop`, `length`, `tools` or `filtered`."""

    id: str
    text: str
    calls: tuple[ToolCall, ...] = ()
    ended: str = "stop"
    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0


@dataclass(slots=True)
class Delta:
    """A piece of an answer as it comes: words, or a tool call (whole, or its arguments' next characters)."""

    text: str = ""
    tool: int = -1
    tool_id: str = ""
    tool_name: str = ""
    arguments: str = ""
    ended: str = ""
    usage: dict[str, int] = field(default_factory=dict)


def demand_known(body: dict[str, Any], known: frozenset[str], where: str) -> None:
    """Raise UntranslatableError for a field that is set, and has no place on the other side."""
    for name, value in body.items():
        if name not in known and value not in (None, False, [], {}):
            raise UntranslatableError(f"{where}{name} has no counterpart at the provider that was chosen; leave it out, or name a model")


def text_of(value: Any, where: str) -> str:
    """A string, or a list of text parts, as one string."""
    if isinstance(value, str):
        return value
    if isinstance(value, list) and all(isinstance(one, dict) and isinstance(one.get("text"), str) for one in value):
        return "".join(one["text"] for one in value)
    if value is None:
        return ""
    raise UntranslatableError(f"{where} is neither text nor a list of text parts")

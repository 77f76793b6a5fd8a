"""A chat, whichever protocol it came in: what all three have in common. What one of them lacks is refused by name, never dropped.

Left out on purpose, since they ask nothing of a model: labels for a provider's own records (`metadata`, `safety_identifier`; `user`
where there is no place for it) and hints to its cache (`prompt_cache_key`, `cache_control`). Of an answer, reasoning is left out: no
other protocol could give it back; its tokens are counted.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from live_adapter.errors import LiveError
from live_adapter.protocols.usage import Usage


class UntranslatableError(LiveError):
    """A field that the other provider's protocol has no place for, or that is not what its own protocol says."""


@dataclass(frozen=True, slots=True)
class Text:
    """Words, at least one letter."""

    text: str


@dataclass(frozen=True, slots=True)
class Image:
    """A picture in base64."""

    media_type: str
    data: str


@dataclass(frozen=True, slots=True)
class ImageAddress:
    """A picture that the provider is to fetch."""

    url: str


@dataclass(frozen=True, slots=True)
class ToolCall:
    """The model asks for a tool; `arguments` is an object."""

    id: str
    name: str
    arguments: dict[str, Any]


@dataclass(frozen=True, slots=True)
class ToolResult:
    """What a tool gave to the call of this id."""

    id: str
    text: str
    is_error: bool = False


Part = Text | Image | ImageAddress | ToolCall | ToolResult


@dataclass(frozen=True, slots=True)
class Turn:
    """What one side said: `user` (with results of tools) or `assistant`."""

    role: str
    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool on offer; `schema` is the JSON Schema of its arguments, which hold to it if it is `strict`."""

    name: str
    description: str
    schema: dict[str, Any]
    strict: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Chat:
    """A call. Turns of the two sides alternate. `most_tokens` 0: not said. `tool_choice`: `auto`, `none`, `any`, or `=` and a tool's name.

    `settings` has those of `temperature`, `top_p`, `top_k`, `seed`, `presence_penalty`, `frequency_penalty` that are said. The answer is
    to be JSON if `json_only`, and of the shape of `schema` if that is there.
    """

    system: str
    turns: tuple[Turn, ...]
    most_tokens: int = 0
    settings: dict[str, float] = field(default_factory=dict)
    stop: tuple[str, ...] = ()
    tools: tuple[Tool, ...] = ()
    tool_choice: str = "auto"
    one_tool_a_turn: bool = False
    json_only: bool = False
    schema: dict[str, Any] | None = None
    user: str = ""
    stream: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """An answer. `ended` is `stop`, `length`, `tools` or `filtered`."""

    id: str
    text: str
    calls: tuple[ToolCall, ...] = ()
    ended: str = "stop"
    usage: Usage = field(default_factory=Usage)


@dataclass(frozen=True, slots=True)
class Delta:
    """A piece of an answer as it comes: words, a tool call (`tool` counts them from 0) or its arguments' next characters, or the end."""

    text: str = ""
    tool: int = -1
    tool_id: str = ""
    tool_name: str = ""
    arguments: str = ""
    ended: str = ""


def refused(where: str) -> UntranslatableError:
    """The error for what has no counterpart."""
    return UntranslatableError(f"{where} has no counterpart at the provider that was chosen; leave it out, or name a model")


def demand_known(fields: Mapping[str, Any], known: frozenset[str], where: str, defaults: Mapping[str, Any] | None = None) -> None:
    """Raise UntranslatableError for a field that says something (more than its default) and is not known."""
    for name, value in fields.items():
        if name not in known and value not in (None, False, 0, [], {}) and not (defaults and name in defaults and value in defaults[name]):
            raise refused(f"{where}{name[:80]}")


def object_in(fields: Mapping[str, Any], name: str, where: str) -> dict[str, Any]:
    """An object, empty if it is not said."""
    value = fields.get(name)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise UntranslatableError(f"{where}{name} must be an object")
    return value


def objects_in(fields: Mapping[str, Any], name: str, where: str) -> list[dict[str, Any]]:
    """A list of objects, empty if it is not said."""
    value = fields.get(name)
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
        raise UntranslatableError(f"{where}{name} must be a list of objects")
    return value


def string_in(fields: Mapping[str, Any], name: str, where: str, default: str | None = None) -> str:
    """A string; `default` where it is not said, which otherwise is an error."""
    value = fields.get(name)
    if value is None and default is not None:
        return default
    if not isinstance(value, str):
        raise UntranslatableError(f"{where}{name} must be a string")
    return value


def flag_in(fields: Mapping[str, Any], name: str, where: str, *, default: bool = False) -> bool:
    """True or false."""
    value = fields.get(name)
    if value is None:
        return default
    if not isinstance(value, bool):
        raise UntranslatableError(f"{where}{name} must be true or false")
    return value


def strings_in(fields: Mapping[str, Any], name: str, where: str) -> tuple[str, ...]:
    """A list of strings, or one string; empty if it is not said."""
    value = fields.get(name)
    value = [value] if isinstance(value, str) else value or []
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise UntranslatableError(f"{where}{name} must be a list of strings")
    return tuple(value)


def settings_in(fields: Mapping[str, Any], names: Mapping[str, str], where: str) -> dict[str, float]:
    """The settings that are said; `names` are those of the protocol by ours. A penalty of 0 is none."""
    found: dict[str, float] = {}
    for ours, theirs in names.items():
        value = fields.get(theirs)
        if value is None or (value == 0 and ours.endswith("penalty")):
            continue
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise UntranslatableError(f"{where}{theirs} must be a number")
        found[ours] = value
    return found


def settings_named(chat: Chat, names: Mapping[str, str]) -> dict[str, float]:
    """The settings by the protocol's names. Raises UntranslatableError for one that it does not have."""
    for ours in chat.settings:
        if ours not in names:
            raise refused(ours)
    return {names[ours]: value for ours, value in chat.settings.items()}


def alternating(turns: list[Turn]) -> tuple[Turn, ...]:
    """Turns of one side that follow each other made one, and none that is empty."""
    found: list[Turn] = []
    for turn in turns:
        if found and found[-1].role == turn.role:
            found[-1] = Turn(turn.role, found[-1].parts + turn.parts)
        elif turn.parts:
            found.append(turn)
    if not found or found[-1].role != "user":
        raise refused("a last message that is not the user's")
    return tuple(found)


def texts(*said: str) -> tuple[Text, ...]:
    """Texts without those that are empty."""
    return tuple(Text(one) for one in said if one)

"""From a path to a route: which API call this is, whoever brings it."""

import re
from typing import cast

from live_adapter.protocols.calls import Route

_PLAIN = re.compile(r"(?:^|/)(chat/completions|responses|embeddings|messages)/?$")
_GEMINI = re.compile(r"(?:^|/)models/([^/:]+):(generateContent|streamGenerateContent|embedContent)$")
_MODELS = re.compile(r"(?:^|/)models/?$")


def route_of(path: str) -> tuple[Route, str] | None:
    """The route, and the model where the path names it; None for a path that is no call."""
    if found := _PLAIN.search(path):
        return cast(Route, found.group(1)), ""
    if found := _GEMINI.search(path):
        return cast(Route, found.group(2)), found.group(1)
    return None


def asks_for_models(path: str) -> bool:
    """Whether the list of models is wanted."""
    return _MODELS.search(path) is not None

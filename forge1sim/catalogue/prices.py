"""Refreshing prices from the price list that LiteLLM keeps (`model_prices_and_context_window.json`).

Only standard token prices are taken. Long-prompt prices become a note, batch, flex and priority
prices are ignored, and so are `rpm` and `tpm`: for several models they are placeholders.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

from forge1sim.catalogue.catalogue import Catalogue
from forge1sim.catalogue.files import MIB, read_bounded
from forge1sim.catalogue.tables import Price
from forge1sim.errors import CatalogueError

MAX_PRICE_LIST_BYTES = 64 * MIB
MILLION = Decimal(1_000_000)
MOST_USD_PER_TOKEN = Decimal(1)
NOT_MODELS = ("sample_spec", "fallback_generalizations")

# Prefix of a name in the list, and what its `litellm_provider` may say; the first that fits is taken.
_LISTED_AS: Mapping[str, tuple[tuple[str, tuple[str, ...]], ...]] = {
    "openai": (("", ("openai",)), ("openai/", ("openai",))),
    "anthropic": (("", ("anthropic",)), ("anthropic/", ("anthropic",))),
    "google": (("gemini/", ("gemini",)), ("", ("gemini", "vertex_ai-language-models"))),
}
_LONG_PROMPT = re.compile(r"^(input|output)_cost_per_token_above_(\d+k)_tokens$")


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceChange:
    """A price that a refresh changed, in USD per million tokens; or, with `after` None, one it had to leave.

    `before` None: the catalogue had no such price. `note` says why a price was left, or warns.
    """

    model: str
    field: str
    before_usd_per_1m: float | None
    after_usd_per_1m: float | None
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedPrice:
    """Standard prices of one entry of the list, in USD per million tokens."""

    input_usd_per_1m: float
    cached_input_usd_per_1m: float | None
    output_usd_per_1m: float
    note: str


def refresh_prices(catalogue: Catalogue, path: str | Path, effective: date) -> tuple[Catalogue, list[PriceChange]]:
    """The catalogue with the prices of this list, and what changed.

    A price that the list confirms keeps its evidence; one that differs gets the list as its source,
    `effective` as its date and the grade `third_party`. Models without usable prices in the list
    stay as they are and come back as changes with `after_usd_per_1m` None.

    Raises:
        CatalogueError: no such file, not JSON, truncated, or more than 64 MiB uncompressed.
    """
    path = Path(path)
    listed = read_price_list(path)
    changes: list[PriceChange] = []
    models = dict(catalogue.models)
    for name, entry in catalogue.models.items():
        found = find_price(listed, name, entry.provider)
        if isinstance(found, str):
            changes.append(
                PriceChange(
                    model=name,
                    field="price",
                    before_usd_per_1m=entry.price.input_usd_per_1m,
                    after_usd_per_1m=None,
                    note=found,
                )
            )
            continue
        price = _renewed(entry.price, found, path.name, effective)
        changed = _changes(name, entry.price, price)
        if changed:
            models[name] = entry.model_copy(update={"price": price})
            changes.extend(changed)
    return catalogue.model_copy(update={"models": models}), changes


def price_overlay(base: str, catalogue: Catalogue, changes: Iterable[PriceChange]) -> str:
    """A catalogue file (YAML) that extends `base` with the refreshed prices, to be kept and loaded again."""
    import yaml  # noqa: PLC0415  keeps the start of the command line fast

    names = dict.fromkeys(change.model for change in changes if change.after_usd_per_1m is not None)
    models = {name: {"price": catalogue.models[name].price.model_dump(exclude_none=True)} for name in names}
    return str(yaml.safe_dump({"extends": base, "models": models}, sort_keys=False, allow_unicode=True))


def read_price_list(path: Path) -> dict[str, Any]:
    """The list as names and entries, plain or gzip, every number with a point or exponent a `Decimal`.

    Raises:
        CatalogueError: as `refresh_prices`.
    """
    content = read_bounded(path, MAX_PRICE_LIST_BYTES)
    try:
        data = json.loads(content, parse_float=Decimal)
    except (ValueError, RecursionError) as error:
        raise CatalogueError(f"{path}: not a JSON price list, or truncated ({error})") from error
    if not isinstance(data, dict):
        raise CatalogueError(f"{path}: holds a {type(data).__name__}; expected an object of model name to prices")
    return {name: entry for name, entry in data.items() if name not in NOT_MODELS}


def find_price(listed: Mapping[str, Any], model: str, provider: str) -> ListedPrice | str:
    """The prices of a model as this provider sells it, or why there are none."""
    for prefix, owners in _LISTED_AS.get(provider, ((f"{provider}/", (provider,)), ("", (provider,)))):
        entry = listed.get(prefix + model)
        if isinstance(entry, dict) and entry.get("litellm_provider") in owners:
            return price_of(entry)
    return f"not in the list as a model of {provider}"


def price_of(entry: Mapping[str, Any]) -> ListedPrice | str:
    """The prices of one entry, or what is wrong with them."""
    given = _usd_per_1m(entry.get("input_cost_per_token"))
    answer = _usd_per_1m(entry.get("output_cost_per_token"))
    if given is None:
        return "input_cost_per_token is missing or no price"
    if answer is None:
        return "output_cost_per_token is missing or no price"
    if given == answer == 0:
        return "listed at no cost, which is a placeholder more often than a price"
    return ListedPrice(
        input_usd_per_1m=given,
        cached_input_usd_per_1m=_usd_per_1m(entry.get("cache_read_input_token_cost")),
        output_usd_per_1m=answer,
        note=_long_prompt_note(entry),
    )


def _usd_per_1m(usd_per_token: object) -> float | None:
    """USD per million tokens without binary noise: 2e-07 is 0.2. None if it is no sensible price."""
    if isinstance(usd_per_token, bool) or not isinstance(usd_per_token, int | Decimal):
        return None
    exact = Decimal(usd_per_token)
    if not exact.is_finite() or not 0 <= exact <= MOST_USD_PER_TOKEN:
        return None
    return float(exact * MILLION)


def _long_prompt_note(entry: Mapping[str, Any]) -> str:
    notes = []
    for field in entry:
        match = _LONG_PROMPT.match(field)
        price = _usd_per_1m(entry[field]) if match else None
        if match and price is not None:
            notes.append(f"{match[1]} of prompts above {match[2]} tokens costs {price:g}")
    return "; ".join(sorted(notes)) + " (not modelled)" if notes else ""


def _renewed(old: Price, found: ListedPrice, file_name: str, effective: date) -> Price:
    cached = found.cached_input_usd_per_1m
    if cached is None and (old.cached_input_usd_per_1m or 0.0) <= found.input_usd_per_1m:
        cached = old.cached_input_usd_per_1m  # the list is silent about it: what was known still stands
    return Price(
        input_usd_per_1m=found.input_usd_per_1m,
        cached_input_usd_per_1m=cached,
        output_usd_per_1m=found.output_usd_per_1m,
        source=f"LiteLLM price list, file {file_name}",
        effective=effective,
        grade="third_party",
        note=found.note,
    )


def _changes(model: str, old: Price, new: Price) -> list[PriceChange]:
    note = (
        f"the catalogue's price was of {old.effective}, newer than this list" if old.effective > new.effective else ""
    )
    return [
        PriceChange(
            model=model,
            field=field,
            before_usd_per_1m=getattr(old, field),
            after_usd_per_1m=getattr(new, field),
            note=note,
        )
        for field in ("input_usd_per_1m", "cached_input_usd_per_1m", "output_usd_per_1m")
        if getattr(old, field) != getattr(new, field)
    ]

"""The catalogue as rows of a table, for people and for `--json`."""

from typing import Any

from forge1sim.catalogue.catalogue import Catalogue
from forge1sim.catalogue.tables import GRADES


def catalogue_table(catalogue: Catalogue) -> list[dict[str, Any]]:
    """One row for each model: prices, context, limits of the highest usage tier known, performance.

    `limits` maps dimension to requests or tokens; it is empty, and `usage_tier` None, where no
    limits are known. `worst_grade` is the worst grade of the figures shown; `effective` is the
    date of the price.
    """
    return [_row(catalogue, name) for name in catalogue.models]


def _row(catalogue: Catalogue, name: str) -> dict[str, Any]:
    entry = catalogue.models[name]
    model = catalogue.model(name)
    rows = catalogue.class_limits(name)
    tier = next(reversed(list(rows)), None)
    shown = [entry.price, entry.context, entry.speed, entry.performance]
    if tier is not None:
        shown.append(rows[tier])
    return {
        "model": name,
        "provider": entry.provider,
        "model_class": model.model_class,
        "input_usd_per_1m": model.input_usd_per_1m,
        "cached_input_usd_per_1m": model.cached_input_usd_per_1m,
        "output_usd_per_1m": model.output_usd_per_1m,
        "effective": entry.price.effective.isoformat(),
        "context_tokens": model.context_tokens,
        "max_output_tokens": model.max_output_tokens,
        "usage_tier": tier,
        "limits": {} if tier is None else rows[tier].given(),
        "ttft_s": model.speed.ttft_s,
        "tokens_per_s": model.speed.tokens_per_s,
        "performance": list(model.performance),
        "fallbacks": list(model.fallbacks),
        "worst_grade": max((group.grade for group in shown), key=GRADES.index),
    }

"""The catalogue: models, limits and providers as the platform schema wants them, each figure with its evidence."""

import difflib
from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import date
from typing import Annotated, Literal, TypeVar

from pydantic import Field, Strict, model_validator

from forge1sim.catalogue.tables import Evidence, Grade, ModelEntry, ProviderEntry, Text, TierLimits
from forge1sim.errors import CatalogueError
from policies.schema import Limit, Model, Name, Provider, Table

Entry = TypeVar("Entry")
FigureValue = str | float | int | tuple[float, ...]
UsageTierOf = tuple[str, str]
"""(provider, usage tier)."""


class Figure(Table):
    """One figure of one subject (a model, a model class, or a provider) and how good it is."""

    subject: str
    field: str
    value: FigureValue
    source: str
    effective: date
    grade: Grade
    note: str = ""


class Catalogue(Table):
    """Current facts about models and providers. Build one with `load_catalogue`."""

    schema_version: Literal[1] = 1
    name: Name
    description: Annotated[str, Strict(), Field(max_length=4000)] = ""
    sources: dict[Name, Text] = Field(default_factory=dict)
    providers: dict[Name, ProviderEntry]
    models: dict[Name, ModelEntry]

    @model_validator(mode="after")
    def _hangs_together(self) -> "Catalogue":
        for name, entry in self.models.items():
            if entry.provider not in self.providers:
                raise ValueError(f"models.{name}.provider {entry.provider!r} is not in providers")
            for fallback in entry.fallbacks:
                if fallback not in self.models or fallback == name:
                    raise ValueError(f"models.{name}.fallbacks: {fallback!r} is not another model of this catalogue")
        return self

    def model(self, name: str) -> Model:
        """The model as the platform schema wants it, with its whole fallback chain.

        Raises:
            CatalogueError: no such model.
        """
        entry = _look_up(self.models, name, f"catalogue {self.name!r} has no model")
        return Model(
            name=name,
            provider=entry.provider,
            model_class=entry.model_class or name,
            input_usd_per_1m=entry.price.input_usd_per_1m,
            cached_input_usd_per_1m=entry.price.cached_input_usd_per_1m,
            output_usd_per_1m=entry.price.output_usd_per_1m,
            context_tokens=entry.context.context_tokens,
            max_output_tokens=entry.context.max_output_tokens,
            performance=entry.performance.by_complexity(),
            speed=self.providers[entry.provider].latency.speed(entry.speed),
            fallbacks=entry.fallbacks,
        )

    def select(self, names: Iterable[str]) -> tuple[Model, ...]:
        """These models, their fallback chains cut down to each other."""
        models = [self.model(name) for name in names]
        present = {model.name for model in models}
        return tuple(
            model.model_copy(update={"fallbacks": tuple(name for name in model.fallbacks if name in present)})
            for model in models
        )

    def provider(self, name: str) -> Provider:
        """The provider with its time zone; failures are for the scenario to add.

        Raises:
            CatalogueError: no such provider.
        """
        return Provider(name=name, timezone=self._provider(name).day.timezone)

    def limits(self, provider: str, usage_tier: str, models: Iterable[str | Model]) -> tuple[Limit, ...]:
        """Limits of an account of this provider in this usage tier, for these models.

        One set of rows for each model class (classes that several models share come once), then
        the spend caps of the whole account. Models are names of this catalogue, or the scenario's
        own, of which `model_class` counts. Models of other providers are left out.

        Raises:
            CatalogueError: unknown provider, usage tier or model, or no limits known for a class.
        """
        entry = self._provider(provider)
        tier = _look_up(entry.usage_tiers, usage_tier, f"{provider} has no usage tier")
        classes = dict.fromkeys(
            model.model_class or model.name for model in self._resolved(models) if model.provider == provider
        )
        rows = [limit for name in classes for limit in self._class_limits(provider, usage_tier, name)]
        return (*rows, *(cap.limit() for cap in tier.spend))

    def figures(self, model: str) -> list[Figure]:
        """Every figure that a simulation of this model rests on, those of its provider included.

        Raises:
            CatalogueError: no such model.
        """
        entry = _look_up(self.models, model, f"catalogue {self.name!r} has no model")
        provider = self.providers[entry.provider]
        model_class = entry.model_class or model
        found = [
            *self._group(model, "price", entry.price),
            *self._group(model, "context", entry.context),
            *self._group(model, "speed", entry.speed),
            self._performance(model, entry),
            *self._group(entry.provider, "latency", provider.latency),
            *self._group(entry.provider, "day", provider.day),
        ]
        rows = provider.limits.get(model_class, {})
        for dimension in {dimension: None for row in rows.values() for dimension in row.given()}:
            rule = provider.rules[dimension]
            found.append(self._figure(entry.provider, f"rules.{dimension}", rule.in_words(), rule))
        for tier, row in rows.items():
            found.extend(self._group(model_class, f"limits.{entry.provider}.{tier}", row))
        for tier, usage_tier in provider.usage_tiers.items():
            for cap in usage_tier.spend:
                field = f"usage_tiers.{tier}.spend_usd_per_{cap.window_s:.0f}_s"
                found.append(self._figure(entry.provider, field, cap.limit_usd, usage_tier))
        return found

    def assumptions(self, models: Iterable[str], usage_tiers: Collection[UsageTierOf] | None = None) -> list[Figure]:
        """The figures of these models that nobody published or measured, each once.

        With `usage_tiers` (pairs of provider and usage tier), limits of other tiers are left out.
        """
        found: dict[tuple[str, str], Figure] = {}
        for name in models:
            provider = self.models[name].provider if name in self.models else ""
            for figure in self.figures(name):
                if figure.grade == "assumption" and _in_use(figure, provider, usage_tiers):
                    found.setdefault((figure.subject, figure.field), figure)
        return list(found.values())

    def class_limits(self, model: str) -> Mapping[str, TierLimits]:
        """Limits of the model's class by usage tier, lowest first; empty if none are known."""
        entry = _look_up(self.models, model, f"catalogue {self.name!r} has no model")
        provider = self.providers[entry.provider]
        rows = provider.limits.get(entry.model_class or model, {})
        return {tier: rows[tier] for tier in provider.usage_tiers if tier in rows}

    def _provider(self, name: str) -> ProviderEntry:
        return _look_up(self.providers, name, f"catalogue {self.name!r} has no provider")

    def _resolved(self, models: Iterable[str | Model]) -> Iterator[Model]:
        for model in models:
            yield self.model(model) if isinstance(model, str) else model

    def _class_limits(self, provider: str, usage_tier: str, model_class: str) -> list[Limit]:
        entry = self.providers[provider]
        rows = _look_up(entry.limits, model_class, f"no limits of {provider} are known for model class")
        row = _look_up(rows, usage_tier, f"no limits of {provider} are known for {model_class} in usage tier")
        return [
            Limit(
                dimension=dimension,
                limit=limit,
                window=entry.rules[dimension].window,
                window_s=entry.rules[dimension].window_s,
                burst_s=entry.rules[dimension].burst_s,
                charge=entry.rules[dimension].charge,
                model_class=model_class,
            )
            for dimension, limit in row.given().items()
        ]

    def _group(self, subject: str, prefix: str, group: Evidence) -> list[Figure]:
        values = group.model_dump(exclude={*Evidence.model_fields, "configuration"}, exclude_none=True)
        return [self._figure(subject, f"{prefix}.{field}", value, group) for field, value in values.items()]

    def _performance(self, model: str, entry: ModelEntry) -> Figure:
        group = entry.performance
        figure = self._figure(model, "performance", group.by_complexity(), group)
        if group.index is None:
            return figure
        origin = f"by complexity from index {group.index:g}, configuration {group.configuration}"
        return figure.model_copy(update={"note": f"{origin}; {group.note}" if group.note else origin})

    def _figure(self, subject: str, field: str, value: FigureValue, group: Evidence) -> Figure:
        return Figure(
            subject=subject,
            field=field,
            value=value,
            source=self.sources.get(group.source, group.source),
            effective=group.effective,
            grade=group.grade,
            note=group.note,
        )


def _in_use(figure: Figure, provider: str, usage_tiers: Collection[UsageTierOf] | None) -> bool:
    """Whether a figure is of no usage tier, or of one of these."""
    parts = figure.field.split(".")
    if usage_tiers is None or parts[0] not in ("limits", "usage_tiers"):
        return True
    return any(owner == provider and f".{tier}." in f"{figure.field}." for owner, tier in usage_tiers)


def _look_up(entries: Mapping[str, Entry], name: str, complaint: str) -> Entry:
    """The entry of this name; else an error that says which names exist and which are close."""
    if name in entries:
        return entries[name]
    close = difflib.get_close_matches(name, entries, n=3, cutoff=0.5)
    hint = f"did you mean {', '.join(close)}? " if close else ""
    known = f"known: {', '.join(entries)}" if entries else "none are listed"
    raise CatalogueError(f"{complaint} {name!r}; {hint}{known}")

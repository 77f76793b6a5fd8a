"""What a platform does not say and real traffic needs: where providers are, where keys come from, what calls leave open.

Everything has a default, so that a scenario alone is enough for rehearsal against the emulator.
"""

from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import Field, Strict, ValidationError

from live_adapter.errors import LiveConfigError
from policies.layout import Layout
from policies.schema import Name, NonNegative, Positive, Ratio, Table

AUTO_MODEL = "forge1-auto"
ProtocolName = Literal["openai", "anthropic", "gemini"]
# Base addresses as the providers' own SDKs have them (openai 3, anthropic 2, google-genai; November 2026).
_PUBLIC: dict[str, tuple[ProtocolName, str]] = {
    "openai": ("openai", "https://api.openai.com/v1"),
    "anthropic": ("anthropic", "https://api.anthropic.com"),
    "google": ("gemini", "https://generativelanguage.googleapis.com"),
}
Text = Annotated[str, Strict(), Field(min_length=1, max_length=2_000)]


def protocol_of(provider: str) -> ProtocolName:
    """Which protocol a provider of this name speaks: its own if it is known, else OpenAI's, as most do."""
    return _PUBLIC[provider][0] if provider in _PUBLIC else "openai"


class ProviderSite(Table):
    """Where a provider is, and which protocol it speaks. `openai` is also that of the many compatible ones."""

    protocol: ProtocolName
    base_url: Annotated[str, Strict(), Field(pattern=r"^https?://[^\s?#]+$", max_length=2_000)]


class AccountKeys(Table):
    """References to the keys of an account (`live_adapter.keys`), in the order in which they are used."""

    keys: tuple[Text, ...] = Field(min_length=1, max_length=100)


class Calls(Table):
    """What holds for calls that do not say it."""

    deadline_s: Positive = 60.0
    budget_usd: NonNegative = 0.0
    complexity: Ratio | None = None
    auto_model: Name = AUTO_MODEL
    most_body_mib: Annotated[float, Strict(), Field(gt=0, le=1024)] = 32.0


class Attempts(Table):
    """How long a provider may take: to connect, without a byte, and in all."""

    connect_s: Positive = 10.0
    stall_s: Positive = 60.0
    timeout_s: Positive = 600.0
    most_answer_mib: Annotated[float, Strict(), Field(gt=0, le=4096)] = 256.0


class LiveConfig(Table):
    """Providers and accounts by name; models whose name at the provider is another."""

    schema_version: Literal[1] = 1
    providers: dict[Name, ProviderSite] = Field(default_factory=dict)
    accounts: dict[Name, AccountKeys] = Field(default_factory=dict)
    models: dict[Name, Text] = Field(default_factory=dict)
    calls: Calls = Calls()
    attempts: Attempts = Attempts()

    def site_of(self, provider: str) -> ProviderSite:
        """Where a provider is. Raises LiveConfigError for one that is neither named nor known."""
        if provider in self.providers:
            return self.providers[provider]
        if provider in _PUBLIC:
            protocol, base_url = _PUBLIC[provider]
            return ProviderSite(protocol=protocol, base_url=base_url)
        raise LiveConfigError(f"providers.{provider}: not given, and not one of {', '.join(_PUBLIC)}; give protocol and base_url")

    def demand_known(self, layout: Layout) -> None:
        """Raise LiveConfigError for names that the platform does not have."""
        for field, given, known in (
            ("providers", self.providers, [provider.name for provider in layout.providers]),
            ("accounts", self.accounts, [account.name for account in layout.accounts]),
            ("models", self.models, [model.name for model in layout.models]),
        ):
            for name in given:
                if name not in known:
                    raise LiveConfigError(f"{field}.{name}: the platform has no such name; it has {', '.join(known)}")


def load_live_config(path: Path) -> LiveConfig:
    """Read a live configuration. Raises LiveConfigError with file and field."""
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise LiveConfigError(f"{path}: cannot be read: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise LiveConfigError(f"{path}: is no YAML: {error}") from error
    try:
        return LiveConfig.model_validate(data or {}, strict=False)
    except ValidationError as error:
        found = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors()[:5])
        raise LiveConfigError(f"{path}: {found}") from error

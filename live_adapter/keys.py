"""Provider keys by reference: `env:NAME` or `file:path`. They are read once, and shown nowhere."""

import os
import stat
from pathlib import Path

from live_adapter.config import LiveConfig
from live_adapter.errors import LiveConfigError
from policies.layout import Layout

_MOST_BYTES = 10_000


class ReferencedKeys:
    """The keys of all accounts of a platform. Raises LiveConfigError for one that is not there, by its reference."""

    def __init__(self, layout: Layout, config: LiveConfig) -> None:
        self._keys: list[tuple[str, ...]] = []
        for account in layout.accounts:
            given = config.accounts.get(account.name) or config.accounts.get(account.spec.name)
            references = given.keys if given is not None else (f"env:{variable_of(account.name)}",)
            self._keys.append(tuple(_read(reference, f"accounts.{account.name}.keys") for reference in references))

    def __repr__(self) -> str:
        return f"<keys of {len(self._keys)} accounts>"

    def key_of(self, account: int, number: int) -> str:
        """The key of an account; after the last the first again, for the gateway knows how many there are."""
        keys = self._keys[account]
        return keys[number % len(keys)]


def variable_of(account: str) -> str:
    """The environment variable that has an account's key where nothing else is said."""
    return "FORGE1_KEY_" + "".join(letter if letter.isalnum() else "_" for letter in account).upper()


def _read(reference: str, field: str) -> str:
    kind, _, name = reference.partition(":")
    if kind == "env":
        if not (key := os.environ.get(name, "").strip()):
            raise LiveConfigError(f"{field}: environment variable {name} is not set; it must hold the key")
        return key
    if kind == "file":
        return _from_file(Path(name), field)
    raise LiveConfigError(f"{field}: {reference[:40]!r} is no reference; write env:NAME or file:path")


def _from_file(path: Path, field: str) -> str:
    try:
        if path.stat().st_mode & (stat.S_IRGRP | stat.S_IROTH):
            raise LiveConfigError(f"{field}: {path} can be read by others; make it private (chmod 600)")
        key = path.read_text(encoding="utf-8")[:_MOST_BYTES].strip()
    except (OSError, UnicodeDecodeError) as error:
        raise LiveConfigError(f"{field}: {path} cannot be read: {type(error).__name__}") from None
    if not key:
        raise LiveConfigError(f"{field}: {path} is empty; it must hold the key")
    return key

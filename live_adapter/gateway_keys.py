"""Tenants' own keys for the gateway: shown once, kept as hashes.

A key is 32 random bytes, so that a plain SHA-256 of it cannot be searched: a slow hash is for passwords that can be
guessed, and would cost every call.
"""

import hashlib
import json
import os
import secrets
import tempfile
from collections.abc import Mapping
from pathlib import Path

from live_adapter.errors import LiveConfigError

PREFIX = "f1-"
_MOST_KEY = 200


def hash_of(key: str) -> str:
    """How a key is kept."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


class GatewayKeys:
    """Which tenant a key belongs to. The file is a JSON object of hashes and tenants; it is read again when it changes."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamp: tuple[int, int] = (-1, -1)
        self._tenants: dict[str, str] = {}
        self.refresh()

    def tenant_of(self, key: str) -> str | None:
        """The tenant, or None for a key that is not (or no longer) known. A dictionary of hashes tells nothing by its timing."""
        return self._tenants.get(hash_of(key)) if 0 < len(key) <= _MOST_KEY else None

    def refresh(self) -> None:
        """Read the file again if it has changed. Raises LiveConfigError."""
        try:
            status = self._path.stat()
            stamp = (status.st_mtime_ns, status.st_size)
            if stamp != self._stamp:
                self._tenants, self._stamp = _read(self._path), stamp
        except OSError as error:
            raise LiveConfigError(f"{self._path}: cannot be read: {error.strerror}") from error


def mint(path: Path, tenant: str) -> str:
    """A new key for a tenant, in the file from now on. It is returned this once. Raises LiveConfigError."""
    key = PREFIX + secrets.token_urlsafe(32)
    _write(path, (_read(path) if path.exists() else {}) | {hash_of(key): tenant})
    return key


def revoke(path: Path, tenant: str) -> int:
    """Take all keys of a tenant out of the file; returns how many there were. Raises LiveConfigError."""
    before = _read(path)
    _write(path, {hashed: owner for hashed, owner in before.items() if owner != tenant})
    return sum(owner == tenant for owner in before.values())


def _read(path: Path) -> dict[str, str]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise LiveConfigError(f"{path}: is no JSON object of key hashes: {error}") from error
    if not isinstance(found, dict) or not all(isinstance(owner, str) and len(hashed) == 64 for hashed, owner in found.items()):
        raise LiveConfigError(f"{path}: must be a JSON object from SHA-256 of a key, in hex, to the name of its tenant")
    return found


def _write(path: Path, keys: Mapping[str, str]) -> None:
    """All or nothing, readable by its owner only."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        json.dump(dict(sorted(keys.items())), file, indent=1)
    os.replace(name, path)

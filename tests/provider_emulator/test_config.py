"""What a configuration that cannot be used is told: the field and what is wrong, never a key."""

from typing import Any

import pytest

from provider_emulator.config import EmulatorError, read_config
from tests.provider_emulator.stage import configured

KEY = "sk-fake-but-secret"


def given(**account: Any) -> dict[str, Any]:
    return {"accounts": [{"name": "a", "provider": "p", "protocol": "openai", "keys": [KEY], "models": [{"name": "m"}], **account}]}


LIMIT = {"dimension": "rpm", "amount": 5, "window": "fixed", "charge": "requests"}


@pytest.mark.parametrize(
    ("data", "field"),
    [
        ({**given(), "speedup": 2}, "speedup"), (given(colour="red"), "accounts.0.colour"), (given(keys=[]), "accounts.0.keys"),
        (given(models=[{"name": "m", "tokens_per_s": 0}]), "accounts.0.models.0.tokens_per_s"),
        (given(limits=[{**LIMIT, "amount": float("nan")}]), "accounts.0.limits.0.amount"),
        (given(limits=[{**LIMIT, "time_zone": "Mars/Olympus"}]), "time_zone"), (given(limits=[{**LIMIT, "window": "none"}]), "concurrency"),
        (given(limits=[{**LIMIT, "charge": "total", "counts_failed": True}]), "counts_failed"), (given(keys=[KEY, KEY]), "accounts.keys"),
        (given(models=[{"name": "m"}, {"name": "m"}]), "'m' is given twice"), (given(provider="a/b"), "accounts.0.provider"),
        ({"accounts": given()["accounts"] * 2}, "'a' is given twice"), ({"accounts": []}, "accounts"), (None, "configuration"),
        ({**given(), "faults": [{"kind": "earthquake"}]}, "faults.0.kind"), ({**given(), "admin_token": ""}, "admin_token"),
        ({**given(), "faults": [{"kind": "throttle", "retry_after": "1\r\nx: y"}]}, "faults.0.retry_after"),
        ({"accounts": [*given()["accounts"], {**given()["accounts"][0], "name": "b", "keys": ["x"], "protocol": "gemini"}]}, "must be one"),
    ],
)  # fmt: skip
def test_errors_name_the_field_and_no_key(data: Any, field: str) -> None:
    with pytest.raises(EmulatorError) as found:
        read_config(data)
    assert field in str(found.value)
    assert KEY not in str(found.value)
    assert found.value.__cause__ is None


def test_keys_and_tokens_are_in_no_repr() -> None:
    shown = repr(configured(admin_token="fake-token"))
    assert "sk-fake" not in shown
    assert "fake-token" not in shown

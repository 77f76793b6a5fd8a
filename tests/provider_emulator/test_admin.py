"""The paths for tests: faults come and go, keys are revoked, statistics add up, and strangers are kept out."""

import asyncio
from typing import Any

from tests.provider_emulator.stage import PROTOCOLS, Stage, on_stage

TOKEN = {"x-emulator-token": "fake-token"}


def test_faults_come_and_go() -> None:
    async def work(stage: Stage) -> None:
        assert (await stage.client.post("/_emulator/faults", json={"kind": "unavailable", "duration_s": 60})).status_code == 200
        assert (await stage.ask()).status_code == 503
        assert (await stage.client.delete("/_emulator/faults")).json() == {"faults": 0}
        assert (await stage.ask()).status_code == 200

    on_stage(work)


def test_a_fault_that_makes_no_sense_is_told_by_field() -> None:
    async def work(stage: Stage) -> None:
        wrong: list[tuple[Any, str]] = [({"kind": "earthquake"}, "kind"), ({"kind": "error", "share": 2}, "share"), ([], "configuration")]
        for body, field in [*wrong, ({"kind": "error", "colour": 1}, "colour")]:
            told = await stage.client.post("/_emulator/faults", json=body)
            assert told.status_code == 400
            assert field in told.json()["error"]
        assert (await stage.client.post("/_emulator/faults", content=b"{")).status_code == 400
        assert stage.emulator.faults == []

    on_stage(work)


def test_faults_are_bounded() -> None:
    async def work(stage: Stage) -> None:
        stage.emulator.faults = stage.emulator.faults * 1000
        assert (await stage.client.post("/_emulator/faults", json={"kind": "error"})).status_code == 409

    on_stage(work, faults=[{"kind": "error", "start_s": 1e6}])


def test_a_revoked_key_is_refused_and_others_of_the_account_go_on() -> None:
    async def work(stage: Stage) -> None:
        for protocol, status in zip(PROTOCOLS, (401, 401, 400), strict=True):
            assert (await stage.ask(protocol)).status_code == 200
            told = await stage.client.post("/_emulator/keys/revoke", json={"key": f"sk-fake-{protocol}"})
            assert told.json() == {"account": protocol, "revoked": 1}
            refused = await stage.ask(protocol)
            assert refused.status_code == status
            assert f"sk-fake-{protocol}" not in refused.text
            name = {"openai": "authorization", "anthropic": "x-api-key", "gemini": "x-goog-api-key"}[protocol]
            other = f"{'Bearer ' if protocol == 'openai' else ''}sk-fake-{protocol}-2"
            assert (await stage.ask(protocol, headers={name: other})).status_code == 200
            assert stage.counts(protocol)["unauthorized_key"] == 1
        wrong: list[Any] = [{"key": "sk-fake-unknown"}, {"key": 7}, [], {}]
        for body in wrong:
            told = await stage.client.post("/_emulator/keys/revoke", json=body)
            assert told.status_code == 400
            assert "unknown" not in told.text

    on_stage(work)


def test_strangers_are_kept_out() -> None:
    async def work(stage: Stage) -> None:
        for headers, status in (({}, 403), ({"x-emulator-token": "wrong"}, 403), ({"x-emulator-token": "\xe9"}, 403), (TOKEN, 200)):
            told = await stage.client.get("/_emulator/stats", headers=[(k.encode(), v.encode("latin-1")) for k, v in headers.items()])
            assert told.status_code == status
        assert (await stage.client.delete("/_emulator/faults")).status_code == 403
        assert (await stage.ask()).status_code == 200

    on_stage(work, admin_token="fake-token")


def test_statistics_add_up_under_mixed_load() -> None:
    limits: list[dict[str, Any]] = [
        {"dimension": "rpm", "amount": 60, "window": "token_bucket", "charge": "requests", "burst_s": 60},
        {"dimension": "tpm", "amount": 5000, "window": "paced", "charge": "max_tokens", "burst_s": 30},
        {"dimension": "tpm", "amount": 1e6, "window": "sliding", "charge": "total"},
        {"dimension": "acceleration", "amount": 1e6, "window": "acceleration", "charge": "input"},
        {"dimension": "concurrency", "amount": 20, "window": "none", "charge": "requests"},
    ]  # fmt: skip
    faults = [{"kind": "error", "share": 0.1}, {"kind": "reset_midway", "share": 0.1}, {"kind": "reset", "share": 0.05}]

    async def work(stage: Stage) -> None:
        async def one(number: int) -> None:
            await asyncio.gather(stage.ask(stream=number % 3 == 0, model="m" if number % 10 else "none"), return_exceptions=True)

        await asyncio.gather(*(one(number) for number in range(150)))
        await asyncio.sleep(0.1)
        told = (await stage.client.get("/_emulator/stats")).json()["openai"]
        counts, model = told["counts"], told["models"]["m"]
        assert counts["attempts"] == 150
        assert counts["bad"] == 15
        assert model["attempts"] == 135
        assert sum(count for what, count in model.items() if what not in ("attempts", "input_tokens", "output_tokens")) == 135
        assert all(model[what] > 0 for what in ("ok", "throttled", "error", "reset_midway", "reset"))
        limits = told["limits"]
        assert sum(limit["refused"] for limit in limits.values()) == model["throttled"]
        begun = model["ok"] + model["reset_midway"]
        assert limits["*:rpm"]["used"] == begun
        assert limits["*:tpm"]["used"] == model["input_tokens"] + 50 * begun
        assert limits["*:tpm#2"]["used"] == model["input_tokens"] + model["output_tokens"]
        assert limits["*:acceleration"]["used"] == model["input_tokens"]
        assert all(limit["used"] <= limit["allowed"] for limit in limits.values() if limit["allowed"] is not None)
        assert limits["*:concurrency"] == {**limits["*:concurrency"], "in_flight": 0, "allowed": None}

    on_stage(work, limits=limits, faults=faults)

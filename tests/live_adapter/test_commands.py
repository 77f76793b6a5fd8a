"""The two commands as a user starts them: an emulator, a gateway before it, an unmodified SDK, keys that come and go."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import anthropic
import httpx
import openai
import pytest
import yaml

ROOT = Path(__file__).parents[2]
SCENARIO = {
    "name": "small", "horizon_s": 60,
    "models": [
        {"name": "gpt", "provider": "openai", "input_usd_per_1m": 1.0, "output_usd_per_1m": 4.0, "speed": {"ttft_s": 0.01}},
        {"name": "claude", "provider": "anthropic", "input_usd_per_1m": 1.0, "output_usd_per_1m": 4.0, "speed": {"ttft_s": 0.01}},
    ],
    "accounts": [
        {"name": "o", "provider": "openai", "limits": [{"dimension": "rpm", "limit": 6000}]},
        {"name": "a", "provider": "anthropic", "limits": [{"dimension": "rpm", "limit": 6000}]},
    ],
    "tenants": [{"name": "acme", "tier": "standard", "demand": {"requests_per_s": 1.0}}],
}  # fmt: skip


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@contextmanager
def command(*words: str, ready: str) -> Iterator[subprocess.Popen[str]]:
    """A command under way, once `ready` answers; ended by SIGTERM, which it must obey."""
    process = subprocess.Popen([sys.executable, "-m", "forge1sim.cli", *words], cwd=ROOT, env=dict(os.environ, PYTHONPATH=str(ROOT)),
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)  # fmt: skip
    try:
        until_s = time.monotonic() + 120
        while True:
            try:
                if httpx.get(ready, timeout=2).status_code < 500:
                    break
            except httpx.TransportError:
                pass
            if process.poll() is not None or time.monotonic() > until_s:
                process.kill()
                raise AssertionError(f"{words[:2]} did not come up: {process.communicate()[0]}")
            time.sleep(0.2)
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            raise


def test_a_gateway_before_an_emulator_serves_the_sdks(tmp_path: Path) -> None:
    scenario, keys = tmp_path / "small.yaml", tmp_path / "keys.json"
    scenario.write_text(yaml.safe_dump(SCENARIO))
    run = [sys.executable, "-m", "forge1sim.cli", "gateway"]
    environment = dict(os.environ, PYTHONPATH=str(ROOT))
    key = subprocess.run([*run, "mint", "acme", "--keys", str(keys)], cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    secret = key.stdout.strip()
    assert secret.startswith("f1-")
    assert secret not in keys.read_text()
    there, here = free_port(), free_port()
    base = f"http://127.0.0.1:{here}"
    emulator = command("emulator", "serve", str(scenario), "--port", str(there), ready=f"http://127.0.0.1:{there}/openai/v1/models")
    serve = ("gateway", "serve", str(scenario), "--port", str(here), "--emulator", f"http://127.0.0.1:{there}", "--keys", str(keys),
             "--journal", str(tmp_path / "journal"))  # fmt: skip
    with emulator, command(*serve, ready=f"{base}/readyz") as gateway:
        client = openai.OpenAI(api_key=secret, base_url=f"{base}/v1", max_retries=0)
        messages = [{"role": "user", "content": "Say something."}]
        answer = client.chat.completions.create(model="gpt", messages=messages, max_tokens=20)  # type: ignore[arg-type]
        assert answer.usage is not None
        stream = client.chat.completions.create(model="gpt", messages=messages, max_tokens=20, stream=True)  # type: ignore[call-overload]
        assert sum(len(chunk.choices) for chunk in stream) > 2
        other = anthropic.Anthropic(api_key=secret, base_url=base, max_retries=0)
        assert other.messages.create(model="claude", max_tokens=20, messages=messages).usage.output_tokens > 0  # type: ignore[arg-type]
        with pytest.raises(openai.AuthenticationError):
            openai.OpenAI(api_key="f1-wrong", base_url=f"{base}/v1", max_retries=0).models.list()
        metrics = httpx.get(f"{base}/metrics").text
        assert "forge1sim_requests_total 3" in metrics
        assert secret not in metrics
        assert "sk-emulated" not in metrics
        subprocess.run([*run, "revoke", "acme", "--keys", str(keys)], cwd=ROOT, env=environment, capture_output=True, check=True)
        time.sleep(1.5)
        with pytest.raises(openai.AuthenticationError):
            client.models.list()
    assert gateway.returncode in (0, -signal.SIGTERM, 130)
    written = b"".join(path.read_bytes() for path in (tmp_path / "journal").glob("*"))
    assert written
    assert b"sk-emulated" not in written


@pytest.mark.parametrize(("words", "told"), [
    (["--tenant", "nobody"], "must be one of the scenario's, such as 'acme'"),
    (["--tenant", "acme", "--host", "0.0.0.0"], "give --keys, or listen on 127.0.0.1"),
    (["--tenant", "acme"], "environment variable FORGE1_KEY_O is not set"),
    (["--tenant", "acme", "--live", "no-such-file.yaml"], "no-such-file.yaml: cannot be read"),
])  # fmt: skip
def test_what_is_missing_is_told_before_anything_listens(tmp_path: Path, words: list[str], told: str) -> None:
    scenario = tmp_path / "small.yaml"
    scenario.write_text(yaml.safe_dump(SCENARIO))
    if "--live" not in words and told.find("FORGE1") < 0:
        words = [*words, "--emulator", "http://127.0.0.1:9"]
    ended = subprocess.run([sys.executable, "-m", "forge1sim.cli", "gateway", "serve", str(scenario), *words], cwd=ROOT, check=False,
                           env=dict(os.environ, PYTHONPATH=str(ROOT)), capture_output=True, text=True, timeout=60)  # fmt: skip
    assert ended.returncode == 2
    assert told in ended.stderr

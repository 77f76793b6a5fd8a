"""`python -m provider_emulator`: one line with the address, a clean stop, and errors that show no key."""

import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
import yaml

from tests.provider_emulator.stage import BODIES, ROUTES, configured

ROOT = Path(__file__).parents[2]


def command(path: Path, *options: str) -> list[str]:
    return [sys.executable, "-m", "provider_emulator", str(path), *options]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_prints_where_it_is_serves_and_stops_when_told(tmp_path: Path, number: signal.Signals) -> None:
    path = tmp_path / "emulator.yaml"
    path.write_text(yaml.safe_dump(configured(model={"ttft_s": 30.0}, speed_up=1e3).model_dump(mode="json")))
    with subprocess.Popen(command(path, "--port", "0"), cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as emulator:
        try:
            assert emulator.stdout is not None
            url = emulator.stdout.readline().strip()
            assert url.startswith("http://127.0.0.1:")
            route, headers = ROUTES["openai"]
            assert httpx.post(url + route, json=BODIES["openai"], headers=headers, timeout=5).status_code == 200
            with pytest.raises(httpx.ReadTimeout):
                httpx.post(url + route, json=BODIES["openai"], headers=headers | {"x-emulate-service-s": "3600"}, timeout=0.3)
            emulator.send_signal(number)
            rest, errors = emulator.communicate(timeout=10)
        finally:
            emulator.kill()
    assert (emulator.returncode, rest, errors) == (0, "", "")


@pytest.mark.parametrize(
    ("text", "told"),
    [("accounts: []", "accounts"), ("a: [sk-fake-secret", "not YAML, line"), ("accounts: [{keys: [sk-fake-secret]}]", "accounts.0.name")],
)
def test_a_configuration_that_cannot_be_used_is_told_without_its_keys(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "emulator.yaml"
    path.write_text(text)
    done = subprocess.run(command(path), cwd=ROOT, capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode == 2
    assert told in done.stderr
    assert "sk-fake" not in done.stderr
    assert "Traceback" not in done.stderr


def test_an_address_that_is_taken_is_told(tmp_path: Path) -> None:
    import socket

    path = tmp_path / "emulator.yaml"
    path.write_text(yaml.safe_dump(configured().model_dump(mode="json")))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        done = subprocess.run(
            command(path, "--port", str(taken.getsockname()[1])), cwd=ROOT, capture_output=True, text=True, timeout=20, check=False
        )
    assert done.returncode == 2
    assert "Traceback" not in done.stderr

"""docs/write_a_policy.md, done as written: its files are written and its commands run in an empty folder."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

BLOCK = re.compile(r"^```(\w+) ?(\S*)\n(.*?)^```", re.DOTALL | re.MULTILINE)


def blocks(root: Path):
    """(language, option, text) of every code block."""
    return BLOCK.findall((root / "docs" / "write_a_policy.md").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def done(root, tmp_path_factory):
    """The folder after the guide, and what its commands said."""
    folder, said = tmp_path_factory.mktemp("guide"), []
    tools = Path(sys.executable).parent
    environment = {**os.environ, "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}", "PYTEST_ADDOPTS": "-p no:cacheprovider"}
    for language, option, text in blocks(root):
        name, _, value = option.partition("=")
        if name == "file":
            (folder / value).write_text(text, encoding="utf-8")
        elif language == "sh":
            for command in text.splitlines():
                result = subprocess.run(
                    command, shell=True, cwd=folder, env=environment, capture_output=True, text=True, check=False
                )
                expected = int(value) if name == "status" else 0
                assert result.returncode == expected, f"{command}\n{result.stdout}{result.stderr}"
                said.append(result.stdout + result.stderr)
    return folder, said


def summary(folder: Path, run: str):
    return json.loads((folder / "runs" / run / "summary.json").read_text(encoding="utf-8"))


def test_the_guide_has_commands_and_files(root):
    kinds = [(language, option.partition("=")[0]) for language, option, _ in blocks(root)]
    assert sum(language == "sh" for language, _ in kinds) >= 6
    assert {language for language, option in kinds if option == "file"} == {"yaml", "python"}


def test_every_command_ends_as_the_guide_says(done):
    folder, _ = done
    assert (folder / "policies_of_mine" / "test_cheapest_first.py").is_file()


def test_the_comparison_comes_out_as_the_guide_says(done):
    folder, _ = done
    headroom, cheapest, mine = (summary(folder, run) for run in ("headroom", "cheapest", "mine"))
    assert cheapest["cost_usd"] < mine["cost_usd"] < headroom["cost_usd"]
    assert [slo["met"] for slo in cheapest["slos"]] == [False, True]
    assert all(slo["met"] for run in (headroom, mine) for slo in run["slos"])


def test_both_clocks_give_one_log_and_the_bundle_tells_policies_apart(done):
    folder, _ = done
    mine, simpy, cheapest = (summary(folder, run) for run in ("mine", "mine-simpy", "cheapest"))
    assert mine["event_log_sha256"] == simpy["event_log_sha256"] != cheapest["event_log_sha256"]
    assert mine["bundle_sha256"] == simpy["bundle_sha256"] != cheapest["bundle_sha256"]


def test_the_growing_pool_has_as_many_accounts_as_it_needs(done):
    folder, _ = done
    accounts = summary(folder, "growing")["accounts"]
    used = [account for account in accounts.values() if account["served"] > 0]
    assert 1 < len(used) < len(accounts)


def test_keeping_what_is_left_serves_more_than_keeping_all(done):
    folder, _ = done
    trunk, left = (summary(folder, run)["tiers"] for run in ("trunk", "left"))
    assert trunk["enterprise"]["wait_p99_s"] == left["enterprise"]["wait_p99_s"] == 0
    assert left["standard"]["served"] > 1.6 * trunk["standard"]["served"]


def test_the_spoiler_is_told_in_the_words_of_the_guide(done, root):
    _, said = done
    message = "spoiler.py:3: spoiler writes to `deployments`, field 'weight'; only `memory` may be written"
    assert any(message in text for text in said)
    assert message in (root / "docs" / "write_a_policy.md").read_text(encoding="utf-8")


def test_uncompiled_the_log_is_the_same(done):
    """NUMBA_DISABLE_JIT=1 runs gateway, drivers and the user's policy as plain Python."""
    folder, _ = done
    command = [Path(sys.executable).parent / "forge1sim", "run", "mine.yaml", "--policy-folder", "policies_of_mine"]
    hashes = set()
    for jit in ("0", "1"):
        environment = {**os.environ, "NUMBA_DISABLE_JIT": jit}
        options = ["--set", "horizon_s=20", "--json", "--quiet"]
        result = subprocess.run([*command, *options], cwd=folder, env=environment, capture_output=True, text=True, check=False)
        assert result.returncode in (0, 1), result.stderr
        hashes.add(json.loads(result.stdout)["event_log_sha256"])
    assert len(hashes) == 1

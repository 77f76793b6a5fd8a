"""The benchmark harness keeps every number that it was given, and only those."""

import json
from pathlib import Path

import pytest

from benchmarks.__main__ import main

SPEED = """
RESULTS = ("requests_per_s", "ratio")

def run():
    return {"requests_per_s": 2_000_000.5, "ratio": 3}
"""
MEMORY = """
RESULTS = ("peak_gib",)

def run():
    return {"peak_gib": 0.75}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "bench_speed.py").write_text(SPEED)
    (tmp_path / "bench_memory.py").write_text(MEMORY)
    (tmp_path / "helpers.py").write_text("raise RuntimeError('not a benchmark')")
    return tmp_path


def kept(folder: Path) -> dict[str, float]:
    return json.loads((folder / "results.json").read_text())


def test_all_benchmarks_are_run_printed_and_kept_by_name(folder, capsys):
    assert main([], folder) == 0
    assert kept(folder) == {"peak_gib": 0.75, "ratio": 3.0, "requests_per_s": 2000000.5}
    assert list(kept(folder)) == sorted(kept(folder))
    assert capsys.readouterr().out.splitlines() == [
        "peak_gib = 0.7500", "requests_per_s = 2000000.5000", "ratio = 3.0000",
    ]  # fmt: skip
    assert not list(folder.glob("*.part"))


def test_only_the_numbers_of_one_benchmark_are_updated(folder):
    (folder / "results.json").write_text('{"earlier": 1, "peak_gib": 9, "ratio": 9, "requests_per_s": 5}')
    assert main(["--only", "ratio"], folder) == 0
    assert kept(folder) == {"earlier": 1, "peak_gib": 9, "ratio": 3.0, "requests_per_s": 2000000.5}


def test_an_unknown_name_is_answered_with_the_names_there_are(folder, capsys):
    assert main(["--only", "rati"], folder) == 2
    assert "'rati'; there are: peak_gib, ratio, requests_per_s" in capsys.readouterr().err
    assert not (folder / "results.json").exists()


def test_what_was_measured_before_a_failure_is_kept(folder):
    (folder / "bench_speed.py").write_text(SPEED.replace("return", "raise RuntimeError('broke')\n    return"))
    with pytest.raises(RuntimeError, match="broke"):
        main([], folder)
    assert kept(folder) == {"peak_gib": 0.75}


def test_a_benchmark_without_its_data_is_left_out_unless_asked_for(folder, capsys):
    absent = "from benchmarks.harness import DataAbsentError\n" + SPEED.replace("return", "raise DataAbsentError('no traces')\n    return")
    (folder / "bench_a.py").write_text(absent)
    (folder / "bench_speed.py").unlink()
    assert main([], folder) == 0
    assert kept(folder) == {"peak_gib": 0.75}
    assert "bench_a.py is left out: no traces" in capsys.readouterr().out
    assert main(["--only", "ratio"], folder) == 1
    assert "no traces" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("file", "source", "complaint"),
    [
        ("bench_speed.py", SPEED.replace('"ratio": 3', '"other": 3'), "bench_speed.py: run() gave ['other'"),
        ("bench_speed.py", SPEED.replace("3}", "float('nan')}"), "bench_speed.py: ratio is nan"),
        ("bench_speed.py", "def run(): return {}", "bench_speed.py: must define RESULTS"),
        ("bench_twice.py", MEMORY, "bench_twice.py: RESULTS names peak_gib, which bench_memory.py"),
        ("results.json", "[1]", "one flat object"),
        ("results.json", '{"a": {"b": 1}}', "one flat object"),
        ("results.json", '{"a": tru', "not JSON"),
    ],
)
def test_a_broken_benchmark_or_file_is_named(folder, capsys, file, source, complaint):
    (folder / file).write_text(source)
    assert main([], folder) == 1
    assert complaint in capsys.readouterr().err


def test_shipped_benchmarks_can_be_listed(capsys):
    assert main(["--only", "no such number"]) == 2
    assert "there are:" in capsys.readouterr().err

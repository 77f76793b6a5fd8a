"""Draws of a recording: made of its own blocks, from the part that was asked for, another one for each seed."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from forge1sim.errors import WorkloadError
from forge1sim.workload.bootstrap import blocks
from forge1sim.workload.spec import Bootstrap
from tests.workload.test_traces import HOUR_S, replay, seconds

DAY_US = 86_400_000_000


def recording(folder, times_s):
    """A table whose input tokens are the seconds of their rows plus one, so that a request tells where it came from."""
    lines = "".join(f"{at},{at + 1},1\n" for at in times_s)
    (folder / "trace.csv").write_text("arrive_s,input_tokens,output_tokens\n" + lines)
    return {"kind": "table", "path": "trace.csv"}


@given(
    block_s=st.floats(1, 4e5), shares=st.tuples(st.floats(0, 0.9), st.floats(0.01, 1)).filter(lambda two: two[0] + 1e-3 < two[1]),
    span_s=st.integers(1, 10 * 86_400), length_s=st.integers(1, 3 * 86_400), seed=st.integers(0, 2**32),
)  # fmt: skip
def test_blocks_fill_the_draw_and_lie_in_their_part(block_s, shares, span_s, length_s, seed):
    bootstrap = Bootstrap(block_s=block_s, from_share=shares[0], until_share=shares[1])
    first_us, span_us, length_us = 17 * DAY_US + 123, span_s * 1_000_000, length_s * 1_000_000
    at_us = 0
    for number, block in enumerate(blocks(bootstrap, first_us, span_us, length_us, seed)):
        assert (block.number, block.at_us) == (number, at_us)
        assert first_us + round(shares[0] * span_us) <= block.from_us < block.until_us <= first_us + round(shares[1] * span_us)
        at_us += block.until_us - block.from_us
        if number == 200:
            return
    assert at_us == length_us


def test_of_days_each_block_keeps_its_time_of_day_and_all_days_come():
    first_us = 9 * DAY_US + 3_600_000_000
    found = list(blocks(Bootstrap(block_s=1800, from_share=0.5), first_us, 14 * DAY_US, 7 * DAY_US, 1))
    assert all((block.from_us - first_us - block.at_us) % DAY_US == 0 for block in found)
    assert {(block.from_us - first_us - block.at_us % DAY_US) // DAY_US for block in found} == set(range(7, 14))


def test_a_draw_is_made_of_the_part_that_was_asked_for(tmp_path):
    source = recording(tmp_path, range(0, 3600, 2))
    for from_share, until_share in ((0.0, 0.5), (0.5, 1.0)):
        part = {"block_s": 100.0, "from_share": from_share, "until_share": until_share}
        rows, account = replay(tmp_path, {**source, "bootstrap": part}, horizon_s=2 * HOUR_S)
        assert from_share * 3600 <= rows["input_tokens"].min()
        assert rows["input_tokens"].max() <= until_share * 3600 + 1
        assert 1750 <= rows.size <= 1850
        assert account.rows_used == rows.size
        assert max(seconds(rows)) < 3600


def test_rows_of_a_block_keep_their_distances(tmp_path):
    times = np.cumsum(np.random.default_rng(3).integers(1, 9, 700))
    rows, _ = replay(tmp_path, {**recording(tmp_path, times.tolist()), "bootstrap": {"block_s": 60.0}})
    recorded, played = rows["input_tokens"], rows["arrive_us"]
    same_block = np.diff(played // 60_000_000) == 0
    assert (np.diff(played)[same_block] == np.diff(recorded)[same_block] * 1_000_000).all()
    assert same_block.sum() > 300


def test_seeds_differ_and_all_of_the_recording_is_drawn(tmp_path):
    source = {**recording(tmp_path, range(1800)), "bootstrap": {"block_s": 60.0}, "loop": True}
    draws = [replay(tmp_path, source, horizon_s=4 * HOUR_S, seed=seed)[0]["input_tokens"] for seed in (1, 2)]
    assert draws[0].size == draws[1].size == 4 * 3600
    assert (draws[0] != draws[1]).any()
    assert len(np.unique(np.concatenate(draws))) > 1780


def test_recordings_of_the_same_span_stay_together(tmp_path):
    bootstrap = Bootstrap(block_s=30)
    assert list(blocks(bootstrap, 0, 10**9, 10**9, 5)) == list(blocks(bootstrap, 0, 10**9, 10**9, 5))
    assert list(blocks(bootstrap, 0, 10**9, 10**9, 5)) != list(blocks(bootstrap, 0, 10**9, 10**9, 6))


def test_copies_and_scaled_times_go_with_blocks(tmp_path):
    source = {**recording(tmp_path, range(0, 1000)), "bootstrap": {"block_s": 50.0}, "rate_scale": 3.0, "time_scale": 2.0}
    rows, account = replay(tmp_path, source)
    assert account.rows_read == pytest.approx(1000, abs=30)
    assert rows.size == pytest.approx(3000, abs=90)
    assert 1900 < max(seconds(rows)) < 2002


@pytest.mark.parametrize("wrong", [{"block_s": 0.0}, {"from_share": 0.6, "until_share": 0.5}, {"until_share": 1.5}, {"blocks": 3}])
def test_what_is_no_part_is_refused(wrong):
    with pytest.raises(ValidationError):
        Bootstrap.model_validate(wrong)


def test_an_unsorted_recording_is_named(tmp_path):
    with pytest.raises(WorkloadError, match=r"trace.csv: row 2 is 4.0 s earlier than row 1"):
        replay(tmp_path, {**recording(tmp_path, [5, 1, 2]), "bootstrap": {}})

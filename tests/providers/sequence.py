"""Plays 2,000 random attempts on a platform with everything in it; prints a hash of all that came of it.

Run by test_modes.py as a program, compiled and not.
"""

import hashlib
import random

import numpy as np

from forge1sim.providers import (
    begin,
    build_emulator,
    cancel,
    end,
    new_answers,
    open_emulator,
    partial_output,
    set_limit_scale,
    set_outage,
)
from policies.layout import lay_out
from policies.schema import Account, Distribution, Fault, Limit, Model, Platform, Provider, Speed, TenantGroup

START_US = 1_760_000_000_000_000

LAWS = (
    None,
    Distribution(kind="exponential", mean=2.0),
    Distribution(kind="lognormal", mean=2.0, cv=1.2),
    Distribution(kind="gamma", mean=2.0, cv=0.5),
    Distribution(kind="gamma", mean=2.0, cv=2.0, at_most=9.0),
    Distribution(kind="empirical", values=(0.5, 1.5, 2.5)),
)
LIMITS = (
    Limit(dimension="rpm", limit=40.0),
    Limit(dimension="tpm", limit=60_000.0, window="paced", burst_s=1.0),
    Limit(dimension="itpm", limit=30_000.0, window="sliding", charge="uncached_input"),
    Limit(dimension="otpm", limit=200_000.0, window="sliding"),
    Limit(dimension="rpd", limit=120.0),
    Limit(dimension="spend", limit=0.006, window="fixed", window_s=90.0, known=False),
    Limit(dimension="acceleration", limit=5_000.0, window_s=10.0),
    Limit(dimension="concurrency", limit=6.0),
    Limit(dimension="tpm", limit=20_000.0, charge="total", model_class="m1"),
)
FAULTS = (
    Fault(kind="brownout", start_s=60.0, duration_s=60.0, probability=0.3),
    Fault(kind="throttle_storm", start_s=100.0, duration_s=60.0, probability=0.3, region="us"),
    Fault(kind="latency", start_s=200.0, duration_s=100.0, factor=2.5),
    Fault(kind="limit_cut", start_s=250.0, duration_s=100.0, factor=0.37, account="a"),
    Fault(kind="key_revoked", start_s=400.0, account="a-2"),
    Fault(kind="outage", start_s=450.0, duration_s=20.0, provider="p"),
)


def platform() -> Platform:
    """Six models, three accounts, one of them without limits."""
    models = tuple(
        Model(
            name=f"m{row}", provider="p", input_usd_per_1m=0.15 * (row + 1), cached_input_usd_per_1m=0.0375,
            output_usd_per_1m=1.2, max_output_tokens=700,
            speed=Speed(s_per_1k_input=0.1, load_slope=1.0, service_s=law),
        )
        for row, law in enumerate(LAWS)
    )  # fmt: skip
    return Platform(
        models=models,
        accounts=(Account(name="a", provider="p", count=2, limits=LIMITS), Account(name="b", provider="p", region="us")),
        providers=(
            Provider(
                name="p", timezone="Asia/Kolkata", error_probability=0.02, timeout_probability=0.01,
                overload_probability=0.02, caller_error_probability=0.01,
            ),
        ),
        tenants=(TenantGroup(name="t", count=50),),
    )  # fmt: skip


def play(attempts: int) -> str:
    """SHA-256 over every answer and the final state, and how many of each outcome there were."""
    chance = random.Random(5)
    layout = lay_out(platform(), START_US)
    block = build_emulator(layout, FAULTS, START_US, 2**62 + 11)
    answer = new_answers(1)[0]
    digest = hashlib.sha256()
    outcomes = [0] * 10
    in_flight: list[tuple[int, int, int, int, int, int]] = []
    now_us = START_US
    for number in range(attempts):
        now_us += chance.choice((0, 1, 100_000, 400_000, 700_000))
        deployment = chance.randrange(len(layout.deployments))
        input_tokens = chance.randrange(1, 3_000)
        cached_tokens = chance.choice((0, input_tokens // 2, input_tokens))
        begin(
            block, deployment, number % 50, number // 50, 1 + number % 3, number % 2, np.int32(input_tokens),
            np.int32(cached_tokens), np.int32(chance.randrange(900)), np.int32(chance.choice((0, 200, 600))), now_us, answer,
        )  # fmt: skip
        digest.update(answer.tobytes())
        outcomes[answer["outcome"]] += 1
        if answer["outcome"] == 0:
            said, takes_us = int(answer["output_tokens"]), int(answer["duration_us"])
            in_flight.append((deployment, input_tokens, cached_tokens, said, now_us, takes_us))
        if in_flight and chance.random() < 0.6:
            deployment, input_tokens, cached_tokens, said, begun_us, takes_us = in_flight.pop(chance.randrange(len(in_flight)))
            if chance.random() < 0.2:
                said = partial_output(said, takes_us, now_us - begun_us)
                cancel(block, deployment, input_tokens, cached_tokens, said, now_us)
            else:
                end(block, deployment, True, np.int32(input_tokens), np.int32(cached_tokens), np.int32(said), now_us)
        if number % 300 == 299:
            set_limit_scale(block, 1, chance.choice((250, 1000, 1700)), now_us)
            set_outage(block, 2, chance.random() < 0.3)
    for table in open_emulator(block):
        digest.update(table.tobytes())
    return f"{digest.hexdigest()} {outcomes}"


if __name__ == "__main__":
    print(play(2_000))

"""LiteLLM's Router in a closed loop: for each line on standard input (calls in flight, seconds) its requests a second on standard output.

Run by a Python that has litellm; ours has not (`benchmarks.bench_live`).
"""

import asyncio
import importlib
import sys
import time
from typing import Any


async def rate(router: Any, in_flight: int, run_s: float) -> float:
    """Requests a second."""
    done, until_s = 0, time.perf_counter() + run_s

    async def work() -> None:
        nonlocal done
        while time.perf_counter() < until_s:
            await router.acompletion(model="gpt", messages=[{"role": "user", "content": "word " * 20}], max_tokens=20,
                                     extra_headers={"x-emulate-output-tokens": "10"})  # fmt: skip
            done += 1

    began_s = time.perf_counter()
    await asyncio.gather(*(work() for _ in range(in_flight)))
    return done / (time.perf_counter() - began_s)


async def main(base: str, key: str) -> None:
    """Blocks until standard input ends."""
    litellm = importlib.import_module("litellm")
    where = {"model": "openai/gpt", "api_base": f"{base}/openai/v1", "api_key": key, "rpm": 60_000_000, "tpm": 900_000_000}
    router = litellm.Router(model_list=[{"model_name": "gpt", "litellm_params": where}], routing_strategy="simple-shuffle", num_retries=2)
    print("ready", flush=True)
    for line in sys.stdin:
        in_flight, run_s = line.split()
        print(await rate(router, int(in_flight), float(run_s)), flush=True)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))

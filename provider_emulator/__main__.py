"""`python -m provider_emulator CONFIG.yaml`: serve until it is told to stop."""

import argparse
import asyncio
import signal
import sys
from pathlib import Path

import yaml

from provider_emulator.config import EmulatorConfig, EmulatorError, read_config
from provider_emulator.server import serve


async def serve_until_stopped(config: EmulatorConfig, host: str, port: int) -> None:
    """Print the address, and serve until SIGTERM or SIGINT."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with serve(config, host, port) as (url, _):
        print(url, flush=True)
        await stop.wait()


def main() -> int:
    """The command; exit status 2 for a configuration that cannot be used."""
    parser = argparse.ArgumentParser(prog="provider_emulator", description=__doc__)
    parser.add_argument("config", type=Path)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8790)
    given = parser.parse_args()
    try:
        config = read_config(yaml.safe_load(given.config.read_text(encoding="utf-8")))
    except (OSError, yaml.YAMLError, EmulatorError) as error:
        print(f"{given.config}: {error}", file=sys.stderr)
        return 2
    asyncio.run(serve_until_stopped(config, given.host, given.port))
    return 0


if __name__ == "__main__":
    sys.exit(main())

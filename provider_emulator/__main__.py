"""`python -m provider_emulator CONFIG.yaml`: serve until it is told to stop."""

import argparse
import asyncio
import importlib
import importlib.util
import signal
import sys
from pathlib import Path
from typing import Any

import yaml

from provider_emulator.config import EmulatorConfig, EmulatorError, read_config
from provider_emulator.server import serve


async def serve_until_stopped(config: EmulatorConfig, host: str, port: int) -> None:
    """Print the address, and serve until SIGTERM or SIGINT. Raises OSError where it cannot listen."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with serve(config, host, port) as (url, _):
        print(url, flush=True)
        await stop.wait()


def main() -> int:
    """The command; exit status 2 for a configuration that cannot be used, or an address that cannot be listened on."""
    parser = argparse.ArgumentParser(prog="provider_emulator", description=__doc__)
    parser.add_argument("config", type=Path)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8790)
    given = parser.parse_args()
    try:
        config = read_config(yaml.safe_load(given.config.read_text(encoding="utf-8")))
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            runner.run(serve_until_stopped(config, given.host, given.port))
    except yaml.YAMLError as error:
        # Its own words would quote the line, and keys with it.
        mark = getattr(error, "problem_mark", None)
        print(f"{given.config}: not YAML" + (f", line {mark.line + 1}" if mark else ""), file=sys.stderr)
        return 2
    except (OSError, ValueError, EmulatorError) as error:
        print(f"{given.config}: {error}", file=sys.stderr)
        return 2
    return 0


def _loop_factory() -> Any:
    """The faster event loop, where it is installed."""
    return importlib.import_module("uvloop").new_event_loop if importlib.util.find_spec("uvloop") else None


if __name__ == "__main__":
    sys.exit(main())

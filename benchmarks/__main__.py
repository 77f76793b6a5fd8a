"""Command line of the benchmarks: exit status 0 done, 1 a benchmark is broken, 2 unknown name."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.harness import BenchmarkError, UnknownBenchmarkError, discover, measure

FOLDER = Path(__file__).parent


def main(arguments: Sequence[str] | None = None, folder: Path = FOLDER) -> int:
    """Run the benchmarks in `folder` and keep their numbers in its results.json."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure speed and memory.")
    parser.add_argument("--only", metavar="NAME", help="run the benchmark that yields this number, alone")
    options = parser.parse_args(arguments)
    try:
        measure(discover(folder), folder / "results.json", options.only)
    except UnknownBenchmarkError as error:
        print(error, file=sys.stderr)
        return 2
    except BenchmarkError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

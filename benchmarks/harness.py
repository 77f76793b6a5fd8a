"""Find benchmarks, run them, and keep their numbers in one flat file.

A benchmark is a module `bench_*.py` beside this one with

    RESULTS: tuple[str, ...]           names of the numbers it yields, units in the names
    def run() -> dict[str, float]      measures; gives exactly those names

Numbers measured earlier stay in the file until they are measured again.
"""

import importlib.util
import json
import math
import os
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path


class BenchmarkError(Exception):
    """A benchmark or the file of results is not as agreed."""


class DataAbsentError(BenchmarkError):
    """A benchmark needs data that is not on this machine."""


class UnknownBenchmarkError(BenchmarkError):
    """No benchmark yields the number that was asked for."""


@dataclass(frozen=True, slots=True)
class Benchmark:
    """One module of measurements and the names of the numbers it yields."""

    file: Path
    names: tuple[str, ...]
    run: Callable[[], dict[str, float]]

    def measure(self) -> dict[str, float]:
        """Run it. Raises BenchmarkError unless it gives one finite number for each name."""
        numbers = self.run()
        if set(numbers) != set(self.names):
            raise BenchmarkError(f"{self.file.name}: run() gave {sorted(numbers)}, RESULTS says {sorted(self.names)}")
        for name, number in numbers.items():
            if not math.isfinite(number):
                raise BenchmarkError(f"{self.file.name}: {name} is {number}, must be a finite number")
        return {name: float(numbers[name]) for name in self.names}


def discover(folder: Path) -> list[Benchmark]:
    """Every benchmark in `folder`, by file name. Raises BenchmarkError if two yield one name."""
    benchmarks: list[Benchmark] = []
    owner: dict[str, str] = {}
    for file in sorted(folder.glob("bench_*.py")):
        benchmark = _load(file)
        for name in benchmark.names:
            if name in owner:
                raise BenchmarkError(f"{file.name}: RESULTS names {name}, which {owner[name]} yields already")
            owner[name] = file.name
        benchmarks.append(benchmark)
    return benchmarks


def measure(benchmarks: Iterable[Benchmark], results_file: Path, only: str | None = None) -> dict[str, float]:
    """Run all of `benchmarks`, or the one that yields `only`, printing and keeping each number.

    Numbers are kept as soon as their benchmark ends: a later failure loses none. With `only`,
    no number of another benchmark changes. Raises UnknownBenchmarkError, naming what there is. A benchmark whose data is absent is left out, with a word.
    """
    chosen = [b for b in benchmarks if only is None or only in b.names]
    if only is not None and not chosen:
        names = sorted(name for b in benchmarks for name in b.names)
        raise UnknownBenchmarkError(f"no benchmark yields {only!r}; there are: {', '.join(names) or 'none'}")
    measured: dict[str, float] = {}
    for benchmark in chosen:
        try:
            numbers = benchmark.measure()
        except DataAbsentError as error:
            if only is not None:
                raise
            print(f"{benchmark.file.name} is left out: {error}", flush=True)
            continue
        merge(results_file, numbers)
        for name, number in numbers.items():
            print(f"{name} = {number:.4f}", flush=True)
        measured |= numbers
    return measured


def merge(results_file: Path, numbers: dict[str, float]) -> None:
    """Put `numbers` into the file, sorted by name, in one step: readers see the old file or the new."""
    text = json.dumps(read(results_file) | numbers, indent=2, sort_keys=True) + "\n"
    temporary = results_file.with_name(f"{results_file.name}.{os.getpid()}.part")
    try:
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(results_file)
    finally:
        temporary.unlink(missing_ok=True)


def read(results_file: Path) -> dict[str, float]:
    """Numbers kept so far; none if there is no file. Raises BenchmarkError if it holds anything else."""
    if not results_file.exists():
        return {}
    try:
        content = json.loads(results_file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise BenchmarkError(f"{results_file}: not JSON ({error}); remove it and measure again") from error
    if not isinstance(content, dict) or not all(type(number) in {int, float} for number in content.values()):
        raise BenchmarkError(f"{results_file}: must be one flat object of name to number; remove it and measure again")
    return content


def _load(file: Path) -> Benchmark:
    name = f"benchmarks.{file.stem}"
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise BenchmarkError(f"{file}: cannot be imported")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module      # so that what it defines can be pickled for its own processes
    spec.loader.exec_module(module)
    names = getattr(module, "RESULTS", None)
    run = getattr(module, "run", None)
    if not isinstance(names, tuple) or not names or not callable(run):
        raise BenchmarkError(f"{file.name}: must define RESULTS, a tuple of names, and run()")
    return Benchmark(file, names, run)

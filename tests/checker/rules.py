"""Take away every function of `policies`, one at a time, and see whether a run tells the difference.

`python rules.py PART PARTS` (with NUMBA_DISABLE_JIT=1) prints JSON: for each function of this
part whether it is "noticed", "unnoticed" or, if no world calls it, "never called".
"""

import hashlib
import importlib
import inspect
import json
import pkgutil
import signal
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import CodeType, FrameType
from typing import Any

from feeding import FedWorld, LearningWorld
from patching import replaced
from running import run
from worlds import BIDS, World, rich_world, shared_world, small_world, used_share_world

import policies
from forge1sim.workload.spec import Estimation
from policies.bundle import Queueing, Reservation, Routing, Scaling

# Modules without rules: words, tables, and what compiles or loads.
NO_RULES = {
    "arena", "bundle", "compile", "conformance", "contracts", "errors", "keeping", "linking", "log", "plain", "plug", "registry",
    "rows", "samples", "schema", "shipped", "source_rules", "state",
}
# Only what these offer is a rule; the rest fills tables.
LOADERS = {"build", "layout"}
MOST_TIMES_SLOWER = 3
FED = tuple(range(10))
REPLICAS = (0, 4, 11)
NOTICED, UNNOTICED, NEVER_CALLED = "noticed", "unnoticed", "never called"


def rules() -> Iterator[tuple[str, str]]:
    """(module, name) of every function that a module with rules defines."""
    for info in pkgutil.iter_modules(policies.__path__):
        if info.name in NO_RULES:
            continue
        module = importlib.import_module(f"policies.{info.name}")
        for name, value in vars(module).items():
            own = inspect.isfunction(value) and value.__module__ == module.__name__
            if own and not (info.name in LOADERS and name.startswith("_")):
                yield module.__name__, name


def worlds() -> dict[str, Callable[[], World | FedWorld | LearningWorld]]:
    """Worlds which together call every rule."""
    found: dict[str, Callable[[], World | FedWorld | LearningWorld]] = {"rich": lambda: rich_world(count=200)}
    found["shared"] = shared_world
    found["used share"] = used_share_world
    for mode in ("partition", "trunk", "cap", "preempt"):
        found[mode] = lambda mode=mode: _varied(reservation=Reservation(mode=mode))
    for policy in ("headroom", "least_in_flight", "latency", "weighted", "round_robin", "random"):
        found[policy] = lambda policy=policy: _varied(routing=Routing(policy=policy, model_choice="cheapest"))
    for choice in ("best_quality", "any"):
        found[choice] = lambda choice=choice: _varied(routing=Routing(model_choice=choice))
    found["bids"] = lambda: _varied(routing=BIDS)
    found["predictive"] = lambda: _varied(scaling=Scaling(policy="predictive", period_s=1.0, hold_periods=1, cooldown_s=1.0))
    found["own tiers"] = lambda: World(**{**vars(_varied(reservation=Reservation(mode="mine.py:mine"))), "own_policies": {"tier": mine}})
    for mode in ("floor", "cap"):
        found[f"guessing {mode}"] = lambda mode=mode: World(
            **{**vars(_varied(reservation=Reservation(mode=mode))), "estimation": Estimation(input_tokens_cv=0.4, complexity_sd=0.2)}
        )
    found["no queue"] = lambda: _varied(queue=Queueing(enabled=False))
    for subject in ("output", "cached", "budget", "month", "poor", "tenant", "day", "quota", "sizes", "drain", "unsure", "growth", "spent"):
        found[subject] = lambda subject=subject: small_world(subject)
    for seed in FED:
        found[f"fed {seed}"] = lambda seed=seed: FedWorld(seed)
    for seed in REPLICAS:
        found[f"replica {seed}"] = lambda seed=seed: FedWorld(seed, shares=True)
    for remaining in (0, 500, 50_000):
        found[f"learning {remaining}"] = lambda remaining=remaining: LearningWorld(remaining)
    return found


def mine(request: Any, limit: Any, tiers: Any, _params: Any, _now_us: int) -> bool:
    """A tier policy of one's own: what the highest tier has left of its share stays free."""
    return bool(request["tier"] == 0 or limit["units"] + max(tiers[0]["left"], 0) <= limit["free"])


def _varied(**changes: Any) -> World:
    world = rich_world(count=200)
    return World(**{**vars(world), "bundle": world.bundle.model_copy(update=changes)})


def log_hash(world: World | FedWorld | LearningWorld) -> str:
    """SHA-256 of the log of a run."""
    told = world.told() if isinstance(world, FedWorld | LearningWorld) else run(world).tobytes()
    return hashlib.sha256(told).hexdigest()


@dataclass(frozen=True)
class RightRun:
    """A run as it should be: its log, the code that ran, and the processor time it took."""

    log: str
    code: set[CodeType]
    seconds: float


def right_run(world: World | FedWorld | LearningWorld) -> RightRun:
    """Run a world with all rules in place."""
    seen: set[CodeType] = set()

    def note(frame: FrameType, event: str, _argument: object) -> None:
        if event == "call":
            seen.add(frame.f_code)

    sys.setprofile(note)
    try:
        log_hash(world)
    finally:
        sys.setprofile(None)
    began_s = time.process_time()
    return RightRun(log_hash(world), seen, time.process_time() - began_s)


def constants(function: Any) -> list[Any]:
    """What a function without its body might return, by what it returns; both answers of a question."""
    returns = str(inspect.signature(function).return_annotation)
    return {"<class 'bool'>": [False, True], "<class 'int'>": [0], "<class 'float'>": [0.0]}.get(returns, [None])


def _too_long(_signal: int, _frame: FrameType | None) -> None:
    raise TimeoutError


def is_noticed(module: str, name: str, constant: Any, world: World | FedWorld | LearningWorld, right: RightRun) -> bool:
    """Whether a run without the body of a function differs, fails or never ends."""
    signal.signal(signal.SIGVTALRM, _too_long)
    signal.setitimer(signal.ITIMER_VIRTUAL, 0.3 + MOST_TIMES_SLOWER * right.seconds)
    try:
        with replaced(module, name, lambda _right: lambda *_arguments, **_keywords: constant):
            return log_hash(world) != right.log
    except Exception:  # noqa: BLE001  (whatever breaks, it is noticed)
        return True
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)


def verdicts(part: int, parts: int) -> dict[str, str]:
    """By function of this part: what came of taking it away."""
    made = {name: make() for name, make in worlds().items()}
    runs = {name: right_run(world) for name, world in made.items()}
    found = {}
    for module, name in sorted(rules())[part::parts]:
        function = getattr(importlib.import_module(module), name)
        callers = [world for world, right in runs.items() if function.__code__ in right.code]
        for constant in constants(function):
            told = any(is_noticed(module, name, constant, made[world], runs[world]) for world in callers)
            found[f"{module}.{name} = {constant}"] = NOTICED if told else UNNOTICED if callers else NEVER_CALLED
    return found


if __name__ == "__main__":
    print(json.dumps(verdicts(int(sys.argv[1]), int(sys.argv[2]))))

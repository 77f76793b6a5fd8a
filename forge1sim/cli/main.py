"""`forge1sim`: the entry point. Its own commands, and those that other packages register.

A package adds a command by an entry point of the group `forge1sim.commands`: its name is the
command's, its value a Typer app or a function that Typer can turn into a command. It is loaded
when the command or the list of commands is asked for, so that no command pays for another.

Exit status: 0 done and SLOs met, 1 an SLO missed, 2 bad usage or input, 130 interrupted.
"""

import importlib
import signal
import sys
from collections.abc import Sequence
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

import typer
from typer.core import TyperGroup

from forge1sim.cli.output import complain
from forge1sim.errors import Forge1Error
from policies.errors import PoliciesError

COMMANDS_GROUP = "forge1sim.commands"
BAD_INPUT = 2
INTERRUPTED = 130

OWN_COMMANDS = {
    "run": "forge1sim.cli.run:run",
    "compare": "forge1sim.cli.compare:compare",
    "sweep": "forge1sim.cli.sweep:sweep",
    "validate": "forge1sim.cli.scenarios:validate",
    "schema": "forge1sim.cli.scenarios:schema",
    "diff": "forge1sim.cli.diff:diff",
    "tune": "forge1sim.cli.tune:tune",
    "sensitivity": "forge1sim.cli.sensitivity:sensitivity",
    "regret": "forge1sim.cli.regret:regret",
    "plan": "forge1sim.cli.plan:app",
    "onboard": "forge1sim.cli.onboard:onboard",
    "forecast": "forge1sim.cli.forecast:forecast",
    "check": "forge1sim.cli.check:check",
    "workload": "forge1sim.cli.workload:workload",
    "policies": "forge1sim.cli.policies:policies",
    "catalog": "forge1sim.cli.catalog:catalog",
    "import-litellm": "forge1sim.cli.catalog:import_litellm",
}


class CommandGroup(TyperGroup):
    """Loads a command when it is needed, and turns errors about input into one message and exit status 2."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Own commands in the order of a user's way, then those of other packages by name."""
        return [*OWN_COMMANDS, *sorted(name for name in _registered() if name not in OWN_COMMANDS)]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command of this name, or None."""
        if cmd_name in OWN_COMMANDS:
            return _as_command(cmd_name, _load(OWN_COMMANDS[cmd_name]))
        found = _registered().get(cmd_name)
        if found is None:
            return None
        try:
            return _as_command(cmd_name, found.load())
        except ImportError as error:
            complain(f"command {cmd_name!r} of {found.value} cannot be loaded: {error}")
            return None

    def invoke(self, ctx: Any) -> Any:
        """Run the command; input errors and interrupts become exit statuses."""
        try:
            return super().invoke(ctx)
        except (Forge1Error, PoliciesError) as error:
            complain(str(error))
            raise typer.Exit(BAD_INPUT) from error
        except KeyboardInterrupt as error:
            complain("interrupted; nothing was written")
            raise typer.Exit(INTERRUPTED) from error


def _registered() -> dict[str, EntryPoint]:
    return {entry.name: entry for entry in entry_points(group=COMMANDS_GROUP)}


def _load(reference: str) -> Any:
    module, _, name = reference.partition(":")
    return getattr(importlib.import_module(module), name)


def _as_command(name: str, value: Any) -> Any:
    if not isinstance(value, typer.Typer):
        single = typer.Typer(pretty_exceptions_enable=False, add_completion=False, rich_markup_mode=None)
        single.command(name)(value)
        value = single
    command = typer.main.get_command(value)
    command.name = name
    return command


app = typer.Typer(
    cls=CommandGroup, pretty_exceptions_enable=False, no_args_is_help=True, add_completion=False, rich_markup_mode=None
)


class _Tools:
    """For commands of other packages, which do not import this one."""

    def load(self, scenario: Path, settings: Sequence[str]) -> Any:
        """A scenario."""
        from forge1sim.cli.loading import load

        return load(scenario, settings)

    def replays(self) -> Any:
        """Functions that feed recorded inputs again, by clock."""
        from forge1sim.drivers.recorded import replay_compiled, replay_simpy

        return {"compiled": replay_compiled, "simpy": replay_simpy}


@app.callback()
def _about(context: typer.Context) -> None:
    """Simulate, size and compare pooled LLM provider keys before buying capacity.

    Results go to standard output, progress and messages to standard error.
    Exit status: 0 done and SLOs met, 1 an SLO missed, 2 bad usage or input, 130 interrupted.
    """
    context.obj = _Tools()


def _stop(_signal: int, _frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit with its status."""
    signal.signal(signal.SIGTERM, _stop)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # names may have letters that a terminal lacks
    app(None if arguments is None else list(arguments), prog_name="forge1sim")

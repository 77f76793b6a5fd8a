"""`forge1sim gateway` and `forge1sim emulator`. Loading a scenario is the composition root's: it comes in by the context."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Protocol

import typer

from live_adapter.billing import commands as billing

if TYPE_CHECKING:
    from live_adapter.making import Planned

gateway = typer.Typer(pretty_exceptions_enable=False, no_args_is_help=True, add_completion=False, rich_markup_mode=None)
emulator = typer.Typer(pretty_exceptions_enable=False, no_args_is_help=True, add_completion=False, rich_markup_mode=None)
HOST, PORT, EMULATOR_PORT = "127.0.0.1", 8780, 8790

ScenarioFile = Annotated[Path, typer.Argument(help="The scenario file.", show_default=False)]
Settings = Annotated[list[str] | None, typer.Option("--set", metavar="PATH=VALUE", help="Change a field, as for `run`.")]
Host = Annotated[str, typer.Option(help="Address to listen on.")]


class Tools(Protocol):
    """What the composition root hands to commands that may not import the simulator."""

    def load(self, scenario: Path, settings: Sequence[str]) -> Planned: ...  # noqa: D102
    def replays(self) -> Mapping[str, Callable[..., None]]: ...  # noqa: D102


@gateway.callback()
def _serve() -> None:
    """Serve real traffic by the policies of a scenario."""


@gateway.command("serve")
def serve_gateway(
    context: typer.Context, scenario: ScenarioFile, host: Host = HOST,
    port: Annotated[int, typer.Option(help="Port to listen on.")] = PORT,
    live: Annotated[Path | None, typer.Option(help="Live configuration: providers, keys, defaults of calls.")] = None,
    emulated: Annotated[str | None, typer.Option("--emulator", metavar="URL", help="Use the emulator there, not providers.")] = None,
    keys: Annotated[Path | None, typer.Option(help="File of gateway keys (`gateway mint`).")] = None,
    tenant: Annotated[str | None, typer.Option(help="Without --keys: whose calls these are.")] = None,
    journal: Annotated[Path | None, typer.Option(help="Folder to keep all inputs, decisions and attempts in.")] = None,
    redis: Annotated[str | None, typer.Option(metavar="URL", help="Redis by which replicas share the accounts' limits.")] = None,
    replicas: Annotated[int, typer.Option(min=1, max=500, help="With --redis: how many gateways share the accounts at most.")] = 2,
    settings: Settings = None,
) -> None:  # fmt: skip
    """Serve OpenAI's, Anthropic's and Gemini's calls on HOST:PORT.

    Provider keys come from FORGE1_KEY_<ACCOUNT>, or as --live says.
    """
    import uvicorn

    from live_adapter.errors import LiveConfigError
    from live_adapter.gateway_keys import GatewayKeys
    from live_adapter.making import maker, replica_maker
    from live_adapter.server import GatewayApp

    loaded = _tools(context).load(scenario, settings or [])
    make, tenants = maker(loaded, live=live, emulator_url=emulated, journal=journal)
    if keys is None and tenant not in tenants:
        raise LiveConfigError(f"--tenant is {tenant!r}; without --keys it must be one of the scenario's, such as {tenants[0]!r}")
    if keys is None and host not in ("127.0.0.1", "::1", "localhost"):
        raise LiveConfigError(f"--host is {host}: without --keys whoever reaches it may spend; give --keys, or listen on {HOST}")
    replica_of = None if redis is None else replica_maker(redis, replicas)
    app = GatewayApp(make, keys=None if keys is None else GatewayKeys(keys), tenant=tenant, replica_of=replica_of)
    typer.echo(f"http://{host}:{port}/v1", err=True)
    uvicorn.run(app, host=host, port=port, log_level="warning", access_log=False, lifespan="on", timeout_graceful_shutdown=40)


@gateway.command("mint")
def mint_key(
    tenant: Annotated[str, typer.Argument(help="The tenant whose key it is.")],
    keys: Annotated[Path, typer.Option(help="File of gateway keys; made if there is none.")],
) -> None:
    """Make a gateway key for a tenant, and print it this once."""
    from live_adapter.gateway_keys import mint

    typer.echo(mint(keys, tenant))


@gateway.command("revoke")
def revoke_keys(
    tenant: Annotated[str, typer.Argument(help="The tenant whose keys they are.")],
    keys: Annotated[Path, typer.Option(help="File of gateway keys.")],
) -> None:
    """Take all gateway keys of a tenant back; a gateway that runs notices within a second."""
    from live_adapter.gateway_keys import revoke

    typer.echo(f"{revoke(keys, tenant)} taken back")


@gateway.command("replay")
def replay_journal(
    context: typer.Context, journal: Annotated[Path, typer.Argument(help="Folder of the journal.", show_default=False)]
) -> None:
    """Feed a journal again under three clocks, and compare every decision; exit status 1 if one differs."""
    from live_adapter.replaying import compared, decisions, read_recording, replay_live

    recording = read_recording(journal)
    typer.echo(f"{len(recording.inputs):,} inputs, {len(recording.log):,} decisions", err=True)
    found = {
        name: compared(recording, decisions(recording, replay))
        for name, replay in {"live": replay_live, **_tools(context).replays()}.items()
    }  # fmt: skip
    for name, one in found.items():
        told = f"differs at {one.first_difference}" if one.first_difference else f"{one.same_rows:,} decisions, all the same"
        typer.echo(f"{name}: {told}")
    if any(one.first_difference for one in found.values()):
        raise typer.Exit(1)


@gateway.command("ledger")
def fold_ledger(
    journal: Annotated[Path, typer.Argument(help="Folder of the journal.", show_default=False)],
    url: Annotated[str, typer.Option(help="The database, as SQLAlchemy writes it: sqlite:///FILE or postgresql+psycopg://...")],
    csv: Annotated[Path | None, typer.Option(help="Write all attempts of the ledger into this file, too.")] = None,
    by: Annotated[str, typer.Option(help="Print what was spent by tenant, tier, model or account.")] = "tenant",
) -> None:
    """Fold a journal into a ledger of attempts; folding it again changes nothing."""
    from live_adapter.billing.money import written
    from live_adapter.errors import LiveConfigError
    from live_adapter.ledger import Ledger

    if by not in ("tenant", "tier", "model", "account"):
        raise LiveConfigError(f"--by is {by!r}, must be tenant, tier, model or account")
    ledger = Ledger(url)
    typer.echo(f"{ledger.fold(journal):,} attempts", err=True)
    for name, nano_usd in ledger.spent_nano_usd(by).items():
        typer.echo(f"{name}: {written(nano_usd)} USD")
    if csv is not None:
        with csv.open("w", encoding="utf-8", newline="") as file:
            ledger.write_csv(file)


gateway.command("invoice")(billing.invoice)
gateway.command("focus")(billing.focus)
gateway.command("reconcile")(billing.reconcile)


@emulator.callback()
def _emulate() -> None:
    """Serve the providers of a scenario, without spending money."""


@emulator.command("serve")
def serve_emulator(
    context: typer.Context, scenario: ScenarioFile, host: Host = HOST,
    port: Annotated[int, typer.Option(help="Port to listen on.")] = EMULATOR_PORT,
    speed_up: Annotated[float, typer.Option(help="Answers take this many times less time.", min=0.001, max=1e6)] = 1.0,
    settings: Settings = None,
) -> None:  # fmt: skip
    """Serve the accounts of a scenario with their limits, speeds and faults: OpenAI's, Anthropic's and Gemini's protocols."""
    from live_adapter.driver import WallClock
    from live_adapter.emulated import emulated_config
    from policies.layout import lay_out
    from provider_emulator.__main__ import serve_until_stopped

    loaded = _tools(context).load(scenario, settings or [])
    layout = lay_out(loaded.platform, WallClock.now()())
    asyncio.run(serve_until_stopped(emulated_config(layout, loaded.faults, seed=loaded.seed, speed_up=speed_up), host, port))


def _tools(context: typer.Context) -> Tools:
    tools: Tools = context.find_root().obj
    return tools

"""`forge1sim policies`: what is shipped, a start for your own, and whether it holds the contract."""

import keyword
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from forge1sim.cli.output import JsonOption, NoColorOption, QuietOption, hint, print_json, print_table
from forge1sim.errors import RunError

CONTRACT_BROKEN = 1
OWN = "file.py:function"


class Kind(StrEnum):
    """Which decision a policy of one's own takes."""

    ROUTING = "routing"
    SCALING = "scaling"
    TIER = "tier"


policies = typer.Typer(pretty_exceptions_enable=False, no_args_is_help=True, add_completion=False, rich_markup_mode=None)


@policies.callback()
def _about() -> None:
    """List policies, start your own, check it (docs/write_a_policy.md)."""


@policies.command("list")
def list_policies(as_json: JsonOption = False, quiet: QuietOption = False, no_color: NoColorOption = False) -> None:
    """List the shipped policies by the field of `policies` that names them, and which may be your own."""
    from policies.contracts import CONTRACTS  # noqa: PLC0415
    from policies.shipped import SHIPPED  # noqa: PLC0415

    if as_json:
        own = [asdict(contract) for contract in CONTRACTS.values()]
        print_json({"policies": [asdict(policy) for policy in SHIPPED], "own": own})
    else:
        rows = [(policy.field, policy.name, policy.about) for policy in SHIPPED]
        rows += [(own.field, OWN, f"your own: ({', '.join(own.arguments)}) -> {own.answer}") for own in CONTRACTS.values()]
        print_table(("field", "name", "what it does"), rows, no_color=no_color)
    hint("Next: forge1sim run SCENARIO --set policies.FIELD=NAME, or forge1sim policies new NAME", quiet=quiet)


@policies.command("new")
def new(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the function, and of its file.")],
    kind: Annotated[Kind, typer.Option("--kind", help="What it decides.")] = Kind.ROUTING,
    into: Annotated[Path, typer.Option("--into", metavar="DIR", help="An existing folder.")] = Path(),
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Write NAME.py, a policy to start from, and test_NAME.py, which holds it to its laws."""
    from forge1sim.cli.policy_templates import TEMPLATES  # noqa: PLC0415

    if not name.isidentifier() or keyword.iskeyword(name) or not name.isascii():
        raise RunError(f"NAME is {name!r}; should be a Python name, such as cheapest_first")
    policy, test = TEMPLATES[kind.value]
    texts = {into / f"{name}.py": policy, into / f"test_{name}.py": test}
    for path in texts:
        if path.exists():
            raise RunError(f"{path}: exists already and is not replaced; choose another NAME or --into")
    for path, text in texts.items():
        _write_new(path, text.replace("NAME", name))
    written = [str(path) for path in texts]
    if as_json:
        print_json({"written": written})
    else:
        print("\n".join(written))
    hint(f"Next: forge1sim policies check {written[0]}:{name} && pytest {written[1]}", quiet=quiet)


def _write_new(path: Path, text: str) -> None:
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise RunError(f"{path}: cannot be written: {error.strerror}") from error


@policies.command("check")
def check(
    policy: Annotated[str, typer.Argument(metavar="FILE:FUNCTION", help="Such as mine.py:cheapest_first.")],
    kind: Annotated[Kind | None, typer.Option("--kind", help="What it decides; else its arguments tell.")] = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
    no_color: NoColorOption = False,
) -> None:
    """Hold a policy to its contract, rule by rule. Runs the file. Exit status 0: held; 1: broken; 2: bad usage."""
    file, _, function = policy.rpartition(":")
    if not file or not function.isidentifier():
        raise RunError(f"{policy!r} names no policy; should be FILE:FUNCTION, such as mine.py:cheapest_first")
    if not Path(file).is_file():
        raise RunError(f"{file}: no such file")
    from policies.contracts import CONTRACTS  # noqa: PLC0415
    from policies.registry import examine_policy  # noqa: PLC0415

    hint("Checking; compiling takes a few seconds the first time.", quiet=quiet)
    examination = examine_policy(Path(file), function, kind)
    held = examination.policy is not None
    if as_json:
        print_json({"policy": policy, "kind": examination.kind, "passed": held, "checks": [asdict(rule) for rule in examination.checks]})
    else:
        words = {True: "pass", False: "FAIL", None: "not tried"}
        rows = [(rule.name, words[rule.passed], rule.message or rule.rule) for rule in examination.checks]
        print_table(("check", "result", "rule, or what breaks it"), rows, title=f"{examination.kind} policy", no_color=no_color)
    if not held:
        raise typer.Exit(CONTRACT_BROKEN)
    setting = f"policies.{CONTRACTS[examination.kind].field}={Path(file).name}:{function}"
    hint(f"Next: forge1sim run SCENARIO --policy-folder {Path(file).parent} --set {setting}", quiet=quiet)

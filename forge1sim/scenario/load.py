"""Loading a scenario: read, merge, override, validate, resolve, check, hash."""

import hashlib
import json
import re
import shlex
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice
from pathlib import Path

from pydantic import ValidationError

from forge1sim.catalogue.catalogue import Catalogue, Figure
from forge1sim.catalogue.load import load_catalogue, shipped_names
from forge1sim.errors import CatalogueError, ScenarioError
from forge1sim.scenario import checks, resolve
from forge1sim.scenario.extends import read_extended
from forge1sim.scenario.folders import Folders, find_inside
from forge1sim.scenario.overrides import apply_override
from forge1sim.scenario.problems import MAX_FINDINGS, Finding, scenario_error, schema_findings, shown_value
from forge1sim.scenario.schema import (
    DURATION_PATTERN,
    CatalogueModel,
    Scenario,
    ScenarioTenants,
    Slo,
    is_seconds,
)
from forge1sim.scenario.yaml_tree import Node, Path_, Place, node_of
from forge1sim.workload.spec import ServeGen, Source, Synthetic
from policies.bundle import PolicyBundle
from policies.contracts import CONTRACTS, OWN_POLICY
from policies.schema import Fault, Model, Platform

MAX_POLICY_BYTES = 1024 * 1024
_SECONDS = {"ms": 0.001, "s": 1.0, "min": 60.0, "h": 3600.0, "d": 86_400.0, "w": 604_800.0}


@dataclass(frozen=True, kw_only=True)
class LoadedScenario:
    """A scenario resolved and checked: nothing in it refers to a file or catalogue any more but data files.

    `groups` are the platform's tenants in the same order with their demand and tier. `data_files`
    leads from each path that a workload source names to the file, `user_policies` from
    `file.py:function` to its file. `path` and `overrides` (`path=value`) are as they were given.
    """

    scenario: Scenario
    path: Path
    platform: Platform
    groups: tuple[ScenarioTenants, ...]
    assumptions: tuple[Figure, ...]
    folders: Folders
    overrides: tuple[str, ...] = ()
    data_files: dict[str, Path] = field(default_factory=dict)
    user_policies: dict[str, Path] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The scenario's name."""
        return self.scenario.name

    @property
    def folder(self) -> Path:
        """The folder of the scenario file; data files are named from here."""
        return self.path.parent

    @property
    def bundle(self) -> PolicyBundle:
        """The policies, their parameters and the tiers."""
        return self.scenario.policies

    @property
    def bundle_hash(self) -> str:
        """SHA-256 over the bundle, all of `policies` and the user policies that it names."""
        return self.bundle.content_hash(tuple(path.read_bytes() for _, path in sorted(self.user_policies.items())))

    @property
    def workload_sources(self) -> tuple[Source, ...]:
        """Where requests come from."""
        return self.scenario.workload.sources

    def located_sources(self) -> tuple[Source, ...]:
        """The sources with the full path of every data file, as `build_workload` opens them."""
        return tuple(self._located(source) for source in self.workload_sources)

    def _located(self, source: Source) -> Source:
        if isinstance(source, Synthetic):
            return source
        paths = {"path": str(self.data_files[source.path])}
        if isinstance(source, ServeGen):
            paths["lengths"] = str(self.data_files[source.lengths])
        return source.model_copy(update=paths)

    @property
    def source_folders(self) -> tuple[Path, ...]:
        """The folders that data files lie in: the scenario's own, then the operator's."""
        return tuple(folder.resolve() for folder in (self.folder, *self.folders.data))

    @property
    def faults(self) -> tuple[Fault, ...]:
        """What goes wrong, and when."""
        return self.scenario.faults

    @property
    def slos(self) -> tuple[Slo, ...]:
        """What is promised."""
        return self.scenario.slos

    @property
    def seed(self) -> int:
        """The seed of every draw."""
        return self.scenario.seed

    @property
    def start_us(self) -> int:
        """The scenario's start in microseconds since the epoch."""
        return round(self.scenario.start.timestamp() * 1_000_000)

    @property
    def horizon_us(self) -> int:
        """How long requests arrive, in microseconds."""
        return round(self.scenario.horizon_s * 1_000_000)

    @property
    def drain_us(self) -> int:
        """How long the run goes on after the horizon at most, in microseconds."""
        return round(self.scenario.drain_s * 1_000_000)

    def command(self, driver: str, seed: int) -> str:
        """The command that repeats a run of this scenario, from the same folder and with the same environment."""
        words = ["forge1sim", "run", str(self.path)]
        for override in self.overrides:
            words += ["--set", override]
        words += ["--driver", driver, "--seed", str(seed)]
        by_default = Folders.of()
        for option, folders, known in (
            ("--data-folder", self.folders.data, by_default.data),
            ("--policy-folder", self.folders.policies, by_default.policies),
        ):
            for folder in folders:
                words += [] if folder in known else [option, str(folder)]
        return shlex.join(words)

    @cached_property
    def expected_requests(self) -> float:
        """About how many requests are generated; recorded traces are not counted."""
        return checks.expected_requests(self.scenario, by_hour=True)

    @cached_property
    def hash(self) -> str:
        """SHA-256 over all that decides the results but our own code.

        Contents of data files and user policies count; name, description and folder do not.
        """
        return hashlib.sha256(self.resolved_json().encode()).hexdigest()

    def resolved_json(self) -> str:
        """Everything that decides the results, as canonical JSON (keys sorted, no spaces)."""
        decides = {
            "platform": self.platform.model_dump(mode="json"),
            "demand": [group.demand.model_dump(mode="json") if group.demand else None for group in self.groups],
            "data": {name: _sha256_of(path) for name, path in sorted(self.data_files.items())},
            "user_policies": {name: _sha256_of(path) for name, path in sorted(self.user_policies.items())},
        } | self.scenario.model_dump(
            mode="json",
            include={"schema_version", "workload", "policies", "slos", "seed", "start", "horizon_s", "drain_s"},
        )
        return json.dumps(decides, sort_keys=True, separators=(",", ":"))


def load_scenario(
    path: str | Path,
    overrides: Sequence[str] = (),
    *,
    seed: int | None = None,
    folders: Folders | None = None,
    client: Node | None = None,
) -> LoadedScenario:
    """Read a scenario file with everything it extends, apply `path=value` overrides, resolve and check it.

    `seed` replaces the scenario's. `folders` says where data and policies may come from besides
    the scenario's folder (default: `Folders.of()`). `client` is one more group of tenants, after the scenario's.

    Raises:
        ScenarioError: everything that is wrong with the file, a line each.
    """
    file = Path(path)
    tree = read_extended(file)
    for override in overrides:
        tree = apply_override(tree, override)
    if seed is not None:
        assert isinstance(tree.content, dict)
        tree.content["seed"] = node_of(seed, Place("--seed", 0))
    if client is not None:
        tree = _with_tenants(tree, client)
    tree = durations_in_seconds(tree)
    scenario = _validated(tree)
    return _Loader(tree, scenario, file, folders or Folders.of(), tuple(overrides)).load()


def _with_tenants(tree: Node, client: Node) -> Node:
    assert isinstance(tree.content, dict)
    tenants = tree.content.get("tenants")
    known = tenants.content if tenants is not None and isinstance(tenants.content, list) else []
    return Node({**tree.content, "tenants": Node([*known, client], tree.place)}, tree.place)


def _validated(tree: Node) -> Scenario:
    data = tree.plain()
    try:
        return Scenario.model_validate(data)
    except ValidationError as error:
        raise scenario_error(tree, schema_findings(error, Scenario, data)) from None


def durations_in_seconds(node: Node, name: str = "") -> Node:
    """`90s`, `15min` or `1d` in every field of seconds as a number."""
    if isinstance(node.content, dict):
        return Node({key: durations_in_seconds(child, key) for key, child in node.content.items()}, node.place)
    if isinstance(node.content, list):
        return Node([durations_in_seconds(child, name) for child in node.content], node.place)
    if is_seconds(name) and isinstance(node.content, str) and re.fullmatch(DURATION_PATTERN, node.content):
        number = re.match(r"[0-9.]+", node.content)
        assert number is not None
        unit = node.content[number.end() :].strip()
        return Node(float(number.group()) * _SECONDS[unit], node.place)
    return node


class _Loader:
    """Resolves one validated scenario; collects findings as far as it can go."""

    def __init__(self, tree: Node, scenario: Scenario, path: Path, folders: Folders, overrides: tuple[str, ...]) -> None:
        self.tree, self.scenario, self.path, self.folders, self.overrides = tree, scenario, path, folders, overrides
        self.findings: list[Finding] = []

    def load(self) -> LoadedScenario:
        scenario, findings = self.scenario, self.findings
        catalogue = self._catalogue()
        self._note(checks.name_findings(scenario))
        models = resolve.resolve_models(scenario, catalogue, findings)
        self._note(checks.account_findings(scenario, models, catalogue.providers))
        self._stop_if_any()
        accounts = tuple(
            resolve.resolve_account(row, account, catalogue, models, findings)
            for row, account in enumerate(scenario.accounts)
        )
        groups = resolve.resolve_tenants(scenario, findings)
        self._note(checks.model_findings(models, accounts))
        self._note(checks.tenant_findings(scenario, groups, accounts, models))
        self._note(checks.policy_findings(scenario))
        self._note(checks.fault_findings(scenario, accounts))
        self._note(checks.slo_findings(scenario))
        self._note(checks.plan_findings(scenario))
        self._note(checks.workload_findings(scenario))
        data_files, user_policies = dict(self._data_files()), dict(self._user_policies())
        self._stop_if_any()
        platform = Platform(
            models=tuple(models.values()),
            accounts=accounts,
            providers=resolve.resolve_providers(scenario, catalogue, models),
            tenants=tuple(resolve.as_tenant_group(group) for group in groups),
            faults=scenario.faults,
        )
        return LoadedScenario(
            scenario=scenario,
            path=self.path,
            platform=platform,
            groups=groups,
            assumptions=self._assumptions(catalogue, models),
            folders=self.folders,
            overrides=self.overrides,
            data_files=data_files,
            user_policies=user_policies,
        )

    def _note(self, findings: Iterable[Finding]) -> None:
        self.findings.extend(islice(findings, MAX_FINDINGS))

    def _stop_if_any(self) -> None:
        if self.findings:
            raise scenario_error(self.tree, self.findings)

    def _catalogue(self) -> Catalogue:
        name = self.scenario.catalogue
        try:
            return load_catalogue(name if name in shipped_names() else find_inside(name, (self.path.parent,), "the folder"))
        except (CatalogueError, ValueError) as error:
            text = " ".join(str(error).split())
            words = f"is {shown_value(name)}: {text}; shipped catalogues: {', '.join(shipped_names())}"
            raise scenario_error(self.tree, [(("catalogue",), words)]) from error

    def _assumptions(self, catalogue: Catalogue, models: dict[int, Model]) -> tuple[Figure, ...]:
        """Catalogue figures in use that nobody published or measured; what the scenario says itself is not asked."""
        named = [item.catalogue if isinstance(item, CatalogueModel) else item for item in self.scenario.models]
        tiers = [(account.provider, account.usage_tier) for account in self.scenario.accounts if account.usage_tier]
        return tuple(catalogue.assumptions([name for name in named if isinstance(name, str)], tiers))

    def _data_files(self) -> Iterator[tuple[str, Path]]:
        for row, source in enumerate(self.scenario.workload.sources):
            if isinstance(source, Synthetic):
                continue
            names = {"path": source.path} | ({"lengths": source.lengths} if isinstance(source, ServeGen) else {})
            for name_field, name in names.items():
                path: Path_ = ("workload", "sources", row, name_field)
                try:
                    yield name, self.folders.data_file(name, self.path.parent)
                except (ValueError, OSError) as error:
                    self.findings.append((path, f"is {shown_value(name)}: {error}"))

    def _user_policies(self) -> Iterator[tuple[str, Path]]:
        for kind, name in self.scenario.policies.own_policies().items():
            try:
                if not re.fullmatch(OWN_POLICY, name):
                    raise ValueError("should be file.py:function")
                file = self.folders.policy_file(name.rpartition(":")[0])
                if file.stat().st_size > MAX_POLICY_BYTES:
                    raise ValueError(f"more than {MAX_POLICY_BYTES:,} bytes")
                yield name, file
            except (ValueError, OSError) as error:
                path: Path_ = ("policies", *CONTRACTS[kind].field.split("."))
                self.findings.append((path, f"is {shown_value(name)}: {error}"))


def _sha256_of(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ScenarioError(f"{path.name}: cannot be read: {error.strerror}") from error

"""Where trials are kept: in memory, in an SQLite file or in a PostgreSQL database, to be continued."""

import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Literal, Protocol

from forge1sim.ask import Ask
from forge1sim.errors import ExperimentError
from forge1sim.experiments.outcome import Outcome
from forge1sim.experiments.tuning.goals import as_numbers, as_stored
from forge1sim.experiments.workers import Finished

if TYPE_CHECKING:
    from optuna.storages import BaseStorage
    from optuna.study import Study

Runs = Callable[[Sequence[Ask]], Iterable[Finished[Outcome]]]
MADE_OF, WHY = "made_of", "why"


class Holder(Protocol):
    """A study or a trial: what keeps outcomes by name."""

    @property
    def user_attrs(self) -> dict[str, Any]: ...  # noqa: D102
    def set_user_attr(self, key: str, value: Any) -> None: ...  # noqa: D102


def kept_outcomes(runs: Runs, wanted: Sequence[tuple[Holder, str, Ask]]) -> list[Outcome | str]:
    """The outcome of each, or why there is none: kept ones, and those of runs that are made now and kept as they end."""
    missing = [(holder, key, ask) for holder, key, ask in wanted if key not in holder.user_attrs]
    for done in runs([ask for _, _, ask in missing]) if missing else ():
        holder, key, _ = missing[done.number]
        holder.set_user_attr(key, {WHY: done.failure} if done.value is None else as_stored(done.value))
    return [outcome_in(holder.user_attrs, key) for holder, key, _ in wanted]


def outcome_in(kept: dict[str, Any], key: str) -> Outcome | str:
    """A kept outcome, or why there is none."""
    return str(kept[key][WHY]) if WHY in kept[key] else as_numbers(kept[key])


def mark_of(made_of: dict[str, Any]) -> str:
    """What is made of this, as a short text: a study, or the policies of a point."""
    return hashlib.sha256(json.dumps(made_of, sort_keys=True).encode()).hexdigest()[:16]


def open_study(storage: str | None, name: str, directions: "list[Literal['minimize', 'maximize']]", made_of: dict[str, Any]) -> "Study":
    """The study of this name, new or continued.

    Raises ExperimentError: the storage cannot be used, or holds a study of this name that asks something else.
    """
    import optuna
    from sqlalchemy.exc import SQLAlchemyError

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    shown, kept = f"--storage {storage}", _storage_of(storage)
    try:
        study = optuna.create_study(storage=kept, study_name=name, directions=directions, load_if_exists=True)
        before = study.user_attrs.get(MADE_OF)
        if before is None:
            study.set_user_attr(MADE_OF, made_of)
    except (SQLAlchemyError, optuna.exceptions.StorageInternalError) as error:
        raise ExperimentError(f"{shown}: cannot be used: {_reason(error)}") from error
    differs = sorted(key for key in made_of if before is not None and before.get(key) != made_of[key])
    if differs:
        raise ExperimentError(f"{shown}: study {name!r} was begun with another {' and '.join(differs)}; name another with --study")
    return study


def _storage_of(storage: str | None) -> "BaseStorage | None":
    """An opened storage; the tables are made if they are not there."""
    import optuna
    from sqlalchemy.exc import SQLAlchemyError

    if storage is None:
        return None
    url = _url_of(storage)
    try:
        return optuna.storages.RDBStorage(url, skip_compatibility_check=False)
    except ImportError as error:
        wants = "for PostgreSQL install forge1sim[postgres]"
        raise ExperimentError(f"--storage {storage}: needs a package that is not here ({error}); {wants}") from error
    except (SQLAlchemyError, optuna.exceptions.StorageInternalError, RuntimeError, ValueError) as error:
        raise ExperimentError(f"--storage {storage}: cannot be used: {_reason(error)}") from error


def _url_of(storage: str) -> str:
    """A name without `://` is a file for SQLite."""
    scheme, colon, rest = storage.partition("://")
    if not storage.strip():
        raise ExperimentError("--storage is empty; should be a file name, sqlite:///FILE or postgresql://USER@HOST/DATABASE")
    if not colon:
        return f"sqlite:///{storage}"
    if scheme in {"postgres", "postgresql"}:
        return f"postgresql+psycopg://{rest}"
    if scheme.partition("+")[0] not in {"sqlite", "postgresql"}:
        raise ExperimentError(f"--storage {storage}: {scheme!r} is no kind of storage; there are sqlite and postgresql")
    return storage


def _reason(error: BaseException) -> str:
    """The root of an error in one line, without the pages that databases add."""
    while error.__cause__ is not None or error.__context__ is not None:
        error = error.__cause__ or error.__context__ or error
    return " ".join(str(error).split())[:300] or type(error).__name__

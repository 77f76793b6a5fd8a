"""A run folder appears whole or not at all."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from forge1sim.errors import RunError

MARK = "summary.json"      # every run folder has it; only folders that have it are ever replaced


def check_free(out: Path, *, force: bool) -> None:
    """Raise RunError if results cannot go to `out`: something is there that we may not replace."""
    if not out.name or (out.exists() and not out.is_dir()):
        raise RunError(f"--out {out}: not a folder; name a new one")
    filled = out.is_dir() and any(out.iterdir())
    if filled and not force:
        raise RunError(f"--out {out}: exists and is not empty; name another folder, or replace it with --force")
    if filled and not (out / MARK).is_file():
        raise RunError(f"--out {out}: --force replaces run folders only, and this one has no {MARK}; name another folder")


@contextmanager
def result_folder(out: Path, *, force: bool) -> Iterator[Path]:
    """A new folder beside `out` that takes its name when the block ends well, and is removed when it does not.

    Raises:
        RunError: `out` is taken, or cannot be written.
    """
    check_free(out, force=force)
    unfinished = out.parent / f".{out.name}.unfinished-{os.getpid()}"
    missing = [folder for folder in out.parents if not folder.exists()]
    try:
        unfinished.mkdir(parents=True)
        yield unfinished
        _take_place(unfinished, out)
    except BaseException as error:
        shutil.rmtree(unfinished, ignore_errors=True)
        for folder in missing:
            with suppress(OSError):
                folder.rmdir()
        if isinstance(error, OSError):
            raise RunError(f"--out {out}: cannot be written: {error.strerror or error}") from error
        raise


def _take_place(unfinished: Path, out: Path) -> None:
    if out.exists():
        old = unfinished.with_name(f"{unfinished.name}-replaced")
        out.rename(old)
        unfinished.rename(out)
        shutil.rmtree(old, ignore_errors=True)
    else:
        unfinished.rename(out)

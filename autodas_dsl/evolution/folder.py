"""The folder of a run: one process at a time, one set of options, no file ever half-written."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from autodas_dsl.evolution.journal import unwritable
from autodas_dsl.language.errors import InputError
from autodas_dsl.language.files import read_file, write_atomic

LOCK = ".lock"
RUN = "run.json"
JOURNAL = "journal.txt"
MAX_BYTES = 256 << 20
"""Of a file of a run that is read whole."""
COMMAND = "command.txt"
Json = Mapping[str, Any]


@contextmanager
def opened(
    folder: Path, description: Json, resume: bool, command: Sequence[str] = ()
) -> Iterator[Path]:
    """Hold the lock of a run folder that holds this run and no other.

    The lock is the operating system's: it ends with the process, however that ends.

    Parameters
    ----------
    folder : Path
        Created when it is not there, its parents too.
    description : mapping
        What determines the result; written to ``run.json`` at the start.
    resume : bool
        Continue the run that the folder holds; more iterations extend it.
    command : sequence of str
        The command line that starts it, kept beside ``run.json`` where there is one.

    Raises
    ------
    InputError
        E601 the folder holds a run already; E602 there is nothing to resume; E603 the options
        changed; E604 another process works on it; E605 it cannot be written.
    """
    if resume and not folder.is_dir():
        raise nothing_to_resume(folder)
    with _locked(folder):
        _same_run(folder, description, resume, command)
        _clear(folder)
        yield folder


def probe(folder: Path, resume: bool) -> None:
    """Refuse early what `opened` would refuse after the statistics were collected.

    Raises
    ------
    InputError
        E601, E602 or E605, as `opened`.
    """
    if resume and not folder.is_dir():
        raise nothing_to_resume(folder)
    if not resume and (folder / RUN).exists():
        raise _taken(folder)
    above = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not above.is_dir():
        raise _no_place(folder, f"{above} is not a folder")
    if not os.access(above, os.W_OK):
        raise _no_place(folder, f"no permission to write in {above}")


def _no_place(folder: Path, why: str) -> InputError:
    return InputError("E605", f"cannot write {folder}: {why}", "choose another folder with --run")


def nothing_to_resume(folder: Path) -> InputError:
    return InputError("E602", f"there is no run in {folder}", "start one with --run")


def another_run(folder: Path, changed: Sequence[str]) -> InputError:
    """The error for options that a run was not started with."""
    return InputError(
        "E603", f"this is not the run that {folder} holds: {', '.join(changed)}",
        "leave them out (only --iterations may grow), or start another run with --run",
    )  # fmt: skip


def unreadable(path: Path) -> InputError:
    """The error for a file that says nothing about a run."""
    return InputError("E606", f"{path} cannot be read as a run", "choose another folder with --run")


def _taken(folder: Path) -> InputError:
    return InputError(
        "E601", f"{folder} already holds a run",
        f"continue it with --resume {folder}, or choose another folder with --run",
    )  # fmt: skip


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    lock = FileLock(folder / LOCK, fallback_to_soft=False)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire(blocking=False)
    except Timeout:
        raise InputError(
            "E604", f"another process is working on {folder}",
            "wait for it, or choose another folder with --run",
        ) from None  # fmt: skip
    except OSError as error:
        raise unwritable(folder, error) from error
    try:
        yield
    finally:
        lock.release()


def _same_run(folder: Path, description: Json, resume: bool, command: Sequence[str]) -> None:
    path = folder / RUN
    if not path.exists():
        _begin(folder, description, command)
        return
    if not resume:
        raise _taken(folder)
    try:
        before = json.loads(read_file(path, MAX_BYTES))["run"]
        now = json.loads(text_of(description))
        changed = differences(before, now)
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        raise unreadable(path) from None
    if changed and not _extends(before, now):
        raise another_run(folder, changed)
    if changed:
        (folder / COMMAND).unlink(missing_ok=True)  # of the shorter run
        _begin(folder, description, command)
    else:
        _remember(folder, command)


def _begin(folder: Path, description: Json, command: Sequence[str]) -> None:
    """Write what a process that is killed from now on can be resumed from."""
    _remember(folder, command)
    write_atomic(folder / RUN, text_of({"run": description}))


def _remember(folder: Path, command: Sequence[str]) -> None:
    if command:
        write_atomic(folder / COMMAND, shlex.join(command) + "\n")


def _extends(before: Any, now: Any) -> bool:
    """Whether one run differs from an earlier one by more iterations only."""
    try:
        earlier, later = before["options"]["iterations"], now["options"]["iterations"]
        grown = {**before, "options": {**before["options"], "iterations": later}}
    except (KeyError, TypeError):
        return False
    return isinstance(earlier, int) and earlier < later and not differences(grown, now)


def differences(before: Any, now: Any, name: str = "") -> list[str]:
    """What differs between two descriptions, in words."""
    if isinstance(before, dict) and isinstance(now, dict):
        keys = [*before, *(key for key in now if key not in before)]
        return [
            text
            for key in keys
            for text in differences(before.get(key), now.get(key), f"{name}.{key}".strip("."))
        ]
    if isinstance(before, list) and isinstance(now, list) and len(before) == len(now):
        return [
            text
            for number, (old, new) in enumerate(zip(before, now, strict=True))
            for text in differences(old, new, f"{name}[{number}]")
        ]
    return [] if before == now else [f"{name} was {json.dumps(before)}, is {json.dumps(now)}"]


def _clear(folder: Path) -> None:
    """Remove temporary files that a killed process left behind."""
    for part in [*folder.glob(".*.part"), *folder.glob("*/.*.part")]:
        part.unlink(missing_ok=True)


def text_of(value: Json) -> str:
    """JSON that is the same for the same value, with a line end."""
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"

"""The folder of a run, which alone knows the names of its files: one process at a time, one set of
options, no file ever half-written; and read back when the search is over."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout

from autodas_dsl.evolution import run_records as records
from autodas_dsl.evolution.finished import Run
from autodas_dsl.evolution.journal import Journal, unwritable
from autodas_dsl.evolution.run_files import MAX_BYTES, json_of, take, text_of
from autodas_dsl.evolution.run_records import Famed, Found, Generation, Null, TableUsed
from autodas_dsl.language.documents import read_document
from autodas_dsl.language.errors import InputError
from autodas_dsl.language.files import plain_name, read_file, write_atomic
from autodas_dsl.language.proxy import Proxy, format_document

if TYPE_CHECKING:
    from autodas_dsl.evaluation.sensitivity import Sensitivity
    from autodas_dsl.evolution.measure import TableScores

SCORES = "scores.csv"
SENSITIVITY = "sensitivity.csv"
LOCK = ".lock"
FORMAT = 1
Json = Mapping[str, Any]


@dataclass(frozen=True)
class SavedRun:
    """Everything that a finished search left behind.

    Attributes
    ----------
    folder : RunFolder
    raw : str
        The text of ``run.json``.
    options : mapping
        What determined the search.
    command : str
        The command that started it; empty when the run keeps none.
    tables : tuple of TableUsed
    found : Found
    best : Proxy
    pareto : tuple of Proxy
        Simplest first.
    hall_of_fame : tuple of Famed
        Simplest first.
    history : tuple of Generation
    scores : tuple of TableScores
        Empty when the run kept none.
    sensitivity : tuple of Sensitivity
        Empty when it was not measured.
    null : Null or None
        What searches on shuffled accuracies found, where there were any.
    sum : Proxy or None
        The best sum of formulas, where one was better than each of them.
    """

    folder: RunFolder
    raw: str
    options: dict[str, Any]
    command: str
    tables: tuple[TableUsed, ...]
    found: Found
    best: Proxy
    pareto: tuple[Proxy, ...]
    hall_of_fame: tuple[Famed, ...]
    history: tuple[Generation, ...]
    scores: tuple[TableScores, ...] = ()
    sensitivity: tuple[Sensitivity, ...] = ()
    null: Null | None = None
    sum: Proxy | None = None


class RunFolder:
    """The folder of one search.

    Parameters
    ----------
    path : Path
        Created by `opened` when it is not there, its parents too.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.run = path / "run.json"
        self.best = path / "best.proxy"
        self.sum = path / f"{records.SUM_NAME}.proxy"
        self.command = path / "command.txt"
        self.plots = path / "plots"
        self.report = path / "report.html"
        self._journal = path / "journal.txt"
        self._pareto = path / "pareto"
        self._hall_of_fame = path / "hall_of_fame.csv"
        self._history = path / "history.csv"
        self._scores = path / SCORES
        self._sensitivity = path / SENSITIVITY
        self._simplified = path / "simplified.proxy"
        self._null = path / "null.json"

    def best_bytes(self) -> bytes:
        """The document of the best formula; nothing while there is none."""
        return self.best.read_bytes() if self.best.exists() else b""

    # --- while it is searched -----------------------------------------------------------------

    def probe(self, resume: bool) -> None:
        """Refuse early what `opened` would refuse after the statistics were collected.

        Raises
        ------
        InputError
            E601, E602 or E605, as `opened`.
        """
        if resume and not self.path.is_dir():
            raise self.nothing_to_resume()
        if not resume and self.run.exists():
            raise self._taken()
        above = next(p for p in (self.path, *self.path.absolute().parents) if p.exists())
        if not above.is_dir():
            raise self._no_place(f"{above} is not a folder")
        if not os.access(above, os.W_OK):
            raise self._no_place(f"no permission to write in {above}")

    @contextmanager
    def opened(
        self, description: Json, resume: bool, command: Sequence[str] = ()
    ) -> Iterator[Journal]:
        """Hold the lock of a folder that holds this run and no other; gives its journal.

        The lock is the operating system's: it ends with the process, however that ends.

        Parameters
        ----------
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
        if resume and not self.path.is_dir():
            raise self.nothing_to_resume()
        with self._locked():
            self._same_run(description, resume, command)
            for part in [*self.path.glob(".*.part"), *self.path.glob("*/.*.part")]:
                part.unlink(missing_ok=True)  # of a process that was killed
            journal = Journal(self._journal)
            try:
                yield journal
            finally:
                journal.close()

    @contextmanager
    def _locked(self) -> Iterator[None]:
        lock = FileLock(self.path / LOCK, fallback_to_soft=False)
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            lock.acquire(blocking=False)
        except Timeout:
            raise InputError(
                "E604", f"another process is working on {self.path}",
                "wait for it, or choose another folder with --run",
            ) from None  # fmt: skip
        except OSError as error:
            raise unwritable(self.path, error) from error
        try:
            yield
        finally:
            lock.release()

    def _same_run(self, description: Json, resume: bool, command: Sequence[str]) -> None:
        if not self.run.exists():
            self._begin(description, command)
            return
        if not resume:
            raise self._taken()
        try:
            before = json.loads(read_file(self.run, MAX_BYTES))["run"]
            now = json.loads(json_text(description))
            changed = differences(before, now)
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            raise unreadable(self.run) from None
        if changed and not _extends(before, now):
            raise self.another_run(changed)
        if changed:
            self.command.unlink(missing_ok=True)  # of the shorter run
            self._begin(description, command)
        else:
            self._remember(command)

    def _begin(self, description: Json, command: Sequence[str]) -> None:
        """Write what a process that is killed from now on can be resumed from."""
        self._remember(command)
        write_atomic(self.run, json_text({"run": description}))

    def _remember(self, command: Sequence[str]) -> None:
        if command:
            write_atomic(self.command, shlex.join(command) + "\n")

    # --- what it found ------------------------------------------------------------------------

    def save(self, description: Json, run: Run) -> None:
        """Write every final file, each atomically; ``run.json`` last, with the outcome in it.

        Raises
        ------
        InputError
            When a file cannot be written; the others are whole.
        """
        try:
            self._pareto.mkdir(exist_ok=True)
        except OSError as error:
            raise unwritable(self._pareto, error) from error
        front = {f"{proxy.name}.proxy": format_document(proxy) for proxy in run.pareto}
        for name, text in front.items():
            write_atomic(self._pareto / name, text)
        for path in self._pareto.glob("*.proxy"):
            if path.name not in front:  # of an earlier state of the same run
                path.unlink(missing_ok=True)
        write_atomic(self._hall_of_fame, records.hall_of_fame_text(run.entries))
        write_atomic(self._history, records.history_text(run.steps))
        write_atomic(self.best, format_document(run.best))
        _write_or_remove(self.sum, format_document(run.sum.proxy) if run.sum else "")
        outcome = records.found_json(run.found)
        write_atomic(self.run, json_text({"run": description, "outcome": outcome}))

    def save_scores(self, tables: Sequence[TableScores]) -> None:
        write_atomic(self._scores, records.scores_text(tables))

    def save_simplified(self, text: str) -> None:
        """Write the simplified formula; without one, remove that of an earlier state."""
        _write_or_remove(self._simplified, text)

    def save_null(self, null: Null | None) -> None:
        """Write the null level; without one, remove that of an earlier state."""
        _write_or_remove(self._null, json_text(asdict(null)) if null else "")

    def save_sensitivity(self, rows: Sequence[Sensitivity]) -> Path:
        """Keep what the formulas of a run depend on beside the run, for its report.

        Parameters
        ----------
        rows : sequence of Sensitivity
            The best formula is called ``best``.

        Returns
        -------
        Path
            The file.

        Raises
        ------
        InputError
            E640 when the folder holds no run, or as `write_atomic`.
        """
        self.require()
        write_atomic(self._sensitivity, records.sensitivity_text(rows))
        return self._sensitivity

    def drop_sensitivity(self) -> bool:
        """Remove what was measured about a best formula that is the best no more.

        Returns
        -------
        bool
            Whether there was anything.
        """
        there = self._sensitivity.exists()
        self._sensitivity.unlink(missing_ok=True)
        return there

    # --- read back ----------------------------------------------------------------------------

    def require(self) -> None:
        """Refuse a folder that holds no run.

        Raises
        ------
        InputError
            E640.
        """
        if not self.run.is_file():
            path = self.path
            what = f"{path} is no run: it has no {self.run.name}"
            if not path.is_dir():
                what = f"{path} is no folder" if path.exists() else f"there is no run {path}"
            raise InputError("E640", what, "give the folder that `evolve --run` wrote")

    def read(self) -> SavedRun:
        """Everything that the finished search left behind.

        Raises
        ------
        InputError
            E640 there is no run; E641 it has not finished; E642 a file is missing or damaged; E643
            it was written by a newer version.
        """
        self.require()
        raw = text_of(self.run)
        data = json_of(raw, self.run)
        run = take(data, "run", dict, self.run)
        version = take(run, "format", int, self.run)
        if version > FORMAT:
            raise InputError("E643", f"{self.run} has format {version}",
                             f"this version reads format {FORMAT}; install a newer one")  # fmt: skip
        if "outcome" not in data:
            raise InputError("E641", f"the run in {self.path} has not finished",
                             f"finish it with `evolve --resume {self.path}`, then report it")  # fmt: skip
        scores = records.scores_of(self._scores)
        found = records.found_of(take(data, "outcome", dict, self.run), self.run)
        tables = take(run, "tables", list, self.run)
        return SavedRun(
            folder=self,
            raw=raw,
            options=take(run, "options", dict, self.run),
            command=text_of(self.command).strip() if self.command.exists() else "",
            tables=tuple(records.table_of(one, self.run) for one in tables),
            found=records.with_intervals(found, scores),
            best=read_document(self.best),
            pareto=tuple(sorted(map(read_document, self._pareto.glob("*.proxy")), key=_size)),
            hall_of_fame=records.hall_of_fame_of(self._hall_of_fame),
            history=records.history_of(self._history),
            scores=scores,
            sensitivity=records.sensitivity_of(self._sensitivity),
            null=records.null_of(self._null),
            sum=read_document(self.sum) if found.sum else None,
        )

    # --- what is wrong with it ----------------------------------------------------------------

    def nothing_to_resume(self) -> InputError:
        return InputError("E602", f"there is no run in {self.path}", "start one with --run")

    def another_run(self, changed: Sequence[str]) -> InputError:
        """The error for options that a run was not started with."""
        return InputError(
            "E603", f"this is not the run that {self.path} holds: {', '.join(changed)}",
            "leave them out (only --iterations may grow), or start another run with --run",
        )  # fmt: skip

    def _no_place(self, why: str) -> InputError:
        return InputError(
            "E605", f"cannot write {self.path}: {why}", "choose another folder with --run"
        )

    def _taken(self) -> InputError:
        return InputError(
            "E601", f"{self.path} already holds a run",
            f"continue it with --resume {self.path}, or choose another folder with --run",
        )  # fmt: skip


def unreadable(path: Path) -> InputError:
    """The error for a file that says nothing about a run."""
    return InputError("E606", f"{path} cannot be read as a run", "choose another folder with --run")


def free_folder(root: Path, tables: Sequence[str | Path]) -> Path:
    """The first unused ``root/TABLES-N``."""
    stem = "+".join(plain_name(Path(str(table)).stem) for table in tables)
    number = 1
    while (root / f"{stem}-{number}").exists():
        number += 1
    return root / f"{stem}-{number}"


def _write_or_remove(path: Path, text: str) -> None:
    if text:
        write_atomic(path, text)
    else:
        path.unlink(missing_ok=True)


def _size(proxy: Proxy) -> tuple[int, str]:
    """The complexity in the name of a formula of the front."""
    digits = proxy.name.rpartition("_")[2]
    return (int(digits) if digits.isdigit() else 0, proxy.name)


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


def json_text(value: Json) -> str:
    """JSON that is the same for the same value, with a line end."""
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"

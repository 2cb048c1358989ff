"""The folder of a finished search, read back."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autodas_dsl.evaluation.bootstrap import interval
from autodas_dsl.evolution.folder import COMMAND, RUN
from autodas_dsl.evolution.results import BEST, HALL_OF_FAME, HISTORY, PARETO, Step
from autodas_dsl.language.documents import read_document
from autodas_dsl.language.errors import InputError
from autodas_dsl.language.files import write_atomic
from autodas_dsl.language.proxy import Proxy
from autodas_dsl.report.run_files import (
    damaged,
    json_of,
    number_of,
    rows_of,
    take,
    text_of,
    whole_number_of,
)

if TYPE_CHECKING:
    from autodas_dsl.evaluation.sensitivity import Sensitivity

SCORES = "scores.csv"
SENSITIVITY = "sensitivity.csv"
FORMAT = 1
NULL = "null.json"
_PLACE = ("table", "target", "architecture", "half", "accuracy")


@dataclass(frozen=True, slots=True)
class Reached:
    """What a formula reached on one half of one table; None where undefined.

    `low` and `high` bound the 95 % bootstrap interval of Spearman where it is known.
    """

    table: str
    half: str
    n: int
    kendall: float | None
    spearman: float | None
    pearson: float | None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class TableUsed:
    """A table of the search, as ``run.json`` records it."""

    name: str
    target: str
    split: str
    selection: int
    held_out: int
    fingerprint: str


@dataclass(frozen=True, slots=True)
class Scored:
    """One architecture: its accuracy, and the scores of some formulas; NaN where invalid."""

    table: str
    half: str
    architecture: str
    accuracy: float
    scores: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Moved:
    """How the scores of a formula changed when one thing did; see `scoring.sensitivity`."""

    proxy: str
    changed: str
    agreement: float | None
    change: float | None
    depends: bool


@dataclass(frozen=True, slots=True)
class Found:
    """What the search did; the outcome part of ``run.json``.

    `rejected` maps reasons to numbers of formulas.
    """

    stopped: str
    complexity: int
    tau: float
    evaluations: int
    same_formula: int
    same_ranks: int
    screened_out: int
    rejected: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Famed:
    """A formula of the hall of fame.

    `numbers` maps every other column of ``hall_of_fame.csv`` to its value, NaN where undefined.
    """

    formula: str
    complexity: int
    numbers: Mapping[str, float]

    @property
    def tau(self) -> float:
        return self.numbers["tau"]


@dataclass(frozen=True)
class RunFolder:
    """Everything that a finished search left behind.

    Attributes
    ----------
    path : Path
    raw : str
        The text of ``run.json``.
    options : mapping
        What determined the search.
    command : str
        The command that started it; empty when the run keeps none.
    tables : tuple of TableUsed
    found : Found
    reached : mapping of str to tuple of Reached
        ``best`` and every baseline.
    best : Proxy
    pareto : tuple of Proxy
        Simplest first.
    hall_of_fame : tuple of Famed
        Simplest first.
    history : tuple of Step
    scores : tuple of Scored
        Empty when the run kept none.
    sensitivity : tuple of Moved
        Empty when it was not measured.
    null : tuple of float
        The best tau of each search on shuffled accuracies; empty when there was none.
    """

    path: Path
    raw: str
    options: Mapping[str, Any]
    command: str
    tables: tuple[TableUsed, ...]
    found: Found
    reached: Mapping[str, tuple[Reached, ...]]
    best: Proxy
    pareto: tuple[Proxy, ...]
    hall_of_fame: tuple[Famed, ...]
    history: tuple[Step, ...]
    scores: tuple[Scored, ...] = ()
    sensitivity: tuple[Moved, ...] = ()
    null: tuple[float, ...] = ()

    @property
    def null_level(self) -> float | None:
        """The mean of `null`; None when it is empty."""
        return sum(self.null) / len(self.null) if self.null else None


def read_run(path: Path) -> RunFolder:
    """Read the folder of a finished search.

    Raises
    ------
    InputError
        E640 there is no run; E641 it has not finished; E642 a file is missing or damaged; E643 it
        was written by a newer version.
    """
    require_run(path)
    raw = text_of(path / RUN)
    data = json_of(raw, path / RUN)
    run = take(data, "run", dict, path / RUN)
    version = take(run, "format", int, path / RUN)
    if version > FORMAT:
        raise InputError("E643", f"{path / RUN} has format {version}",
                         f"this version reads format {FORMAT}; install a newer one")  # fmt: skip
    if "outcome" not in data:
        raise InputError("E641", f"the run in {path} has not finished",
                         f"finish it with `evolve --resume {path}`, then report it")  # fmt: skip
    outcome = take(data, "outcome", dict, path / RUN)
    scores = _scores(path / SCORES)
    return RunFolder(
        path=path,
        raw=raw,
        options=take(run, "options", dict, path / RUN),
        command=_command(path / COMMAND),
        tables=tuple(_table(one, path / RUN) for one in take(run, "tables", list, path / RUN)),
        found=_found(outcome, path / RUN),
        reached=_with_intervals(_reached(outcome, path / RUN), scores),
        best=read_document(path / BEST),
        pareto=_pareto(path / PARETO),
        hall_of_fame=_hall_of_fame(path / HALL_OF_FAME),
        history=tuple(_step(row, path / HISTORY) for row in rows_of(path / HISTORY, _names(Step))),
        scores=scores,
        sensitivity=_sensitivity(path / SENSITIVITY),
        null=_null(path / NULL),
    )


def require_run(path: Path) -> None:
    """Refuse a folder that holds no run.

    Raises
    ------
    InputError
        E640.
    """
    if not (path / RUN).is_file():
        what = f"{path} is no run: it has no {RUN}"
        if not path.is_dir():
            what = f"{path} is no folder" if path.exists() else f"there is no run {path}"
        raise InputError("E640", what, "give the folder that `evolve --run` wrote")


def write_sensitivity(folder: Path, rows: Sequence[Sensitivity]) -> Path:
    """Keep what the formulas of a run depend on beside the run, for its report.

    Parameters
    ----------
    folder : Path
        Of a run.
    rows : sequence of Sensitivity
        From `scoring.sensitivity.sensitivity`; the best formula is called ``best``.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    InputError
        E640 when the folder holds no run, or as `write_atomic`.
    """
    require_run(folder)
    out = io.StringIO()
    writer = csv.DictWriter(out, _names(Moved), lineterminator="\n")
    writer.writeheader()
    writer.writerows(asdict(row) for row in rows)
    write_atomic(folder / SENSITIVITY, out.getvalue())
    return folder / SENSITIVITY


def drop_sensitivity(folder: Path) -> bool:
    """Remove what was measured about a best formula that is the best no more.

    Returns
    -------
    bool
        Whether there was anything.
    """
    try:
        (folder / SENSITIVITY).unlink()
    except FileNotFoundError:
        return False
    return True


def _command(path: Path) -> str:
    return text_of(path).strip() if path.exists() else ""


def _names(kind: Any) -> tuple[str, ...]:
    return tuple(field.name for field in fields(kind))


def _found(outcome: Any, path: Path) -> Found:
    twice = take(outcome, "duplicates", dict, path)
    rejected = take(outcome, "rejected", dict, path)
    counts = {key: take(outcome, key, int, path)
              for key in ("complexity", "evaluations", "screened_out")}  # fmt: skip
    counts |= {key: take(twice, key, int, path) for key in ("same_formula", "same_ranks")}
    return Found(
        stopped=take(outcome, "stopped", str, path),
        tau=take(outcome, "tau", (int, float), path),
        rejected={reason: take(rejected, reason, int, path) for reason in rejected},
        **counts,
    )


def _hall_of_fame(path: Path) -> tuple[Famed, ...]:
    found = []
    for row in rows_of(path, ("complexity", "tau", "formula")):
        numbers = {
            name: math.nan if text in ("", "undefined") else number_of(text, path)
            for name, text in row.items()
            if name not in ("complexity", "formula")
        }
        found.append(Famed(row["formula"], whole_number_of(row["complexity"], path), numbers))
    return tuple(found)


def _table(data: Any, path: Path) -> TableUsed:
    texts = {key: take(data, key, str, path) for key in ("name", "target", "split", "fingerprint")}
    counts = {key: take(data, key, int, path) for key in ("selection", "held_out")}
    return TableUsed(**texts, **counts)


def _reached(outcome: Any, path: Path) -> dict[str, tuple[Reached, ...]]:
    found = {
        "best": tuple(
            _measured(one, path)
            for half in ("selection", "held_out")
            for one in take(outcome, half, list, path)
        )
    }
    for name, facts in take(outcome, "baselines", dict, path).items():
        if not isinstance(facts, list):
            raise damaged(path, f"baseline `{name}` is not what it should be")
        found[name] = tuple(_agreement(one, one, "table", path) for one in facts)
    return found


def _measured(data: Any, path: Path) -> Reached:
    found = _agreement(data, take(data, "agreement", dict, path), "task", path)
    interval = take(data, "interval", (dict, type(None)), path)
    if interval is None:
        return found
    low, high = (take(interval, key, (int, float), path) for key in ("low", "high"))
    return replace(found, low=low, high=high)


def _agreement(place: Any, numbers: Any, table: str, path: Path) -> Reached:
    values = [take(numbers, key, (int, float, type(None)), path)
              for key in ("kendall", "spearman", "pearson")]  # fmt: skip
    return Reached(
        take(place, table, str, path), take(place, "half", str, path),
        take(numbers, "n", int, path), *values,
    )  # fmt: skip


def _with_intervals(
    reached: Mapping[str, tuple[Reached, ...]], scores: Sequence[Scored]
) -> dict[str, tuple[Reached, ...]]:
    """Intervals of the baselines too, where the run kept the scores of single architectures."""
    return {
        name: tuple(one if one.low is not None else _bounded(name, one, scores) for one in facts)
        for name, facts in reached.items()
    }


def _bounded(name: str, one: Reached, scores: Sequence[Scored]) -> Reached:
    rows = [s for s in scores if (s.table, s.half) == (one.table, one.half) and name in s.scores]
    if len(rows) != one.n:
        return one
    found = interval([s.scores[name] for s in rows], [s.accuracy for s in rows])
    return one if found is None else replace(one, low=found.low, high=found.high)


def _pareto(folder: Path) -> tuple[Proxy, ...]:
    found = [read_document(path) for path in sorted(folder.glob("*.proxy"))]
    return tuple(sorted(found, key=lambda proxy: _number_in(proxy.name)))


def _number_in(name: str) -> tuple[int, str]:
    digits = name.rpartition("_")[2]
    return (int(digits) if digits.isdigit() else 0, name)


def _step(row: Mapping[str, str], path: Path) -> Step:
    whole = {
        key: whole_number_of(row[key], path) for key in ("generation", "evaluations", "complexity")
    }
    return Step(**whole, tau=number_of(row["tau"], path), fitness=number_of(row["fitness"], path))


def _scores(path: Path) -> tuple[Scored, ...]:
    if not path.exists():
        return ()
    found = []
    for row in rows_of(path, _PLACE):
        values = {
            k: number_of(v, path) if v else math.nan for k, v in row.items() if k not in _PLACE
        }
        accuracy = number_of(row["accuracy"], path)
        found.append(Scored(row["table"], row["half"], row["architecture"], accuracy, values))
    return tuple(found)


def _sensitivity(path: Path) -> tuple[Moved, ...]:
    if not path.exists():
        return ()
    return tuple(
        Moved(
            row["proxy"], row["changed"],
            number_of(row["agreement"], path) if row["agreement"] else None,
            number_of(row["change"], path) if row["change"] else None,
            row["depends"] == "True",
        )
        for row in rows_of(path, _names(Moved))
    )  # fmt: skip


def _null(path: Path) -> tuple[float, ...]:
    if not path.exists():
        return ()
    taus = take(json_of(text_of(path), path), "taus", list, path)
    return tuple(float(take({"taus": tau}, "taus", (int, float), path)) for tau in taus)

"""The records that a run keeps, each with the text that stands for it in a file, and back."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from autodas_dsl.evaluation.agreement import Agreement, agreement
from autodas_dsl.evaluation.bootstrap import Interval
from autodas_dsl.evaluation.correlations import STATISTICS
from autodas_dsl.evaluation.sensitivity import Sensitivity
from autodas_dsl.evolution.evaluator import Counts
from autodas_dsl.evolution.individual import Individual
from autodas_dsl.evolution.measure import (
    HELD_OUT,
    SELECTION,
    SPEARMAN,
    Measured,
    TableScores,
    shown,
)
from autodas_dsl.evolution.run_files import (
    damaged,
    json_of,
    number_of,
    parsed,
    rows_of,
    take,
    taken,
    text_of,
    whole_number_of,
)
from autodas_dsl.evolution.task import Task
from autodas_dsl.language.format import format_expression

BEST = "best"
SUM = "sum"
"""The names of the best formula, and of the best sum of formulas, beside the baselines."""
SUM_NAME = "best_sum"
"""The name of the document of that sum; `sum` is an operator."""

_PLACE = ("table", "target", "architecture", "half", "accuracy")


@dataclass(frozen=True, slots=True)
class Generation:
    """Where a search stood after one generation."""

    generation: int
    evaluations: int
    tau: float
    fitness: float
    complexity: int


@dataclass(frozen=True)
class Null:
    """What several searches on shuffled accuracies found.

    Attributes
    ----------
    taus : tuple of float
        The best tau of each.
    sums : tuple of float
        That of its best sum, or again of its best formula where no sum was better; none where no
        sums were built.
    """

    taus: tuple[float, ...]
    sums: tuple[float, ...] = ()

    @property
    def mean(self) -> float:
        return sum(self.taus) / len(self.taus)

    @property
    def highest(self) -> float:
        return max(self.taus)

    @property
    def of_sums(self) -> Null | None:
        """The null level of sums, where they were built."""
        return Null(self.sums) if self.sums else None


@dataclass(frozen=True)
class Entry:
    """A formula of the hall of fame with everything measured about it."""

    individual: Individual
    selection: tuple[Measured, ...]
    held_out: tuple[Measured, ...]

    @property
    def formula(self) -> str:
        return format_expression(self.individual.formula)

    def row(self) -> dict[str, Any]:
        """One line of the hall of fame."""
        found: dict[str, Any] = {
            "complexity": self.individual.complexity,
            "tau": self.individual.tau,
            "fitness": self.individual.value,
        }
        for half, measures in (("selection", self.selection), ("held_out", self.held_out)):
            for one in measures:
                name = f"{half}_{one.task}" if len(measures) > 1 else half
                found |= {f"{name}_{key}": getattr(one.agreement, key) for key in STATISTICS}
        return found | {"formula": self.formula}


@dataclass(frozen=True, slots=True)
class Famed:
    """A line of the hall of fame, read back.

    `numbers` maps every other column to its value, NaN where undefined.
    """

    formula: str
    complexity: int
    numbers: Mapping[str, float]

    @property
    def tau(self) -> float:
        return self.numbers["tau"]


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
class FoundSum:
    """The best sum of formulas, as ``run.json`` keeps it."""

    formula: str
    complexity: int
    tau: float


@dataclass(frozen=True, slots=True)
class Found:
    """What the search did; the outcome part of ``run.json``.

    Attributes
    ----------
    stopped : str
        Why it ended.
    best : str
    complexity : int
    tau : float
    counts : Counts
    measured : mapping of str to tuple of Measured
        ``best``, ``sum`` where there is one, and every baseline, the selection of every table
        first.
    sum : FoundSum, optional
    """

    stopped: str
    best: str
    complexity: int
    tau: float
    counts: Counts
    measured: Mapping[str, tuple[Measured, ...]]
    sum: FoundSum | None = None


# --- run.json ---------------------------------------------------------------------------------


def table_json(task: Task) -> dict[str, Any]:
    """A table of the search, with what its scores and accuracies depend on."""
    return {
        "name": task.name,
        "target": task.target,
        "split": task.split,
        "selection": len(task.selection),
        "held_out": len(task.report) if task.report else 0,
        "screens": [len(screen) for screen in task.screens],
        "fingerprint": task.fingerprint,
    }


def table_of(data: Any, path: Path) -> TableUsed:
    return TableUsed(**taken(TableUsed, data, path))


def found_json(found: Found) -> dict[str, Any]:
    counts = found.counts
    others = {name: facts for name, facts in found.measured.items() if name not in (BEST, SUM)}
    return {
        "stopped": found.stopped,
        "best": found.best,
        "complexity": found.complexity,
        "tau": found.tau,
        "evaluations": counts.evaluations,
        "duplicates": {"same_formula": counts.same_formula, "same_ranks": counts.same_ranks},
        "screened_out": counts.screened,
        "rejected": dict(counts.rejected),
        **_halves_json(found.measured[BEST]),
        "sum": asdict(found.sum) | _halves_json(found.measured[SUM]) if found.sum else None,
        "baselines": {n: [_brief_json(one) for one in facts] for n, facts in others.items()},
    }


def found_of(outcome: Any, path: Path) -> Found:
    twice = take(outcome, "duplicates", dict, path)
    rejected = take(outcome, "rejected", dict, path)
    reasons = {reason: take(rejected, reason, int, path) for reason in rejected}
    summed = take({"sum": None, **outcome}, "sum", (dict, type(None)), path)  # older runs have none
    measured = {BEST: _halves_of(outcome, path)}
    if summed is not None:
        measured[SUM] = _halves_of(summed, path)
    return Found(
        **taken(Found, outcome, path, ("stopped", "best", "complexity", "tau")),
        counts=Counts(
            take(outcome, "evaluations", int, path), take(twice, "same_formula", int, path),
            take(twice, "same_ranks", int, path), take(outcome, "screened_out", int, path),
            tuple(reasons.items()),
        ),
        measured=measured | _baselines_of(outcome, path),
        sum=FoundSum(**taken(FoundSum, summed, path)) if summed is not None else None,
    )  # fmt: skip


def _halves_json(facts: Sequence[Measured]) -> dict[str, Any]:
    return {
        "selection": [_measured_json(one) for one in facts if one.half == SELECTION],
        "held_out": [_measured_json(one) for one in facts if one.half != SELECTION],
    }


def _measured_json(one: Measured) -> dict[str, Any]:
    numbers = {f.name: getattr(one.agreement, f.name) for f in fields(Agreement)}
    spread = numbers.pop("intervals").get(SPEARMAN)
    return {
        "task": one.task, "target": one.target, "split": one.split, "half": one.half,
        "agreement": numbers, "interval": asdict(spread) if spread else None,
    }  # fmt: skip


def _brief_json(one: Measured) -> dict[str, Any]:
    numbers = {key: getattr(one.agreement, key) for key in ("n", *STATISTICS)}
    return {"table": one.task, "half": one.half, **numbers}


def _halves_of(data: Any, path: Path) -> tuple[Measured, ...]:
    return tuple(
        Measured(
            **taken(Measured, one, path, ("task", "target", "split", "half")),
            agreement=replace(
                _agreement_of(take(one, "agreement", dict, path), path),
                intervals=_interval_of(one, path),
            ),
        )
        for half in ("selection", "held_out")
        for one in take(data, half, list, path)
    )


def _baselines_of(outcome: Any, path: Path) -> dict[str, tuple[Measured, ...]]:
    found = {}
    for name, facts in take(outcome, "baselines", dict, path).items():
        if not isinstance(facts, list):
            raise damaged(path, f"baseline `{name}` is not what it should be")
        found[name] = tuple(
            Measured(take(one, "table", str, path), "", "", take(one, "half", str, path),
                     _agreement_of(one, path))
            for one in facts
        )  # fmt: skip
    return found


def _agreement_of(data: Any, path: Path) -> Agreement:
    numbers = taken(Agreement, data, path, ("n", *STATISTICS))
    return Agreement(**numbers, invalid=None, ties=None)


def _interval_of(data: Any, path: Path) -> dict[str, Interval]:
    ends = take(data, "interval", (dict, type(None)), path)
    if ends is None:
        return {}
    return {SPEARMAN: Interval(**taken(Interval, ends, path))}


def with_intervals(found: Found, tables: Sequence[TableScores]) -> Found:
    """Intervals of the baselines too, where the run kept the scores of single architectures."""
    return replace(
        found,
        measured={
            name: tuple(
                one if one.agreement.intervals else _bounded(name, one, tables) for one in facts
            )
            for name, facts in found.measured.items()
        },
    )


def _bounded(name: str, one: Measured, tables: Sequence[TableScores]) -> Measured:
    for table in tables:
        mine = table.held_out == (one.half == HELD_OUT)
        if table.task == one.task and name in table.scores and mine.sum() == one.agreement.n:
            again = agreement(table.scores[name][mine], table.accuracies[mine], (SPEARMAN,))
            return replace(one, agreement=replace(one.agreement, intervals=again.intervals))
    return one


def null_of(path: Path) -> Null | None:
    """The null level; None where the run kept none."""
    if not path.exists():
        return None
    data = json_of(text_of(path), path)
    taus = _taus_of(data, "taus", path)
    sums = _taus_of({"sums": [], **data}, "sums", path)  # older runs have none
    if not taus or len(sums) not in (0, len(taus)):
        raise damaged(path, "it does not hold the correlations of one or more searches")
    return Null(taus, sums)


def _taus_of(data: Any, name: str, path: Path) -> tuple[float, ...]:
    found = take(data, name, list, path)
    return tuple(float(take({name: one}, name, (int, float), path)) for one in found)


# --- tables -----------------------------------------------------------------------------------


def csv_text(rows: Iterable[Mapping[str, Any]], names: Sequence[str] = ()) -> str:
    """Rows under the names of their columns, by default those of the first row."""
    rows = list(rows)
    names = list(names or (rows[0] if rows else ()))
    out = io.StringIO()
    if names:
        writer = csv.DictWriter(out, names, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    return out.getvalue()


def _rounded(row: Mapping[str, Any]) -> dict[str, Any]:
    """Numbers with four decimals; nothing where there is none."""
    cells = {k: shown(v) if isinstance(v, float) else v for k, v in row.items()}
    return {k: "" if v is None else v for k, v in cells.items()}


def hall_of_fame_text(entries: Sequence[Entry]) -> str:
    return csv_text(_rounded(entry.row()) for entry in entries)


def hall_of_fame_of(path: Path) -> tuple[Famed, ...]:
    found = []
    for row in rows_of(path, ("complexity", "tau", "formula")):
        numbers = {
            name: math.nan if text in ("", "undefined") else number_of(text, path)
            for name, text in row.items()
            if name not in ("complexity", "formula")
        }
        found.append(Famed(row["formula"], whole_number_of(row["complexity"], path), numbers))
    return tuple(found)


def history_text(generations: Sequence[Generation]) -> str:
    return csv_text(_rounded(asdict(one)) for one in generations)


def history_of(path: Path) -> tuple[Generation, ...]:
    names = [field.name for field in fields(Generation)]
    return tuple(Generation(**parsed(Generation, row, path)) for row in rows_of(path, names))


def scores_text(tables: Sequence[TableScores]) -> str:
    """One line per architecture, an empty cell where a score is invalid."""
    names = tables[0].scores
    rows = (
        dict(zip(_PLACE, (t.task, t.target, t.architectures[i], half, _number(t.accuracies[i])), strict=True))
        | {name: _number(t.scores[name][i]) for name in names}
        for t in tables
        for i, half in enumerate(t.halves)
    )  # fmt: skip
    return csv_text(rows, (*_PLACE, *names))


def _number(value: float) -> str:
    return "" if math.isnan(value) else repr(float(value))


def scores_of(path: Path) -> tuple[TableScores, ...]:
    """The scores of every table; empty where the run kept none."""
    if not path.exists():
        return ()
    found = []
    for (table, target), group in groupby(
        rows_of(path, _PLACE), key=lambda row: (row["table"], row["target"])
    ):
        rows = list(group)
        names = [name for name in rows[0] if name not in _PLACE]
        found.append(
            TableScores(
                table, target, tuple(row["architecture"] for row in rows),
                np.array([row["half"] != SELECTION for row in rows]),
                np.array([number_of(row["accuracy"], path) for row in rows]),
                {
                    name: np.array([number_of(row[name], path) if row[name] else math.nan for row in rows])
                    for name in names
                },
            )
        )  # fmt: skip
    return tuple(found)


_MOVED = tuple(field.name for field in fields(Sensitivity))


def sensitivity_text(rows: Sequence[Sensitivity]) -> str:
    return csv_text(map(asdict, rows), _MOVED)


def sensitivity_of(path: Path) -> tuple[Sensitivity, ...]:
    """What the scores depend on; empty where it was not measured."""
    if not path.exists():
        return ()
    return tuple(Sensitivity(**parsed(Sensitivity, row, path)) for row in rows_of(path, _MOVED))

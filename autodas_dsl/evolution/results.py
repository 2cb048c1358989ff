"""The final files of a run: written whole, without dates or timings."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from autodas_dsl.evolution.folder import RUN, Json, text_of
from autodas_dsl.evolution.individual import Individual
from autodas_dsl.evolution.journal import unwritable
from autodas_dsl.evolution.judge import Counts
from autodas_dsl.evolution.measure import Measured, fact_line, shown
from autodas_dsl.language.files import write_atomic
from autodas_dsl.language.format import format_expression
from autodas_dsl.language.proxy import Formula, Proxy, format_document

PARETO = "pareto"
BEST = "best.proxy"
HALL_OF_FAME = "hall_of_fame.csv"
HISTORY = "history.csv"


@dataclass(frozen=True, slots=True)
class Step:
    """Where a search stood after one generation."""

    generation: int
    evaluations: int
    tau: float
    fitness: float
    complexity: int


@dataclass(frozen=True)
class Null:
    """The best tau of each of several searches on shuffled accuracies."""

    taus: tuple[float, ...]

    @property
    def mean(self) -> float:
        return sum(self.taus) / len(self.taus)

    @property
    def highest(self) -> float:
        return max(self.taus)


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
                found[f"{name}_kendall"] = one.agreement.kendall
                found[f"{name}_spearman"] = one.agreement.spearman
                found[f"{name}_pearson"] = one.agreement.pearson
        found["formula"] = self.formula
        return found


def document(name: str, entry: Entry, about: str, params: Sequence[Measured]) -> Proxy:
    """A formula of the hall of fame as a document."""
    baseline = {(one.task, one.half): one for one in params}
    facts = entry.held_out or entry.selection
    return Proxy(
        name,
        Formula("score", entry.individual.formula),
        about=about,
        measured=tuple(fact_line(one, baseline.get((one.task, one.half))) for one in facts),
    )


def save(
    folder: Path,
    description: Json,
    best: Proxy,
    pareto: Sequence[Proxy],
    entries: Sequence[Entry],
    steps: Sequence[Step],
    outcome: Json,
) -> None:
    """Write every final file, each atomically; ``run.json`` last, with the outcome in it.

    Raises
    ------
    InputError
        When a file cannot be written; the others are whole.
    """
    shelf = folder / PARETO
    try:
        shelf.mkdir(exist_ok=True)
    except OSError as error:
        raise unwritable(shelf, error) from error
    for proxy in pareto:
        write_atomic(shelf / f"{proxy.name}.proxy", format_document(proxy))
    _remove_others(shelf, {f"{proxy.name}.proxy" for proxy in pareto})
    write_atomic(folder / HALL_OF_FAME, hall_of_fame_text(entries))
    write_atomic(folder / HISTORY, _csv([asdict(step) for step in steps]))
    write_atomic(folder / BEST, format_document(best))
    write_atomic(folder / RUN, text_of({"run": description, "outcome": outcome}))


def _remove_others(shelf: Path, kept: set[str]) -> None:
    """Remove the documents of an earlier state of the same run."""
    for path in shelf.glob("*.proxy"):
        if path.name not in kept:
            path.unlink(missing_ok=True)


def hall_of_fame_text(entries: Sequence[Entry]) -> str:
    return _csv([entry.row() for entry in entries])


def _csv(rows: Sequence[dict[str, Any]]) -> str:
    out = io.StringIO()
    if rows:
        writer = csv.DictWriter(out, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows({k: _cell(v) for k, v in row.items()} for row in rows)
    return out.getvalue()


def _cell(value: Any) -> Any:
    if value is None or isinstance(value, float):
        return "" if value is None else shown(value)
    return value


def outcome_of(counts: Counts, stopped: str, best: Entry, baselines: Json) -> Json:
    """The outcome part of ``run.json``."""
    return {
        "stopped": stopped,
        "best": best.formula,
        "complexity": best.individual.complexity,
        "tau": best.individual.tau,
        "evaluations": counts.evaluations,
        "duplicates": {"same_formula": counts.same_formula, "same_ranks": counts.same_ranks},
        "screened_out": counts.screened,
        "rejected": dict(counts.rejected),
        "selection": [asdict(one) for one in best.selection],
        "held_out": [asdict(one) for one in best.held_out],
        "baselines": baselines,
    }

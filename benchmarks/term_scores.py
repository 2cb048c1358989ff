"""Scores of random formulas on all architectures of a table, kept in a file.

What `combiner.py` measures sums on: no network runs twice, and no formula is evaluated twice. Cut
short, it goes on where it was.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from autodas_dsl import spaces
from autodas_dsl.compiler.pipeline import to_ir
from autodas_dsl.evaluation import splits
from autodas_dsl.evolution.config import Config
from autodas_dsl.evolution.generate import Generator
from autodas_dsl.evolution.identity import settled
from autodas_dsl.evolution.run import statistics_needed
from autodas_dsl.evolution.task import Evaluator
from autodas_dsl.evolution.vocabulary import Vocabulary, chosen_operators, chosen_statistics
from autodas_dsl.execution.memory import tune_memory
from autodas_dsl.execution.randomness import Purpose, Stream
from autodas_dsl.language.format import format_expression
from autodas_dsl.language.inputs import Statistic
from autodas_dsl.language.parse import parse
from autodas_dsl.models.load import load_models
from autodas_dsl.scoring.setting import Data, Setting, Teacher, usual_setting
from autodas_dsl.scoring.stored import Stored, collect_table
from autodas_dsl.spaces.base import Space
from autodas_dsl.tables.read import load_table
from autodas_dsl.tables.table import Table

SIZES = ("params", "flops", "layers")
_TOGETHER = 128
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class TermScores:
    """Scores ``[terms, architectures]``, NaN where invalid; the first terms are `SIZES`."""

    name: str
    formulas: tuple[str, ...]
    scores: Floats
    targets: dict[str, Floats]
    classes: tuple[str, ...]
    notes: tuple[str, ...]


def term_scores(
    table: str, folder: Path, *, terms: int = 2000, limit: int | None = None,
    data: str | None = None, batch_size: int | None = None, teacher: str | None = None,
    inputs: Sequence[str] = (),
    together: int = 8, progress: Callable[[str], None] = print,
) -> TermScores:  # fmt: skip
    """Scores of the sizes and of random formulas, collected unless the folder has them."""
    facts = [Path(table).stem, str(terms), *(str(limit or "all"), str(batch_size or "usual"))]
    path = folder / f"{'-'.join([*facts, *inputs]).replace(' ', '_')}.npz"
    if not path.exists():
        path.with_suffix(".parts").mkdir(parents=True, exist_ok=True)
        setting = partial(scored_on, data=data, batch_size=batch_size, teacher=teacher)
        _collected(table, path, terms, limit, setting, inputs, together, progress)
    with np.load(path) as kept:
        targets = {key[7:]: kept[key] for key in kept.files if key.startswith("target ")}
        return TermScores(
            Path(table).stem, tuple(kept["formulas"].tolist()), kept["scores"], targets,
            tuple(kept["classes"].tolist()), tuple(kept["notes"].tolist()),
        )  # fmt: skip


def scored_on(
    space: Space[Any], data: str | None, batch_size: int | None, teacher: str | None
) -> Setting:
    """The space's own data and teacher where there are any; else those given."""
    source = Teacher(load_models(teacher)[0]) if teacher and not space.teacher else None
    return usual_setting(space, Data(data or space.data, batch_size), source)


def listed_scores(table: Path, path: Path) -> TermScores:
    """Scores that a CSV file lists beside the architecture columns that it shares with a table."""
    accuracies, listed = _rows(table), _rows(path)
    keys = [column for column in listed[0] if column in accuracies[0]]
    known = {tuple(row[key] for key in keys): row for row in accuracies}
    rows = [row for row in listed if tuple(row[key] for key in keys) in known]
    names = [column for column in listed[0] if column not in keys]
    beside = [known[tuple(row[key] for key in keys)] for row in rows]
    targets = [column for column in accuracies[0] if column not in keys]
    return TermScores(
        table.stem, tuple(names),
        np.array([[float(row[name] or "nan") for row in rows] for name in names]),
        {name: np.array([float(row[name] or "nan") for row in beside]) for name in targets},
        tuple(" ".join(row[key] for key in keys) for row in rows), (path.name,),
    )  # fmt: skip


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _collected(
    table: str, path: Path, terms: int, limit: int | None, scored: Callable[[Space[Any]], Setting],
    inputs: Sequence[str], together: int, progress: Callable[[str], None],
) -> None:  # fmt: skip
    """Some networks at a time: their statistics go when all formulas have been evaluated on them."""
    torch.set_num_threads(1)
    tune_memory()
    read = load_table(Path(table) if table.endswith(".csv") else table)
    read = drawn_rows(read, limit)
    space = spaces.get(read.space or "")
    config = Config(inputs=tuple(inputs)) if inputs else Config()
    needed = {*statistics_needed(config, ()), *(Statistic(name) for name in SIZES)}
    setting = scored(space)
    formulas: list[str] = []
    found: list[Floats] = []
    for first in range(0, len(read), together):
        part = path.with_suffix(".parts") / f"{first}.npz"
        if not part.exists():
            stored = collect_table(
                read.architectures[first : first + together], space, needed, setting
            )
            formulas = formulas or _drawn_formulas(config, stored, terms)
            evaluate = stored.evaluator(range(len(stored.architectures)))
            scores = _evaluated(evaluate, formulas)
            np.savez_compressed(
                part, scores=scores, notes=np.array(stored.notes), formulas=np.array(formulas)
            )
        with np.load(part) as kept:
            formulas, notes = kept["formulas"].tolist(), kept["notes"]
            found.append(kept["scores"])
        progress(f"{min(first + together, len(read))} of {len(read)} networks")
    scores = np.concatenate(found, axis=1)
    valid = np.isfinite(scores).any(axis=1)
    arrays: dict[str, Any] = {f"target {name}": read.columns[name] for name in read.targets}
    arrays["classes"] = np.array(splits.isomorphism_classes(read, space))
    np.savez_compressed(
        path, formulas=np.array(formulas)[valid], scores=scores[valid], notes=notes, **arrays
    )


def drawn_rows(table: Table, limit: int | None) -> Table:
    """Some rows; a row without any accuracy is left out."""
    known = np.stack([np.isfinite(table.columns[name]) for name in table.targets]).any(axis=0)
    table = table.rows(np.flatnonzero(known))
    return table.rows(splits.sample(table.architectures, limit, 0)) if limit else table


def _drawn_formulas(config: Config, stored: Stored, terms: int) -> list[str]:
    """The sizes, and random formulas, no two of one core tree."""
    vocabulary = Vocabulary(
        chosen_statistics(config.inputs), chosen_operators(), config.terms, stored.allowed
    )
    generator = Generator(vocabulary, config.max_complexity)
    formulas, seen = list(SIZES), set()
    slot = 0
    while len(formulas) < terms + len(SIZES):
        expr = settled(generator.formula(Stream(0, 0, slot, Purpose.FRESH)))
        slot += 1
        if (key := repr(to_ir(expr))) not in seen:
            seen.add(key)
            formulas.append(format_expression(expr))
    return formulas


def _evaluated(evaluate: Evaluator, formulas: Sequence[str]) -> Floats:
    nodes = [to_ir(parse(text)) for text in formulas]
    parts = [nodes[first : first + _TOGETHER] for first in range(0, len(nodes), _TOGETHER)]
    return np.array([outcome.scores for part in parts for outcome in evaluate(part)])

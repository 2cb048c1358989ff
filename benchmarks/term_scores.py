"""Scores of random formulas on all architectures of a table, kept in a file.

What `combiner.py` measures sums on: no network runs twice, and no formula is evaluated twice.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

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
from autodas_dsl.evolution.vocabulary import Vocabulary, chosen_operators, chosen_statistics
from autodas_dsl.execution.memory import tune_memory
from autodas_dsl.execution.randomness import Purpose, Stream
from autodas_dsl.language.format import format_expression
from autodas_dsl.language.inputs import Statistic
from autodas_dsl.language.parse import parse
from autodas_dsl.scoring.setting import Data, usual_setting
from autodas_dsl.scoring.stored import Stored, collect_table
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
    batch_size: int | None = None, inputs: Sequence[str] = (), memory: float = 2.0,
    progress: Callable[[str], None] = print,
) -> TermScores:  # fmt: skip
    """Scores of the sizes and of random formulas, collected unless the folder has them."""
    facts = [Path(table).stem, str(terms), *(str(limit or "all"), str(batch_size or "usual"))]
    path = folder / f"{'-'.join([*facts, *inputs]).replace(' ', '_')}.npz"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        _collected(table, path, terms, limit, batch_size, inputs, memory, progress)
    with np.load(path) as kept:
        targets = {key[7:]: kept[key] for key in kept.files if key.startswith("target ")}
        return TermScores(
            Path(table).stem, tuple(kept["formulas"].tolist()), kept["scores"], targets,
            tuple(kept["classes"].tolist()), tuple(kept["notes"].tolist()),
        )  # fmt: skip


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
    table: str, path: Path, terms: int, limit: int | None, batch_size: int | None,
    inputs: Sequence[str], memory: float, progress: Callable[[str], None],
) -> None:  # fmt: skip
    torch.set_num_threads(1)
    tune_memory()
    read = load_table(Path(table) if table.endswith(".csv") else table)
    read = _drawn(read, limit)
    space = spaces.get(read.space or "")
    config = Config(inputs=tuple(inputs)) if inputs else Config()
    needed = {*statistics_needed(config, ()), *(Statistic(name) for name in SIZES)}
    setting = usual_setting(space, Data(space.data, batch_size))
    stored = collect_table(
        read.architectures, space, needed, setting, memory=int(memory * 2**30),
        progress=lambda _, name: progress(f"collected {name}"),
    )  # fmt: skip
    formulas, scores = _evaluated(config, stored, terms, progress)
    np.savez_compressed(
        path, formulas=np.array(formulas), scores=scores,
        classes=np.array(splits.isomorphism_classes(read, space)), notes=np.array(stored.notes),
        **{f"target {name}": read.columns[name] for name in read.targets},
    )  # fmt: skip


def _drawn(table: Table, limit: int | None) -> Table:
    """Some rows; a row without any accuracy is left out."""
    known = np.stack([np.isfinite(table.columns[name]) for name in table.targets]).any(axis=0)
    table = table.rows(np.flatnonzero(known))
    return table.rows(splits.sample(table.architectures, limit, 0)) if limit else table


def _evaluated(
    config: Config, stored: Stored, terms: int, progress: Callable[[str], None]
) -> tuple[list[str], Floats]:
    """Random formulas, no two of one core tree, that are valid on some architecture."""
    vocabulary = Vocabulary(
        chosen_statistics(config.inputs), chosen_operators(), config.terms, stored.allowed
    )
    generator = Generator(vocabulary, config.max_complexity)
    evaluate = stored.evaluator(range(len(stored.architectures)))
    formulas = list(SIZES)
    rows = [outcome.scores for outcome in evaluate([to_ir(parse(name)) for name in SIZES])]
    seen: set[str] = set()
    slot = 0
    while len(rows) < terms + len(SIZES):
        batch = []
        while len(batch) < _TOGETHER:
            expr = settled(generator.formula(Stream(0, 0, slot, Purpose.FRESH)))
            slot += 1
            node = to_ir(expr)
            if repr(node) not in seen:
                seen.add(repr(node))
                batch.append((expr, node))
        for (expr, _), outcome in zip(batch, evaluate([n for _, n in batch]), strict=True):
            if outcome.valid.any():
                formulas.append(format_expression(expr))
                rows.append(outcome.scores)
        progress(f"{len(rows)} formulas, {slot} drawn")
    return formulas, np.array(rows)

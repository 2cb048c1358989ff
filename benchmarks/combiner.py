"""Sums of terms against single terms: over random splits of one table, held out.

Random formulas are scored once on all architectures and kept in a folder. For every split, sums are
built on the selection half in the ways listed, and rank the held-out half. Prints for each way the
mean and standard deviation over the splits of Spearman held out, Kendall held out, the agreement
that it had on its selection, the terms used and the seconds of CPU. `shuffled` lines are built on
accuracies in random order: what the same way finds in nothing.

    python benchmarks/combiner.py TABLE [--target COLUMN] [--scores FOLDER] [--splits 30] ...
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from term_scores import TermScores, listed_scores, term_scores

from autodas_dsl.compiler.population import percentile
from autodas_dsl.evaluation import splits
from autodas_dsl.evaluation.agreement import agreement
from autodas_dsl.evolution.combiner import Combiner, Scored, Settings, Sum
from autodas_dsl.evolution.fitness import shuffled
from autodas_dsl.language.extend import load_extension

Floats = npt.NDArray[np.float64]

BASE = Settings()
WAYS: dict[str, tuple[Settings, int]] = {
    "best term": (replace(BASE, terms_max=1), 1),
    "sum of 2": (replace(BASE, terms_max=2), 1),
    "sum of 3": (BASE, 1),
    "sum of 4": (replace(BASE, terms_max=4), 1),
    "sum of 8": (replace(BASE, terms_max=8), 1),
    "3, greedy": (replace(BASE, beam=1), 1),
    "3, beam 64": (replace(BASE, beam=64, shortlist=512), 1),
    "3, no bags": (replace(BASE, bags=1, share=1.0), 1),
    "3, 16 bags": (replace(BASE, bags=16), 1),
    "3, the best one": (replace(BASE, near=0.0), 1),
    "3, near 0.02": (replace(BASE, near=0.02), 1),
    "3, margin 0.005": (replace(BASE, margin=0.005), 1),
    "3, margin 0.01": (replace(BASE, margin=0.01), 1),
    "3, margin 0.02": (replace(BASE, margin=0.02), 1),
    "mean of ten 2": (replace(BASE, terms_max=2), 10),
    "mean of ten 3": (BASE, 10),
    "mean of thirty 3": (BASE, 30),
}  # fmt: skip


class Measured(NamedTuple):
    """One way on one split."""

    spearman: float
    kendall: float
    selection: float
    terms: float
    seconds: float


def held_out(found: Sum, scores: Floats, parted: splits.Split) -> Floats:
    """A sum on the held-out architectures; NaN where one of its terms is invalid."""
    total = np.zeros(len(parted.report))
    for term, sign in zip(found.terms, found.signs, strict=True):
        own = scores[term]
        total += sign * percentile(own[parted.report], own[parted.selection])
    return total


def measured(
    way: Settings, ensemble: int, table: TermScores, accuracies: Floats, parted: splits.Split
) -> Measured:
    """Build on the selection, report on the other half."""
    began = time.process_time()
    part = Scored(table.scores[:, parted.selection], accuracies[parted.selection])
    combiner = Combiner([part], way)
    sums = combiner.leaders(way.terms_max)[:ensemble] if ensemble > 1 else combiner.sums()[-1:]
    seconds = time.process_time() - began
    values = [held_out(found, table.scores, parted) for found in sums]
    found = agreement(np.round(np.mean(values, axis=0), 12), accuracies[parted.report])
    terms = len({term for one in sums for term in one.terms})
    return Measured(
        found.spearman or 0.0, found.kendall or 0.0, sums[0].value, terms, seconds
    )  # fmt: skip


def line(name: str, each: list[Measured]) -> str:
    means, spreads = np.mean(each, axis=0), np.std(each, axis=0)
    return (
        f"{name:<20} {means[0]:+.3f} ± {spreads[0]:.3f}   {means[1]:+.3f} ± {spreads[1]:.3f}   "
        f"{means[2]:+.3f}   {means[3]:5.1f}   {means[4]:6.2f}"
    )


def size_alone(term: int, table: TermScores, accuracies: Floats, parted: splits.Split) -> Measured:
    found = agreement(table.scores[term, parted.report], accuracies[parted.report])
    known = agreement(table.scores[term, parted.selection], accuracies[parted.selection])
    return Measured(found.spearman or 0.0, found.kendall or 0.0, known.spearman or 0.0, 1, 0.0)


def on_nothing(
    way: Settings, table: TermScores, accuracies: Floats, parted: splits.Split, repeat: int
) -> Measured:
    """The same on shuffled accuracies of the selection."""
    mixed = accuracies.copy()
    mixed[parted.selection] = shuffled(accuracies[parted.selection], repeat, 0)
    return measured(way, 1, table, mixed, parted)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("table")
    parser.add_argument("--target", help="columns, separated by commas; by default all")
    parser.add_argument("--scores", type=Path, default=Path("runs/combiner"))
    parser.add_argument("--listed", type=Path, help="CSV of scores to take for terms instead")
    parser.add_argument("--terms", type=int, default=2000)
    parser.add_argument("--limit", type=int, help="architectures of the table to use")
    parser.add_argument("--batch-size", type=int)
    parser.add_argument("--inputs", default="")
    parser.add_argument("--data", help="FILE.npz; by default what the space is usually scored on")
    parser.add_argument("--with", dest="extension")
    parser.add_argument("--together", type=int, default=8, help="networks in memory")
    parser.add_argument("--split", default="half")
    parser.add_argument("--splits", type=int, default=30)
    parser.add_argument("--first-split", type=int, default=0)
    parser.add_argument("--ways", help="only those whose name contains one of these words")
    options = parser.parse_args()
    if options.extension:
        load_extension(options.extension)
    if options.listed:
        table = listed_scores(Path(options.table), options.listed)
    else:
        table = term_scores(
            options.table, options.scores, terms=options.terms, limit=options.limit,
            data=options.data, batch_size=options.batch_size,
            inputs=tuple(filter(None, options.inputs.split(","))), together=options.together,
            progress=lambda text: print(f"# {text}", flush=True),
        )  # fmt: skip
    targets = options.target.split(",") if options.target else list(table.targets)
    words = (options.ways or "").split(",")
    ways = {name: way for name, way in WAYS.items() if any(word in name for word in words)}
    numbers = range(options.first_split, options.first_split + options.splits)
    for target in targets:
        report(table, target, ways, options.split, numbers)


def report(
    table: TermScores, target: str, ways: dict[str, tuple[Settings, int]], how: str, numbers: range
) -> None:  # fmt: skip
    """Print the table of one column of accuracies."""
    known = np.flatnonzero(np.isfinite(table.targets[target]))
    table = replace(
        table, scores=table.scores[:, known], classes=tuple(table.classes[row] for row in known),
        targets={target: table.targets[target][known]},
    )  # fmt: skip
    accuracies = table.targets[target]
    parts = [splits.split(table.classes, how, number) for number in numbers]
    print(f"\n{table.name}, {target}: {len(table.formulas)} terms, {len(parts[0].selection)} to select, "
          f"{len(parts[0].report)} to report, {len(parts)} splits\n"
          f"{'':<20} {'Spearman':<15}  {'Kendall':<15}  selection terms   CPU s")  # fmt: skip

    def show(name: str, each: Iterable[Measured]) -> None:
        print(line(name, list(each)), flush=True)

    numbered = list(zip(numbers, parts, strict=True))
    for term, name in enumerate(table.formulas[:2]):
        show(name, (size_alone(term, table, accuracies, parted) for parted in parts))
    for name, (way, ensemble) in ways.items():
        each = (
            measured(replace(way, seed=seed), ensemble, table, accuracies, parted)
            for seed, parted in numbered
        )
        show(name, each)
    for size in (1, BASE.terms_max):
        way = replace(BASE, terms_max=size)
        each = (on_nothing(way, table, accuracies, parted, seed) for seed, parted in numbered[:10])
        show(f"shuffled, {size}", each)


if __name__ == "__main__":
    main()

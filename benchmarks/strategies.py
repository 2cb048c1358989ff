"""The search strategies on one table, at equal numbers of evaluated formulas, with and without sums.

Over random splits and seeds of the search: Kendall tau of the best formula and of the best sum of
formulas, on the selection and held out, whenever so many formulas have been evaluated; a search of
4,000 passes by 250 and 1,000. Prints mean and standard deviation, and for the gain of sums held out
its mean and standard error over the pairs. Every formula is evaluated once on all architectures,
whatever the split, and kept in a journal in the folder: a second call goes on from there. Writes one
line per run and count, and the search curves (best tau against evaluations, mean and range).

    python benchmarks/strategies.py [TABLE] [--evaluations 250,1000,4000] [--seeds 5] [--splits 4]
"""

from __future__ import annotations

import argparse
import csv
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch
from remembered import Remembered

from autodas_dsl import spaces
from autodas_dsl.cli.networks import teacher_of
from autodas_dsl.evaluation import splits
from autodas_dsl.evolution.best_sum import BestSum, measure_sum
from autodas_dsl.evolution.config import Config
from autodas_dsl.evolution.individual import Individual
from autodas_dsl.evolution.interrupt import Interrupt
from autodas_dsl.evolution.journal import Journal
from autodas_dsl.evolution.measure import on_both_halves
from autodas_dsl.evolution.run import Search, statistics_needed, without_truth
from autodas_dsl.evolution.task import Task
from autodas_dsl.evolution.watch import Progress
from autodas_dsl.execution.memory import tune_memory
from autodas_dsl.language.infer import Allowed
from autodas_dsl.language.searchers import STRATEGIES
from autodas_dsl.report.pictures import Curve
from autodas_dsl.report.plots import save, search_curve
from autodas_dsl.scoring.setting import Data, usual_setting
from autodas_dsl.scoring.stored import Stored, collect_table
from autodas_dsl.spaces.base import Space
from autodas_dsl.statistics.store import user_store
from autodas_dsl.tables.read import load_table
from autodas_dsl.tables.table import Table

POINTS = 40


@dataclass(frozen=True)
class Row:
    """One search at one number of evaluations; Kendall tau."""

    strategy: str
    split: int
    seed: int
    evaluations: int
    selection: float
    held_out: float
    sum_selection: float
    sum_held_out: float
    terms: int
    complexity: int


class Trace:
    """The best formula after each generation, and the best sum at some numbers of evaluations."""

    def __init__(self, search: Search, counts: Sequence[int]) -> None:
        self.evaluations: list[int] = []
        self.best: list[Individual] = []
        self.sums: list[tuple[Individual, BestSum | None]] = []
        self._search, self._counts = search, counts
        search.go(Interrupt(), None, self._told)
        if search.archive.best is not None:  # those of a search that kept evaluations for the end
            last = search.archive.best, search.best_sum()
            self.sums += [last] * (len(counts) - len(self.sums))

    def _told(self, progress: Progress) -> None:
        if progress.best is None:
            return
        self.evaluations.append(progress.counts.evaluations)
        self.best.append(progress.best)
        for _ in filter(progress.counts.evaluations.__ge__, self._counts[len(self.sums) :]):
            self.sums.append((progress.best, self._search.best_sum()))

    def at(self, evaluations: float) -> Individual:
        """The best formula once so many had been evaluated."""
        place = np.searchsorted(self.evaluations, evaluations, side="right") - 1
        return self.best[max(0, int(place))]

    def held_out(self, best: Iterable[Individual]) -> list[float]:
        """Kendall tau of formulas, as they were oriented, on the held-out architectures."""
        tasks, evaluator = self._search.tasks, self._search.evaluator
        halves = evaluator.on_both_halves([individual.formula for individual in best])
        found = [on_both_halves(tasks, *outcomes)[1][0].agreement for outcomes in halves]
        return [one.kendall or 0.0 for one in found]

    def rows(self, split: int) -> Iterator[Row]:
        tasks, config = self._search.tasks, self._search.config
        for count, (best, found) in zip(self._counts, self.sums, strict=True):
            (held,) = self.held_out([best])
            both = best.tau, held
            if found is not None:
                (one,) = measure_sum(found, self._search.evaluator, tasks).held_out
                both = found.tau, one.agreement.kendall or 0.0
            terms = len(found.terms) if found is not None else 1
            yield Row(
                config.strategy, split, config.seed, count, best.tau, held, *both, terms,
                best.complexity,
            )  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("table", nargs="?", default="digits-resnet")
    parser.add_argument("--target")
    parser.add_argument("--evaluations", default="250,1000,4000", help="ascending")
    parser.add_argument("--strategies", default=",".join(STRATEGIES))
    parser.add_argument("--population", type=int, default=Config.population)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--splits", type=int, default=4)
    parser.add_argument("--fit-constants", action="store_true")
    parser.add_argument("--split", default="half")
    parser.add_argument("--data", help="FILE.npz; by default what the space is usually scored on")
    parser.add_argument("--batch-size", type=int)
    parser.add_argument("--teacher", help="by default the usual one of the space")
    parser.add_argument("--memory", type=float, default=2.0, help="GiB of statistics")
    parser.add_argument("--out", type=Path, default=Path("runs/strategies"))
    options = parser.parse_args()
    torch.set_num_threads(1)
    tune_memory()
    given = Path(options.table) if options.table.endswith(".csv") else options.table
    table = load_table(given)
    space = spaces.get(table.space or "")
    stored = collected(table, space, options)
    options.out.mkdir(parents=True, exist_ok=True)
    with closing(Journal(options.out / f"scores-{stored.known.fingerprint[:16]}.txt")) as journal:
        scores = Remembered(table.name, stored.evaluator(range(len(table))), journal)
        compare(table.measured(options.target)[0], space, scores, stored.known.allowed, options)


def collected(table: Table, space: Space, options: argparse.Namespace) -> Stored:
    """The statistics of all architectures that have an accuracy."""
    data = Data(options.data or space.data, options.batch_size)
    return collect_table(
        table.measured(options.target)[0].architectures, space, statistics_needed(Config(), ()),
        usual_setting(space, data, teacher_of(options.teacher, None, None)), store=user_store(),
        thin=int(options.memory * 2**30),
    )  # fmt: skip


def compare(
    table: Table, space: Space, scores: Remembered, allowed: Allowed, options: argparse.Namespace
) -> None:
    """Search with every strategy, split and seed; print the table, write lines and figures."""
    target = table.target(options.target)
    classes = splits.isomorphism_classes(table, space)
    parts = [splits.split(classes, options.split, number) for number in range(options.splits)]
    tasks = [scores.task(table.name, target, one, table.columns[target]) for one in parts]
    counts = [int(word) for word in options.evaluations.split(",")]
    base = Config(
        population=options.population, iterations=10**6, max_evaluations=counts[-1],
        fit_constants=options.fit_constants,
    )  # fmt: skip
    grid = np.linspace(base.population, counts[-1], POINTS)
    rows: list[Row] = []
    curves = []
    for name in options.strategies.split(","):
        config = replace(base, strategy=name)
        selection, report = [], []
        for number, task in enumerate(tasks):
            for seed in range(options.seeds):
                trace = Trace(Search(replace(config, seed=seed), [task], allowed), counts)
                rows += trace.rows(number)
                print(rows[-1], file=sys.stderr, flush=True)
                path = [trace.at(count) for count in grid]
                selection.append([individual.tau for individual in path])
                report.append(trace.held_out(path))
        curves.append(Curve(name, grid, np.array(selection), np.array(report)))
    with (options.out / "strategies.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(asdict(rows[0])), lineterminator="\n")
        writer.writeheader()
        writer.writerows(map(asdict, rows))
    level = null(base, tasks[0], allowed, counts)
    title = f"{table.name}, {target}: {options.splits} splits, {options.seeds} seeds"
    print(f"{title}, {len(parts[0].selection)} to select, {len(parts[0].report)} held out")
    report_on(rows, level)
    last = level[counts[-1]][0]
    save(search_curve(curves, title=title, null_level=last), options.out / "search_curves")


def null(
    config: Config, task: Task, allowed: Allowed, counts: Sequence[int], repeats: int = 3
) -> dict[int, tuple[float, float]]:
    """The mean tau of the best formula and of the best sum on shuffled accuracies."""
    found = []
    for repeat in range(1, repeats + 1):
        search = Search(config, without_truth([task], 0, repeat), allowed)
        each = Trace(search, counts).sums
        found.append([(best.tau, summed.tau if summed else best.tau) for best, summed in each])
    means = np.mean(found, axis=0)
    return {
        count: (float(one), float(two)) for count, (one, two) in zip(counts, means, strict=True)
    }


def report_on(rows: Sequence[Row], level: dict[int, tuple[float, float]]) -> None:
    """Print a line for every strategy at every number of evaluations."""
    halves = f"{'selection':<13}   {'held out':<13}"
    print(f"{'':22} {'best formula':^29}   {'best sum':^29}   gain held out\n"
          f"{'evaluations':<22} {halves}   {halves}")  # fmt: skip
    for count, (single, summed) in level.items():
        for name in dict.fromkeys(row.strategy for row in rows):
            own = [row for row in rows if (row.evaluations, row.strategy) == (count, name)]
            columns = np.array([
                (r.selection, r.held_out, r.sum_selection, r.sum_held_out) for r in own
            ]).T  # fmt: skip
            cells = "   ".join(f"{c.mean():.3f} ± {c.std():.3f}" for c in columns)
            gain = columns[3] - columns[1]
            error = gain.std(ddof=1) / np.sqrt(len(gain)) if len(gain) > 1 else np.nan
            print(f"{count:>6} {name:<15} {cells}   {gain.mean():+.3f} ± {error:.3f}")
        print(f"{count:>6} {'null level':<15} {single:.3f} {'':26}   {summed:.3f}")


if __name__ == "__main__":
    main()

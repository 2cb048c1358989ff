"""The search strategies on one table, at equal numbers of evaluated formulas, over several seeds.

The selection and the held-out architectures are the same in all runs. Writes one line per run and
the search curves (best tau against evaluations, mean and range over the seeds).

    python benchmarks/strategies.py [TABLE] [--seeds 10] [--evaluations 500] [--out FOLDER]
"""

from __future__ import annotations

import argparse
import csv
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from autodas_dsl import spaces
from autodas_dsl.evaluation.agreement import agreement
from autodas_dsl.evolution.config import STRATEGIES, Config
from autodas_dsl.evolution.individual import Individual
from autodas_dsl.evolution.interrupt import Interrupt
from autodas_dsl.evolution.journal import Memory
from autodas_dsl.evolution.null import null_level
from autodas_dsl.evolution.prepare import Prepared, prepare
from autodas_dsl.evolution.run import Search, statistics_needed
from autodas_dsl.evolution.watch import Progress
from autodas_dsl.execution.jobs import InProcess
from autodas_dsl.report.plots import Curve, save, search_curve
from autodas_dsl.scoring.setting import usual_setting
from autodas_dsl.tables.read import load_table

POINTS = 40


@dataclass(frozen=True)
class Trace:
    """The best formula after each generation, and how many formulas had been evaluated."""

    evaluations: list[int]
    best: list[Individual]
    seconds: float

    def at(self, evaluations: float) -> Individual:
        """The best formula once so many had been evaluated."""
        place = np.searchsorted(self.evaluations, evaluations, side="right") - 1
        return self.best[max(0, int(place))]


def traced(config: Config, prepared: Prepared, memory: Memory) -> tuple[Trace, Search]:
    evaluations: list[int] = []
    best: list[Individual] = []

    def watch(progress: Progress) -> None:
        if progress.best is not None:
            evaluations.append(progress.counts.evaluations)
            best.append(progress.best)

    search = Search(config, [prepared.task], prepared.allowed, memory)
    began = time.process_time()
    search.go(Interrupt(), None, watch)
    return Trace(evaluations, best, time.process_time() - began), search


def held_out(search: Search, prepared: Prepared, best: list[Individual]) -> dict[str, float]:
    """Kendall tau of each formula, as it was oriented, on the held-out architectures."""
    report = prepared.task.report
    if report is None:
        raise SystemExit("the table has no held-out half")
    each = {individual.key: individual for individual in best}
    outcomes = search.evaluator.scores([i.formula for i in each.values()], "report")
    return {
        key: agreement(found[0].scores, report.accuracies).kendall or 0.0
        for key, found in zip(each, outcomes, strict=True)
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("table", nargs="?", default="digits-resnet")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--evaluations", type=int, default=500)
    parser.add_argument("--out", type=Path, default=Path("runs/strategies"))
    options = parser.parse_args()
    table = load_table(options.table)
    space = spaces.get(table.space or "")
    base = Config(iterations=10**6, max_evaluations=options.evaluations)
    needed = statistics_needed(base, ())
    with InProcess() as executor:
        compare(base, prepare(table, space, needed, usual_setting(space), executor), options)


def compare(base: Config, prepared: Prepared, options: argparse.Namespace) -> None:
    """Search with every strategy and seed; write the curves and the figures."""
    options.out.mkdir(parents=True, exist_ok=True)
    memory = Memory()
    grid = np.linspace(base.population, options.evaluations, POINTS)
    curves, rows = [], []
    for strategy in STRATEGIES:
        selection, report = [], []
        for seed in range(options.seeds):
            config = Config(
                iterations=10**6, max_evaluations=options.evaluations, strategy=strategy, seed=seed
            )
            trace, search = traced(config, prepared, memory)
            path = [trace.at(count) for count in grid]
            outside = held_out(search, prepared, path)
            selection.append([individual.tau for individual in path])
            report.append([outside[individual.key] for individual in path])
            rows.append(
                {"strategy": strategy, "seed": seed, "evaluations": trace.evaluations[-1],
                 "selection": selection[-1][-1], "held_out": report[-1][-1],
                 "complexity": path[-1].complexity, "seconds": round(trace.seconds, 2)}
            )  # fmt: skip
            print(rows[-1], file=sys.stderr, flush=True)
        curves.append(Curve(strategy, grid, np.array(selection), np.array(report)))
        ends = np.array([[row[-1] for row in half] for half in (selection, report)])
        print(f"{strategy:15} selection {ends[0].mean():.3f} ± {ends[0].std():.3f}   "
              f"held-out {ends[1].mean():.3f} ± {ends[1].std():.3f}", flush=True)  # fmt: skip
    null = null_level(base, [prepared.task], prepared.allowed, known=memory.facts)
    print(f"null level {null.mean:.3f} (highest of {len(null.taus)}: {null.highest:.3f})")
    with (options.out / "strategies.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    title = f"{prepared.task.name}, {prepared.task.target}, {options.seeds} seeds"
    save(search_curve(curves, title=title, null_level=null.mean), options.out / "search_curves")


if __name__ == "__main__":
    main()

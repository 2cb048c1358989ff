"""Search on one part of a table, report on another: over random splits, seeds and targets.

The search is Algorithm 1 of Auto-DAS with a population of 20, as when the listings of docs/results.md
were made.

Every formula that any of the searches draws is evaluated once, on all architectures; each search
sees the scores on its own selection alone. Prints, for each target, the mean and standard deviation
over splits (and seeds of the search) of Kendall and Spearman on architectures that were not selected
on, the mean ends of their 95 % bootstrap intervals of Spearman, and the lowest and highest, for the
search, params, flops, other formulas and the library on the same architectures; formulas that these
searches found are left out. The formula to keep is the one with the best
selection fitness, never looked up on a report half. Its line is printed last.

    python benchmarks/discover.py TABLE [--target A,B] [--split half] [--inputs W,"grad W"] ...
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from remembered import Remembered

from autodas_dsl import spaces
from autodas_dsl.cli.networks import teacher_of
from autodas_dsl.evaluation import splits
from autodas_dsl.evaluation.agreement import Agreement, agreement
from autodas_dsl.evolution.config import Config
from autodas_dsl.evolution.finished import Run
from autodas_dsl.evolution.run import evolve, statistics_needed
from autodas_dsl.evolution.vocabulary import DEFAULT_INPUTS
from autodas_dsl.execution.jobs import InProcess
from autodas_dsl.execution.memory import tune_memory
from autodas_dsl.language.extend import Input, kind, load_extension, register
from autodas_dsl.language.format import format_expression
from autodas_dsl.language.inputs import Statistic
from autodas_dsl.language.library import library_names, load
from autodas_dsl.scoring.scorebook import ScoreBook
from autodas_dsl.scoring.scorer import bind
from autodas_dsl.scoring.setting import Data, Setting, usual_setting
from autodas_dsl.scoring.stored import Stored, collect_table
from autodas_dsl.scoring.table import score_table
from autodas_dsl.scoring.thinning import Sample, thinned
from autodas_dsl.spaces.base import Space
from autodas_dsl.statistics.store import user_store
from autodas_dsl.tables.read import load_table
from autodas_dsl.tables.table import Table

BESIDE = ("params", "flops")
SLOW = ("grasp", "te_nas")
SIXTEENTH = Sample(share=16)
Floats = npt.NDArray[np.float64]


class Report(NamedTuple):
    """How one formula ranks the architectures of a report half; ends are of Spearman's interval."""

    kendall: float
    spearman: float
    low: float
    high: float


@dataclass(frozen=True)
class Found:
    """What one search found."""

    formula: str
    fitness: float
    selection: float
    report: Report


def reported(found: Agreement) -> Report:
    ends = found.intervals.get("spearman")
    low, high = (ends.low, ends.high) if ends else (np.nan, np.nan)
    return Report(found.kendall or 0.0, found.spearman or 0.0, low, high)


def searched(run: Run) -> Found:
    best = run.champion
    report = best.held_out[0]
    return Found(
        format_expression(run.best.expression), best.individual.value,
        best.selection[0].agreement.spearman or 0.0,
        reported(report.agreement),
    )  # fmt: skip


def library_scores(
    table: Table, space: Space, setting: Setting, extra: Sequence[str]
) -> dict[str, Floats]:
    """Oriented scores of the library (and of other formulas) on all architectures."""
    published = [n for n in library_names() if not load(n).measured]
    names = [*BESIDE, *(n for n in published if n not in (*BESIDE, *SLOW))]
    formulas = [bind(load(name)) for name in (*extra, *names)]
    with ScoreBook() as book:
        runs, _ = score_table(table, space, formulas, setting, 1, 0, book, InProcess())
    found = {}
    for place, formula in enumerate(formulas):
        column = [scores[place] for scores in runs[0]]
        if not any(score.unmet for score in column):
            found[formula.name] = formula.sign * np.array([score.value for score in column])
    return found


def with_scores(stored: Stored, scores: dict[str, Floats]) -> tuple[Stored, tuple[str, ...]]:
    """Scores of library formulas as statistics, one number a network; those that are invalid
    somewhere are left out. In a formula `meco_` stands for the library's `meco`."""
    whole = {name: values for name, values in scores.items() if np.isfinite(values).all()}
    entries = [
        Input(f"{name}_", kind(), f"Score of {name}.", name, "architecture", collect=_not_collected)
        for name in whole
    ]
    register(entries, "the library")
    collected = []
    for place, one in enumerate(stored.collected):
        own = {
            Statistic(f"{name}_"): torch.tensor(values[place], dtype=torch.float64)
            for name, values in whole.items()
        }
        collected.append(replace(one, values={**one.values, **own}))
    return replace(stored, collected=tuple(collected)), tuple(f"{name}_" for name in whole)


def _not_collected(model: object, batch: object) -> float:
    raise LookupError("the scores of the library are known")


def line(name: str, reports: Sequence[Report]) -> str:
    kendall, spearman, low, high = np.array(reports).T
    return (
        f"{name:<24} {kendall.mean():+.3f} ± {kendall.std():.3f}   "
        f"{spearman.mean():+.3f} ± {spearman.std():.3f}   {low.mean():+.3f} {high.mean():+.3f}   "
        f"{spearman.min():+.3f} {spearman.max():+.3f}"
    )


def discover(
    target: str, table: Table, classes: Sequence[str], stored: Stored, scores: Remembered,
    beside: dict[str, Floats], config: Config, options: argparse.Namespace,
) -> None:  # fmt: skip
    """Search on every split with every seed, and print the outcome."""
    accuracies = table.columns[target]
    reports: dict[str, list[Report]] = {name: [] for name in beside}
    found: list[Found] = []
    for number in range(options.splits):
        parted = splits.split(classes, options.split, number)
        task = scores.task(table.name, target, parted, accuracies)
        for name, values in beside.items():
            own, measured = values[parted.report], accuracies[parted.report]
            reports[name].append(reported(agreement(own, measured, ("spearman",))))
        for seed in range(options.seeds):
            run = evolve(replace(config, seed=seed), [task], stored.known.allowed, baselines=())
            found.append(searched(run))
            print(f"# {target} split {number} seed {seed}: selection {found[-1].selection:+.3f} "
                  f"report {found[-1].report.spearman:+.3f} {found[-1].formula}", flush=True)  # fmt: skip
    sizes = f"{len(parted.selection)} to select, {len(parted.report)} to report"
    print(f"\n{table.name}, {target}: {sizes}, {options.splits} splits, {options.seeds} seeds\n"
          f"{'':<24} {'Kendall':<15}   {'Spearman':<15}   95 % interval   lowest highest")  # fmt: skip
    print(line("search", [one.report for one in found]))
    for name in sorted(reports, key=lambda n: -np.mean([one.spearman for one in reports[n]])):
        print(line(name, reports[name]))
    best = max(found, key=lambda one: one.fitness)
    print(f"best on its selection ({best.selection:+.3f} there, {best.report.spearman:+.3f} reported): "
          f"{best.formula}\n", flush=True)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("table")
    parser.add_argument("--target", default="", help="columns, separated by commas")
    parser.add_argument("--split", default="half")
    parser.add_argument("--splits", type=int, default=5)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--limit", type=int, help="architectures of the table to use")
    parser.add_argument("--data", help="FILE.npz; by default what the space is usually scored on")
    parser.add_argument("--batch-size", type=int)
    parser.add_argument("--teacher", help="by default the usual one of the space")
    parser.add_argument("--inputs", default=",".join(DEFAULT_INPUTS))
    parser.add_argument("--operators", default="")
    parser.add_argument("--seed-with", default="")
    parser.add_argument("--with", dest="extension")
    parser.add_argument(
        "--library", action="store_true", help="search over scores of the library instead"
    )
    parser.add_argument("--beside", action="append", default=[], help="another formula to report")
    parser.add_argument("--population", type=int, default=20)
    parser.add_argument("--iterations", type=int, default=100)
    parser.add_argument("--folds", type=int, default=0)
    parser.add_argument("--parsimony", type=float, default=0.001)
    parser.add_argument("--max-complexity", type=int, default=20)
    parser.add_argument("--memory", type=float, default=6, help="GiB of statistics")
    parser.add_argument("--sample", action="store_true", help="one position in 16 of layer tensors")
    options = parser.parse_args()
    torch.set_num_threads(1)
    tune_memory()
    if options.extension:
        load_extension(options.extension)
    given = Path(options.table) if options.table.endswith(".csv") else options.table
    table = load_table(given)
    space = spaces.get(table.space or "")
    targets = options.target.split(",") if options.target else [table.target(None)]
    for target in targets:
        table, _ = table.measured(target)
    if options.limit:
        table = table.rows(splits.sample(table.architectures, options.limit, 0))
    data = Data(options.data or space.data, options.batch_size)
    setting = usual_setting(space, data, teacher_of(options.teacher, None, None))
    config = Config(
        strategy="adaptive-elite",
        population=options.population, iterations=options.iterations, folds=options.folds,
        parsimony=options.parsimony, max_complexity=options.max_complexity,
        inputs=tuple(options.inputs.split(",")),
        operators=tuple(filter(None, options.operators.split(","))),
        seeds=tuple(filter(None, options.seed_with.split(","))),
    )  # fmt: skip
    needed = (Statistic("params"),) if options.library else statistics_needed(config, ())
    stored = collect_table(
        table.architectures, space, needed, setting, store=user_store(),
        thin=int(options.memory * 2**30),
    )  # fmt: skip
    beside = library_scores(table, space, setting, options.beside)
    if options.library:
        stored, names = with_scores(stored, beside)
        config = replace(config, inputs=names, terms="instinct")
    if options.sample:
        small = thinned(stored.collected, SIXTEENTH, stored.known.sample)
        stored = replace(stored, collected=tuple(small))
    scores = Remembered(table.name, stored.evaluator(range(len(table))))
    classes = splits.isomorphism_classes(table, space)
    for target in targets:
        discover(target, table, classes, stored, scores, beside, config, options)
    print(
        f"{len(scores)} formulas evaluated on {len(table)} architectures; "
        f"{', '.join(stored.known.notes)}"
    )


if __name__ == "__main__":
    main()

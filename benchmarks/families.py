"""One formula for all: what `evolve` finds on all families of networks but one, on the one left out.

Statistics of every table are collected once, light ones that every family has: the Hamming matrices
of activation patterns, embeddings, logits, last feature map and sizes. Then every family is left out
in turn. On all architectures of the others a search finds its best formula and its best sum of at most
three, and of the library that formula is chosen which has the best mean Spearman there; the family
left out is only looked at to report. Before that, one search over all nine tables, chosen on one half
of each and measured on the other: its time, and the document that it finds.

    python benchmarks/families.py --tables FOLDER --images FILE.npz [--evaluations 1000] [--out FOLDER]
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from remembered import Remembered
from term_scores import drawn_rows, scored_on

from autodas_dsl import spaces
from autodas_dsl.compiler.outcome import Outcome
from autodas_dsl.compiler.pipeline import to_ir
from autodas_dsl.compiler.reading import needed
from autodas_dsl.evaluation import splits
from autodas_dsl.evaluation.agreement import Agreement, agreement
from autodas_dsl.evolution.best_sum import sum_outcome
from autodas_dsl.evolution.config import Config
from autodas_dsl.evolution.finished import Run
from autodas_dsl.evolution.run import evolve, statistics_needed
from autodas_dsl.evolution.task import Networks, Task
from autodas_dsl.execution.memory import tune_memory
from autodas_dsl.language.format import format_expression
from autodas_dsl.language.kinds import Requirement
from autodas_dsl.language.library import library_names, load
from autodas_dsl.language.proxy import format_document
from autodas_dsl.scoring.stored import Stored, collect_table
from autodas_dsl.statistics.store import user_store
from autodas_dsl.tables.read import load_table
from autodas_dsl.tables.table import Table

LIGHT = ("hamming(X)", "F_s", "E_s", "P_s", "params", "flops", "layers", "fan_in", "fan_out")
SIZES = ("params", "flops")


class Family(NamedTuple):
    """A table, and what its networks are scored on."""

    table: str
    target: str
    limit: int | None = None


FAMILIES = (
    Family("digits-resnet", "kd"),
    Family("digits-vit", "kd"),
    Family("cifar_resnet_s0.csv", "cifar100_kd"),
    Family("nasbench201.csv", "cifar100_valid", 100),
    Family("nasbench101.csv", "cifar10_valid", 100),
    Family("nasbench301.csv", "cifar10_valid", 100),
    Family("transnas_macro.csv", "class_scene", 100),
    Family("pit.csv", "cifar100_kd", 60),
    Family("autoformer.csv", "cifar100_kd", 60),
)


@dataclass(frozen=True, eq=False)
class Known:
    """A table with its statistics, and the scores of formulas that were evaluated on it."""

    table: Table
    target: str
    stored: Stored

    @cached_property
    def scores(self) -> Remembered:
        return Remembered(self.table.name, self.stored.evaluator(range(len(self.table))))

    @property
    def accuracies(self) -> np.ndarray:
        return self.table.columns[self.target]

    def whole(self) -> Task:
        """A search that may choose on every architecture."""
        rows = Networks(self.scores.on(range(len(self.table))), self.accuracies)
        return Task(self.table.name, self.target, rows)

    def halved(self) -> Task:
        """A search that is measured on architectures it did not choose on, nothing known before."""
        classes = splits.isomorphism_classes(self.table, spaces.get(self.table.space or ""))
        fresh = Remembered(self.table.name, self.stored.evaluator(range(len(self.table))))
        return fresh.task(
            self.table.name, self.target, splits.split(classes, "half", 0), self.accuracies
        )

    def of(self, outcome: Outcome) -> Agreement:
        return agreement(outcome.scores, self.accuracies, ("spearman",))

    def outcome(self, text: str) -> Outcome:
        return self.scores.on(range(len(self.table)))([to_ir(load(text))])[0]


def known(one: Family, options: argparse.Namespace) -> Known:
    builtin = not one.table.endswith(".csv")
    table = drawn_rows(load_table(one.table if builtin else options.tables / one.table), one.limit)
    space = spaces.get(table.space or "")
    setting = scored_on(space, None if builtin else str(options.images), 16, None)
    wanted = statistics_needed(Config(inputs=LIGHT), SIZES)
    stored = collect_table(table.architectures, space, wanted, setting, store=user_store())
    print(f"# {table.name}: {len(table)} networks", flush=True)
    return Known(table, one.target, stored)


def searched(tables: Sequence[Known], tasks: Sequence[Task], options: argparse.Namespace) -> Run:
    def allowed(requirement: Requirement) -> bool:
        return all(one.stored.known.allowed(requirement) for one in tables)

    config = Config(
        inputs=LIGHT, terms="instinct", iterations=10**6, max_evaluations=options.evaluations,
        objective=options.objective,
    )  # fmt: skip
    return evolve(config, tasks, allowed, baselines=SIZES)


def library(tables: Sequence[Known]) -> list[str]:
    """Formulas of the library that read nothing but what was collected."""
    held = set.intersection(*(set(one.stored.collected[0].values) for one in tables))
    return [name for name in library_names() if set(needed([to_ir(load(name))])) <= held]


def mean_rank(name: str, tables: Sequence[Known]) -> float:
    return float(np.mean([one.of(one.outcome(name)).spearman or 0.0 for one in tables]))


def left_out(
    own: Known, others: Sequence[Known], names: Sequence[str], options: argparse.Namespace
) -> Iterator[tuple[str, str, Agreement]]:
    """What the others choose, and how it ranks the networks of one table."""
    run = searched([*others, own], [one.whole() for one in others], options)
    best = format_expression(run.best.expression)
    yield "formula", best, own.of(own.outcome(best))
    if run.sum is not None:
        terms = [to_ir(term) for term in run.sum.terms]
        outcomes = own.scores.on(range(len(own.table)))(terms)
        summed = sum_outcome(run.sum.proxy, dict(zip(terms, outcomes, strict=True)))
        yield "sum", run.sum.formula, own.of(summed)
    chosen = max(names, key=lambda name: mean_rank(name, others))
    yield "library", chosen, own.of(own.outcome(chosen))
    for size in SIZES:
        yield size, size, own.of(own.outcome(size))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--tables", type=Path, required=True)
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--evaluations", type=int, default=1000)
    parser.add_argument("--objective", choices=("mean", "min"), default="mean")
    parser.add_argument("--only", help="tables, separated by commas")
    parser.add_argument("--out", type=Path, default=Path("runs/families"))
    options = parser.parse_args()
    torch.set_num_threads(1)
    tune_memory()
    chosen = options.only.split(",") if options.only else [one.table for one in FAMILIES]
    tables = [known(one, options) for one in FAMILIES if one.table in chosen]
    everything(tables, options)
    names = library(tables)
    reports: dict[str, list[float]] = {}
    for own in tables:
        others = [one for one in tables if one is not own]
        print(f"\n{own.table.name} left out, {len(own.table)} architectures: Spearman, 95 %")
        for kind, text, found in left_out(own, others, names, options):
            ends = found.intervals["spearman"]
            reports.setdefault(kind, []).append(found.spearman or 0.0)
            print(f"  {kind:<9} {found.spearman or 0.0:+.3f}  {ends.low:+.3f} {ends.high:+.3f}  {text}",
                  flush=True)  # fmt: skip
    print(f"\nover {len(tables)} left-out tables: mean, lowest")
    for kind, each in reports.items():
        print(f"  {kind:<9} {np.mean(each):+.3f}  {np.min(each):+.3f}")


def everything(tables: Sequence[Known], options: argparse.Namespace) -> None:
    """The search over all tables, its time and what it finds."""
    before = time.process_time()
    run = searched(tables, [one.halved() for one in tables], options)
    spent = time.process_time() - before
    networks = sum(len(one.table) for one in tables)
    print(
        f"{run.counts.evaluations} formulas on {networks} networks: {spent:.0f} processor seconds"
    )
    options.out.mkdir(parents=True, exist_ok=True)
    for name, proxy in (("best", run.best), *([("sum", run.sum.proxy)] if run.sum else [])):
        text = format_document(proxy)
        (options.out / f"{name}.proxy").write_text(text, encoding="utf-8")
        print(text, flush=True)


if __name__ == "__main__":
    main()

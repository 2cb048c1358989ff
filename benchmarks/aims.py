"""What a search with the settings of `evolve` finds on every table, held out.

On each table and target: the best formula and the best sum of at most three after `--evaluations`
formulas, over random splits and seeds of the search, by `evolve` as it is, by random formulas alone,
and by `evolve` whose first population has the formulas of `--seed-with`; beside them the parameter
count and flops on the same held-out halves. Spearman, mean and standard deviation. Only data, batch,
the number of architectures and, where networks are large, the statistics differ between tables: `A`
and `grad A` themselves are left out there, their covariances are not; of transformers one position in
16 of each layer is kept, as in docs/results.md. Scores are kept in a journal for
each table: a second call goes on from there. One line per search is added to `--out`.

    python benchmarks/aims.py --tables FOLDER --images FILE.npz [--only TABLE,…] [--evaluations 500]
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from remembered import Remembered
from term_scores import scored_on

from autodas_dsl import spaces
from autodas_dsl.evaluation import splits
from autodas_dsl.evolution.config import Config
from autodas_dsl.evolution.finished import Run
from autodas_dsl.evolution.journal import Journal
from autodas_dsl.evolution.measure import Measured
from autodas_dsl.evolution.run import evolve, statistics_needed
from autodas_dsl.evolution.vocabulary import DEFAULT_INPUTS
from autodas_dsl.execution.memory import tune_memory
from autodas_dsl.language.format import format_expression
from autodas_dsl.scoring.stored import Stored, collect_table
from autodas_dsl.scoring.thinning import WHOLE, Sample, thinned
from autodas_dsl.statistics.store import user_store
from autodas_dsl.tables.read import load_table
from autodas_dsl.tables.table import Table

TEACHER = "cifar-resnet:9-9-9"
"""Of families that have none of their own."""

SIZES = ("params", "flops")
NASBENCH201 = ("cifar10_valid", "cifar100_valid", "imagenet16_120_valid")
SAMPLED = ("W", "grad W", "F_s", "F_t", "E_s", "E_t", "P_s", "P_t", "fan_in", "fan_out")
SIXTEENTH = Sample(share=16)
SMALLER = tuple(one for one in DEFAULT_INPUTS if one not in ("A", "grad A"))


_TOGETHER = 10


class Aim(NamedTuple):
    """A table, its targets, and what its networks are scored on."""

    table: str
    targets: tuple[str, ...]
    batch_size: int | None = None
    limit: int | None = None
    inputs: tuple[str, ...] = DEFAULT_INPUTS
    sample: Sample = WHOLE


AIMS = (
    Aim("digits-resnet", ("kd", "vanilla")),
    Aim("digits-vit", ("kd", "vanilla")),
    Aim("cifar_resnet_s0.csv", ("cifar100_kd", "cifar100_vanilla"), 16),
    Aim("nasbench201.csv", NASBENCH201, 16, 120, SMALLER),
    Aim("nasbench101.csv", ("cifar10_valid",), 8, 80, SMALLER),
    Aim("nasbench301.csv", ("cifar10_valid",), 8, 80, SMALLER),
    Aim("autoformer.csv", ("cifar100_kd", "flowers_kd"), 8, None, SAMPLED, SIXTEENTH),
    Aim("pit.csv", ("cifar100_kd", "flowers_kd"), 8, None, SAMPLED, SIXTEENTH),
    Aim("transnas_macro.csv", ("class_scene", "class_object", "jigsaw"), 8, 80, SMALLER),
)


@dataclass(frozen=True)
class Found:
    """One search; Spearman, of sizes on the same halves."""

    table: str
    target: str
    way: str
    split: int
    seed: int
    selection: float
    held_out: float
    sum_selection: float
    sum_held_out: float
    params: float
    flops: float
    formula: str
    sum: str


def ways(aim: Aim, options: argparse.Namespace) -> dict[str, Config]:
    base = Config(iterations=10**6, max_evaluations=options.evaluations, inputs=aim.inputs)
    seeds = tuple(filter(None, options.seed_with.split(",")))
    found = {
        "evolve": base,
        "random": replace(base, strategy="random"),
        "seeded": replace(base, seeds=seeds),
    }
    return {way: found[way] for way in options.ways.split(",")}


def collected(aim: Aim, table: Table, options: argparse.Namespace) -> Stored:
    """The statistics of all architectures, those that the sizes are made of too."""
    space = spaces.get(table.space or "")
    data = str(options.images) if aim.table.endswith(".csv") else None
    setting = replace(scored_on(space, data, aim.batch_size, TEACHER), device=options.device)
    config = Config(
        inputs=aim.inputs, seeds=tuple(filter(None, options.seed_with.split(",")))
    )  # fmt: skip
    needed = statistics_needed(config, SIZES)
    if aim.sample == WHOLE:
        return collect_table(
            table.architectures, space, needed, setting, store=user_store(),
            thin=int(options.memory * 2**30),
        )  # fmt: skip
    parts = []
    for first in range(0, len(table), _TOGETHER):  # whole, they would not fit
        one = collect_table(table.architectures[first : first + _TOGETHER], space, needed, setting)
        parts.append(replace(one, collected=tuple(thinned(one.collected, aim.sample))))
    known = replace(
        parts[0].known, architectures=table.architectures, sample=aim.sample,
        sizes=[size for one in parts for size in one.known.sizes],
    )  # fmt: skip
    return Stored(tuple(network for one in parts for network in one.collected), known)


def searches(
    aim: Aim, table: Table, stored: Stored, scores: Remembered, options: argparse.Namespace,
    done: set[tuple[str, ...]],
) -> Iterator[Found]:  # fmt: skip
    """Every search that is not done yet."""
    classes = splits.isomorphism_classes(table, spaces.get(table.space or ""))
    targets = [one for one in aim.targets if not options.target or one == options.target]
    for number in range(options.splits):
        for target in targets:
            parted = splits.split(classes, "half", number)
            task = scores.task(table.name, target, parted, table.columns[target])
            for way, config in ways(aim, options).items():
                for seed in range(options.seeds):
                    if (table.name, target, way, str(number), str(seed)) in done:
                        continue
                    run = evolve(
                        replace(config, seed=seed), [task], stored.known.allowed, baselines=SIZES
                    )
                    yield _found(table.name, target, way, number, seed, run)


def _found(table: str, target: str, way: str, split: int, seed: int, run: Run) -> Found:
    best, summed = run.champion, run.sum or run.champion
    ranks = [_spearman(one) for half in (best, summed) for one in (half.selection, half.held_out)]
    sizes = [_spearman(run.baselines[size][1:]) for size in SIZES]
    return Found(
        table, target, way, split, seed, ranks[0], ranks[1], ranks[2], ranks[3], sizes[0], sizes[1],
        formula=format_expression(best.individual.formula), sum=run.sum.formula if run.sum else "",
    )  # fmt: skip


def _spearman(measured: Sequence[Measured]) -> float:
    return measured[0].agreement.spearman or 0.0


def _read(line: dict[str, str]) -> Found:
    numbers = {key: float(line[key]) for key in _NUMBERS}
    return Found(**{**line, **numbers})  # type: ignore[arg-type]


def report(lines: Sequence[Found]) -> None:
    """Print a line for every target and way."""
    print(f"{'':<46} {'best formula':<15} {'best sum':<15} {'params':<15} flops")
    for one in dict.fromkeys((line.table, line.target, line.way) for line in lines):
        own = [line for line in lines if (line.table, line.target, line.way) == one]
        columns = ("held_out", "sum_held_out", "params", "flops")
        cells = (np.array([getattr(line, column) for line in own]) for column in columns)
        text = " ".join(f"{cell.mean():.3f} ± {cell.std():.3f}  " for cell in cells)
        print(f"{one[0]:<15} {one[1]:<20} {one[2]:<9} {text} {len(own)}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--tables", type=Path, required=True)
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--only", help="tables, separated by commas")
    parser.add_argument("--target", help="only this one")
    parser.add_argument("--ways", default="evolve,random")
    parser.add_argument("--seed-with", default="params,flops")
    parser.add_argument("--evaluations", type=int, default=500)
    parser.add_argument("--splits", type=int, default=5)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument(
        "--memory",
        type=float,
        default=2.0,
        help="GiB that activations are thinned to, and that blocks of statistics take",
    )
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--out", type=Path, default=Path("runs/aims"))
    options = parser.parse_args()
    torch.set_num_threads(1)
    tune_memory()
    options.out.mkdir(parents=True, exist_ok=True)
    path = options.out / "aims.csv"
    names = [one.name for one in fields(Found)]
    known = list(csv.DictReader(path.open())) if path.exists() else []
    done: set[tuple[str, ...]] = {
        (k["table"], k["target"], k["way"], k["split"], k["seed"]) for k in known
    }
    for aim in AIMS:
        if options.only and aim.table.removesuffix(".csv") not in options.only.split(","):
            continue
        table = load_table(options.tables / aim.table if aim.table.endswith(".csv") else aim.table)
        if aim.limit:
            table = table.rows(splits.sample(table.architectures, aim.limit, 0))
        stored = collected(aim, table, options)
        memory = int(options.memory * 2**30)
        print(f"# {table.name}: {len(table)} networks, {stored.known.notes}", flush=True)
        journal = options.out / f"scores-{table.name}-{stored.known.fingerprint[:16]}.txt"
        with closing(Journal(journal)) as kept, path.open("a", newline="") as file:
            writer = csv.DictWriter(file, names, lineterminator="\n")
            if not file.tell():
                writer.writeheader()
            scores = Remembered(table.name, stored.evaluator(range(len(table)), memory), kept)
            for found in searches(aim, table, stored, scores, options, done):
                writer.writerow(asdict(found))
                file.flush()
    report([_read(line) for line in csv.DictReader(path.open())])


_NUMBERS = {"selection", "held_out", "sum_selection", "sum_held_out", *SIZES}


if __name__ == "__main__":
    main()

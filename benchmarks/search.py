"""What a search over S0 costs: formulas a second, with one and two workers, with screening.

Everything is measured in one process tree in one run. On a machine that does other work, the
seconds of CPU and the ratios count, not the seconds of the clock; both are printed.

    python benchmarks/search.py [--formulas 5000] [--generation 100] [--passes 8] [--workers 2]
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import formulas
import numpy as np
import s0
import torch
import torch.nn.functional as F

from autodas_dsl.compiler.engine import Engine
from autodas_dsl.compiler.ir import Node
from autodas_dsl.compiler.outcome import Outcome
from autodas_dsl.compiler.pipeline import to_ir
from autodas_dsl.evaluation import splits
from autodas_dsl.evolution.fitness import Fitness, Objective
from autodas_dsl.evolution.prepare import SCREENED_ON
from autodas_dsl.evolution.shards import Shard, Sharded, shards
from autodas_dsl.evolution.task import Evaluator
from autodas_dsl.execution.executors import local
from autodas_dsl.execution.memory import tune_memory
from autodas_dsl.language.library import load
from autodas_dsl.scoring.thinning import SCREEN, thinned
from autodas_dsl.statistics.collect import Collected

TENTH = 0.1
ENOUGH = 0.95


def clocks() -> tuple[float, float]:
    """Seconds of the clock and of CPU, of this process and of children that ended."""
    own, children = (
        resource.getrusage(w) for w in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    cpu = own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime
    return time.perf_counter(), cpu


def spent(run: Callable[[], object]) -> tuple[float, float]:
    before = clocks()
    run()
    after = clocks()
    return after[0] - before[0], after[1] - before[1]


def published(count: int) -> tuple[float, float]:
    """Clock and CPU seconds of the published procedure for one candidate formula: two student
    passes (one backward) and one teacher pass on each of the 64 architectures, from `count`."""
    names = s0.architectures()
    chosen = names[:: max(1, len(names) // count)]
    networks = [s0.network(name) for name in chosen]
    teacher = s0.network(s0.TEACHER)
    images = s0.batch()

    def candidate() -> None:
        for network in networks:
            loss = F.cross_entropy(network(images.x), images.y)
            torch.autograd.grad(loss, list(network.parameters()))
            with torch.no_grad():
                network(images.x)
                teacher(images.x)

    candidate()
    clock, cpu = spent(candidate)
    return clock * len(names) / len(chosen), cpu * len(names) / len(chosen)


def in_generations(
    evaluate: Callable[[Sequence[Node]], list[Outcome]], roots: Sequence[Node], size: int
) -> list[Outcome]:
    found: list[Outcome] = []
    for start in range(0, len(roots), size):
        found += evaluate(roots[start : start + size])
    return found


def accuracies() -> np.ndarray:
    """Published accuracies after distillation."""
    table = np.genfromtxt(s0.SHARED / "ground_truth" / "cifar_resnet_s0.csv", delimiter=",",
                          names=True, dtype=None, encoding="utf-8")  # fmt: skip
    accuracy = {f"cifar-resnet:{row['depths']}": row["cifar100_kd"] for row in table}
    return np.array([accuracy[name] for name in s0.architectures()])


def taus(outcomes: Sequence[Outcome], measured: np.ndarray) -> np.ndarray:
    """Absolute Kendall tau against accuracies; NaN for rejected formulas."""
    objective = Objective([measured])
    found = (objective([outcome]) for outcome in outcomes)
    return np.array([f.tau if isinstance(f, Fitness) else np.nan for f in found])


def screened_rows() -> list[int]:
    """The networks of a search's screen."""
    chosen = splits.stratified(s0.architectures(), accuracies(), SCREENED_ON, 0)
    return [int(row) for row in chosen]


def evaluator(cache: Path, rows: Sequence[int], thin: bool) -> Evaluator:
    """Of one shard, as a search makes it."""
    whole = s0.collected(cache)
    part = [whole[row] for row in rows]
    return Engine(thinned(part, SCREEN) if thin else part).evaluate


@contextmanager
def evaluating(
    cache: Path, workers: int, rows: Sequence[int] = range(64), thin: bool = False
) -> Iterator[Evaluator]:
    """Some networks, in the shards that a search uses, with or without worker processes."""
    owns = [[rows[place] for place in shard] for shard in shards(len(rows))]
    parts = [Shard(partial(evaluator, cache, own, thin), len(own)) for own in owns]
    with local(workers) as executor:
        yield Sharded(executor, parts)


def rate(title: str, count: int, clock: float, cpu: float | None = None) -> None:
    shown = f"   {1e3 * cpu / count:7.2f} ms CPU each" if cpu is not None else ""
    print(f"{title:<34} {count / clock:8.1f} /s{shown}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--formulas", type=int, default=5000)
    parser.add_argument("--generation", type=int, default=100)
    parser.add_argument("--passes", type=int, default=8)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--keep", type=float, default=0.27, help="share that survives the screen")
    parser.add_argument(
        "--cache", type=Path, default=Path(tempfile.gettempdir(), "autodas-dsl-benchmarks", "s0.pt")
    )
    options = parser.parse_args()
    torch.set_num_threads(1)
    tune_memory()
    networks = s0.collected(options.cache)
    population = list(formulas.population(options.formulas, networks).values())
    clock, cpu = published(options.passes)
    print(f"published procedure, a candidate:  {clock:8.1f} s    {cpu:7.1f} s CPU", flush=True)
    one_formula(networks, cpu)

    full = fully(options, population, cpu)
    screening(options, population, taus(full, accuracies()))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"peak resident memory of this process, mapped files included: {peak:.0f} MiB")


def fully(options: argparse.Namespace, population: list[Node], cpu: float) -> list[Outcome]:
    """Every formula on all statistics, by one worker and by several, generation by generation in
    turns: what else the machine does meets both alike."""
    found: list[Outcome] = []
    clock = {1: 0.0, options.workers: 0.0}
    own = 0.0
    with (
        evaluating(options.cache, 1) as one,
        evaluating(options.cache, options.workers) as several,
    ):
        one(population[:1])
        several(population[:1])  # the processes start
        for start in range(0, len(population), options.generation):
            generation = population[start : start + options.generation]
            spent_by_one = spent(lambda g=generation: found.extend(one(g)))  # type: ignore[misc]
            clock[1] += spent_by_one[0]
            own += spent_by_one[1]
            clock[options.workers] += spent(lambda g=generation: several(g))[0]  # type: ignore[misc]
    count = len(population)
    rate("full, one worker", count, clock[1], own)
    print(f"{'':<34} 1/{cpu * count / own:.0f} of the published procedure's CPU")
    rate(f"full, {options.workers} workers", count, clock[options.workers])
    ratio = clock[1] / clock[options.workers]
    print(f"{'':<34} {ratio:.2f} times the throughput of one", flush=True)
    return found


def one_formula(networks: Sequence[Collected], published_cpu: float) -> None:
    """One library formula on statistics that are laid out, beside the passes that collect them."""
    for name in ("snip", "rho_cnn", "rho_cnn_s0", "kd"):
        root = to_ir(load(name))
        engine = Engine(networks)
        _, cold = spent(lambda e=engine, r=root: e.evaluate([r]))  # type: ignore[misc]
        share = 100 * cold / published_cpu
        print(f"{name:<34} {1e3 * cold:8.1f} ms CPU, {share:.2f} % of the passes", flush=True)


def screening(options: argparse.Namespace, population: list[Node], true: np.ndarray) -> None:
    """A first look at samples of some networks' tensors, the best re-scored in full."""
    workers, cache = options.workers, options.cache
    rows = screened_rows()
    with evaluating(cache, workers, rows, True) as first, evaluating(cache, workers) as second:
        first(population[:workers])
        second(population[:workers])
        before = clocks()
        looked = in_generations(first, population, options.generation)
        screened = taus(looked, accuracies()[rows])
        middle = clocks()
        order = np.argsort(-np.nan_to_num(screened, nan=-1.0), kind="stable")
        survivors = order[: int(options.keep * len(population))]
        in_generations(second, [population[i] for i in survivors], options.generation)
        clock = time.perf_counter() - before[0]
    rate("screened, all", len(population), middle[0] - before[0])
    rate(f"screened and {options.keep:.0%} re-scored", len(population), clock)
    best = np.argsort(-np.nan_to_num(true, nan=-1.0), kind="stable")[: int(TENTH * len(true))]
    threshold = true[best[-1]]
    kept = np.isin(best, survivors).mean()
    print(f"true best tenth (tau >= {threshold:.3f}) that the screen keeps: {kept:.1%}")
    places = np.sort(np.flatnonzero(np.isin(order, best)))
    enough = places[int(np.ceil(ENOUGH * len(best))) - 1] + 1
    print(f"share that keeps {ENOUGH:.0%} of it: {enough / len(population):.1%}")


if __name__ == "__main__":
    main()

"""What several workers bring, and what more architectures cost: collecting, and evaluating formulas.

Local processes and a Ray cluster do the same work in turns, one generation of formulas after the other, so that
what else the machines do meets both alike. The overhead of Ray is the ratio of the two at equal
numbers of workers. Every line is printed when it is known.

    python benchmarks/scale.py [TABLE] [--workers 1,2,4] [--ray HOST:PORT] [--formulas 2000]

With `--sizes`, samples of a table take turns in this process instead, each under every `--memory`;
seconds are those of the processor. With one size and one memory the peak is that of this process.

    python benchmarks/scale.py nasbench201.csv --sizes 64,500,5000 --memory 4,0.002 --inputs F_s,E_s
"""

from __future__ import annotations

import argparse
import resource
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from autodas_dsl import spaces
from autodas_dsl.compiler.ir import Node
from autodas_dsl.compiler.pipeline import to_ir
from autodas_dsl.evaluation import splits
from autodas_dsl.evolution.config import Config
from autodas_dsl.evolution.generate import Generator
from autodas_dsl.evolution.prepare import Prepared, prepare
from autodas_dsl.evolution.run import statistics_needed
from autodas_dsl.evolution.vocabulary import (
    DEFAULT_INPUTS,
    Vocabulary,
    chosen_operators,
    chosen_statistics,
)
from autodas_dsl.execution.cluster import Ray
from autodas_dsl.execution.executors import local
from autodas_dsl.execution.jobs import Executor
from autodas_dsl.execution.memory import tune_memory
from autodas_dsl.execution.randomness import Purpose, Stream
from autodas_dsl.execution.threads import one_thread
from autodas_dsl.scoring.setting import Data, usual_setting
from autodas_dsl.statistics.store import Store
from autodas_dsl.tables.read import load_table
from autodas_dsl.tables.table import Table

Clock = Callable[[], float]


@dataclass
class Crew:
    """Workers of one kind, with the statistics of a table, and the seconds that they took.

    Attributes
    ----------
    base : float
        MiB that this process has taken before it collected them.
    """

    kind: str
    executor: Executor
    prepare: Callable[[], Prepared]
    base: float
    clock: Clock
    collected: float = 0.0
    evaluated: float = 0.0
    prepared: Prepared = field(init=False)

    def collect(self) -> None:
        self.executor.forget()
        started = self.clock()
        self.prepared = self.prepare()
        self.collected += self.clock() - started

    def evaluate(self, nodes: Sequence[Node]) -> None:
        started = self.clock()
        self.prepared.task.selection.evaluate(nodes)
        self.evaluated += self.clock() - started


def crew(
    kind: str, executor: Executor, table: Table, memory: float, options: argparse.Namespace,
    clock: Clock = time.perf_counter,
) -> Crew:  # fmt: skip
    """Workers that have started."""
    space = spaces.get(table.space or "")
    setting = usual_setting(space, Data(options.data or space.data, options.batch_size))
    needed = statistics_needed(Config(inputs=options.inputs), ())
    few = table.rows(range(10))
    prepare(few, space, needed, setting, executor, target=options.target)
    own = partial(
        prepare, table, space, needed, setting, executor, target=options.target,
        memory=int(memory * 2**30), store=options.store,
    )  # fmt: skip
    return Crew(kind, executor, own, peak(), clock)


def peak() -> float:
    """MiB that this process has taken at most."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def formulas(prepared: Prepared, options: argparse.Namespace) -> list[Node]:
    config = Config(inputs=options.inputs)
    vocabulary = Vocabulary(
        chosen_statistics(config.inputs), chosen_operators(), config.terms, prepared.allowed
    )
    generator = Generator(vocabulary, config.max_complexity)
    streams = (Stream(0, 0, slot, Purpose.FRESH) for slot in range(options.formulas))
    return [to_ir(generator.formula(stream)) for stream in streams]


def measured(workers: int, table: Table, options: argparse.Namespace) -> None:
    with ExitStack() as stack:
        executors = {"processes": local(workers)}
        if options.ray:
            executors["ray"] = Ray(options.ray, workers)
        crews = [
            crew(kind, stack.enter_context(executor), table, options.memory[0], options)
            for kind, executor in executors.items()
        ]
        turns = [*crews, *reversed(crews)]
        for one in turns:
            one.collect()
        population = in_turns(crews, options)
    networks = len(crews[0].prepared.known.architectures)
    selection = len(crews[0].prepared.task.selection)
    for one in crews:
        rate = len(population) / one.evaluated
        each = workers * one.evaluated / len(population) / selection
        print(
            f"{one.kind:<10} {workers:3} workers   "
            f"collect {workers * one.collected / 2 / networks:8.4f} s a network and worker   "
            f"evaluate {rate:8.1f} formulas/s, {1e6 * each:8.2f} µs a network and worker",
            flush=True,
        )
    if len(crews) > 1:
        for what in ("collected", "evaluated"):
            ratio = getattr(crews[1], what) / getattr(crews[0], what) - 1
            print(f"{'':<10} overhead of Ray, {what}: {100 * ratio:+.1f} %", flush=True)


def growing(table: Table, options: argparse.Namespace) -> None:
    """What a formula costs on each of ever more architectures, in memory and on disk."""
    with ExitStack() as stack:
        crews = {
            (memory, size): crew(
                f"{memory:g} GiB", stack.enter_context(local(1)), sample(table, size), memory,
                options, time.process_time,
            )
            for memory in options.memory for size in options.sizes
        }  # fmt: skip
        for one in crews.values():
            one.collect()
        population = in_turns(list(crews.values()), options)
    for (memory, size), one in crews.items():
        each, smallest = (
            1e6 * c.evaluated / len(population) / len(c.prepared.task.selection)
            for c in (one, crews[memory, options.sizes[0]])
        )
        where = (
            "on disk"
            if any("on disk" in note for note in one.prepared.known.notes)
            else "in memory"
        )
        print(
            f"{one.kind:<10} {size:6} architectures, {where:<9}   "
            f"collect {one.collected / size:8.4f} s each   evaluate {each:8.2f} µs a formula and "
            f"architecture, {each / smallest:.2f} of the smallest", flush=True,
        )  # fmt: skip
    if len(crews) == 1:
        print(f"peak {peak():.0f} MiB, {peak() - one.base:.0f} more than ten networks took")


def in_turns(crews: Sequence[Crew], options: argparse.Namespace) -> list[Node]:
    """Evaluate the same formulas by all, one generation after the other; returns them."""
    population = formulas(crews[0].prepared, options)
    for one in crews:
        one.evaluate(population[:1])
        one.evaluated = 0.0
    for first in range(0, len(population), options.generation):
        for one in crews:
            one.evaluate(population[first : first + options.generation])
    return population


def sample(table: Table, size: int) -> Table:
    return table.rows(splits.sample(table.architectures, size, 0))


def listed(kind: Callable[[str], Any]) -> Callable[[str], tuple[Any, ...]]:
    return lambda text: tuple(map(kind, text.split(",")))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("table", nargs="?", default="digits-resnet")
    parser.add_argument("--workers", type=listed(int), default=(1, 2))
    parser.add_argument("--ray", metavar="HOST:PORT")
    parser.add_argument("--formulas", type=int, default=2000)
    parser.add_argument("--generation", type=int, default=100)
    parser.add_argument("--limit", type=int, help="a random sample of architectures")
    parser.add_argument("--sizes", type=listed(int), help="samples of architectures, in turns")
    parser.add_argument("--memory", type=listed(float), default=(4.0,), help="GiB")
    parser.add_argument("--inputs", type=listed(str), default=DEFAULT_INPUTS)
    parser.add_argument("--target")
    parser.add_argument("--store", type=lambda text: Store(Path(text)), help="of statistics")
    parser.add_argument("--data")
    parser.add_argument("--batch-size", type=int)
    options = parser.parse_args()
    tune_memory()
    table = load_table(options.table)
    if options.limit:
        table = sample(table, options.limit)
    with one_thread():
        if options.sizes:
            growing(table, options)
            return
        for workers in options.workers:
            measured(workers, table, options)


if __name__ == "__main__":
    main()

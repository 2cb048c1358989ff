"""What several workers bring: collecting, and formulas a second, by kind and number of workers.

Local processes and a Ray cluster do the same work in turns, one generation of formulas after the other, so that
what else the machines do meets both alike. The overhead of Ray is the ratio of the two at equal
numbers of workers. Every line is printed when it is known.

    python benchmarks/scale.py [TABLE] [--workers 1,2,4] [--ray HOST:PORT] [--formulas 2000]
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from autodas_dsl import spaces
from autodas_dsl.compiler.ir import Node
from autodas_dsl.compiler.pipeline import to_ir
from autodas_dsl.evaluation import splits
from autodas_dsl.evolution.config import Config
from autodas_dsl.evolution.generate import Generator
from autodas_dsl.evolution.prepare import Prepared, prepare
from autodas_dsl.evolution.run import statistics_needed
from autodas_dsl.evolution.vocabulary import Vocabulary, chosen_operators, chosen_statistics
from autodas_dsl.execution.cluster import Ray
from autodas_dsl.execution.executors import local
from autodas_dsl.execution.jobs import Executor
from autodas_dsl.execution.memory import tune_memory
from autodas_dsl.execution.randomness import Purpose, Stream
from autodas_dsl.execution.threads import one_thread
from autodas_dsl.scoring.setting import Data, usual_setting
from autodas_dsl.tables.read import load_table
from autodas_dsl.tables.table import Table


@dataclass
class Crew:
    """Workers of one kind, with the statistics of a table, and the seconds that they took."""

    kind: str
    executor: Executor
    prepared: Prepared
    collected: float
    evaluated: float = 0.0

    def evaluate(self, nodes: Sequence[Node]) -> None:
        started = time.perf_counter()
        self.prepared.task.selection.evaluate(nodes)
        self.evaluated += time.perf_counter() - started


def crew(kind: str, executor: Executor, table: Table, options: argparse.Namespace) -> Crew:
    """Start workers and have them collect; the seconds do not count their start."""
    space = spaces.get(table.space or "")
    setting = usual_setting(space, Data(options.data or space.data, options.batch_size))
    needed = statistics_needed(Config(), ())
    few = table.rows(range(10))
    prepare(few, space, needed, setting, executor)  # the workers start
    executor.forget()
    started = time.perf_counter()
    memory = int(options.memory * 2**30)
    found = prepare(table, space, needed, setting, executor, memory=memory)
    return Crew(kind, executor, found, time.perf_counter() - started)


def formulas(prepared: Prepared, count: int) -> list[Node]:
    config = Config()
    vocabulary = Vocabulary(
        chosen_statistics(config.inputs), chosen_operators(), config.terms, prepared.allowed
    )
    generator = Generator(vocabulary, config.max_complexity)
    streams = (Stream(0, 0, slot, Purpose.FRESH) for slot in range(count))
    return [to_ir(generator.formula(stream)) for stream in streams]


def measured(workers: int, table: Table, options: argparse.Namespace) -> None:
    with ExitStack() as stack:
        executors = {"processes": local(workers)}
        if options.ray:
            executors["ray"] = Ray(options.ray, workers)
        crews = [
            crew(kind, stack.enter_context(executor), table, options)
            for kind, executor in executors.items()
        ]
        population = formulas(crews[0].prepared, options.formulas)
        for one in crews:
            one.evaluate(population[:1])
            one.evaluated = 0.0
        for first in range(0, len(population), options.generation):
            for one in crews:
                one.evaluate(population[first : first + options.generation])
    networks = len(crews[0].prepared.known.architectures)
    selection = len(crews[0].prepared.task.selection)
    for one in crews:
        rate = len(population) / one.evaluated
        each = workers * one.evaluated / len(population) / selection
        print(
            f"{one.kind:<10} {workers:3} workers   "
            f"collect {workers * one.collected / networks:8.4f} s a network and worker   "
            f"evaluate {rate:8.1f} formulas/s, {1e6 * each:8.2f} µs a network and worker",
            flush=True,
        )
    if len(crews) > 1:
        for what in ("collected", "evaluated"):
            ratio = getattr(crews[1], what) / getattr(crews[0], what) - 1
            print(f"{'':<10} overhead of Ray, {what}: {100 * ratio:+.1f} %", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("table", nargs="?", default="digits-resnet")
    parser.add_argument("--workers", default="1,2")
    parser.add_argument("--ray", metavar="HOST:PORT")
    parser.add_argument("--formulas", type=int, default=2000)
    parser.add_argument("--generation", type=int, default=100)
    parser.add_argument("--limit", type=int, help="a random sample of architectures")
    parser.add_argument("--memory", type=float, default=4.0, help="GiB")
    parser.add_argument("--data")
    parser.add_argument("--batch-size", type=int)
    options = parser.parse_args()
    tune_memory()
    table = load_table(options.table)
    if options.limit:
        table = table.rows(splits.sample(table.architectures, options.limit, 0))
    with one_thread():
        for workers in map(int, options.workers.split(",")):
            measured(workers, table, options)


if __name__ == "__main__":
    main()

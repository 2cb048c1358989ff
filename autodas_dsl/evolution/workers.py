"""Worker processes, each an evaluator over some shards.

Workers are spawned: a forked one would hold the locks of a parent that died. They end when their
pipe does, so none outlives the search. A worker that dies is replaced and its formulas are tried
one by one; a formula that kills two workers is invalid.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from types import TracebackType

import numpy as np

from autodas_dsl.compiler.ir import Node
from autodas_dsl.compiler.outcome import Outcome
from autodas_dsl.evolution.shards import joined
from autodas_dsl.evolution.task import Evaluator
from autodas_dsl.execution.memory import tune_memory
from autodas_dsl.language.errors import InputError
from autodas_dsl.language.extend import load_extension, load_installed, loaded

DEADLY = "it ended two worker processes, perhaps for want of memory"
_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


@dataclass(frozen=True)
class Shard:
    """A part of the architectures of one evaluator.

    Parameters
    ----------
    load : callable
        Picklable; makes the evaluator inside the worker.
    architectures : int
    """

    load: Callable[[], Evaluator]
    architectures: int


def _serve(
    pipe: Connection, loads: Sequence[Callable[[], Evaluator]], extensions: Sequence[str]
) -> None:
    """Answer ``(shard, formulas)`` with outcomes until the pipe ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    tune_memory()
    load_installed()
    for path in extensions:
        load_extension(path)
    evaluators: dict[int, Evaluator] = {}
    while True:
        try:
            number, nodes = pipe.recv()
            if number not in evaluators:
                evaluators[number] = loads[number]()
            pipe.send(evaluators[number](nodes))
        except (EOFError, BrokenPipeError, ConnectionResetError):
            return


@contextmanager
def _deaf() -> Iterator[None]:
    """Keep Ctrl-C from processes that are started inside, also while they come to life.

    Where signals cannot be held back they hear it until `_serve` begins.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class _Worker:
    """One process and the pipe to it."""

    def __init__(self, loads: Sequence[Callable[[], Evaluator]]) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.process: SpawnProcess = context.Process(
            target=_serve, args=(theirs, loads, loaded()), daemon=True
        )
        before = {name: os.environ.get(name) for name in _THREADS}
        os.environ.update(dict.fromkeys(_THREADS, "1"))
        try:
            with _deaf():
                self.process.start()
        finally:
            for name, value in before.items():
                if value is None:
                    del os.environ[name]
                else:
                    os.environ[name] = value
        theirs.close()

    def end(self) -> None:
        self.pipe.close()
        self.process.terminate()
        self.process.join()


def per_shard(workers: int, shards: int) -> int:
    """How many workers share the formulas of one shard."""
    return max(1, workers // shards)


class Pool:
    """Evaluators over shards in worker processes; to be used in a ``with`` statement.

    Parameters
    ----------
    halves : sequence of sequences of Shard
        Each half (such as selection and report of a table) is one evaluator, see `evaluator`.
    workers : int
        At least one.
    """

    def __init__(self, halves: Sequence[Sequence[Shard]], workers: int) -> None:
        self._shards = [shard for half in halves for shard in half]
        starts = np.cumsum([0, *map(len, halves)])
        self._numbers = [range(starts[i], starts[i + 1]) for i in range(len(halves))]
        self._loads = [shard.load for shard in self._shards]
        self._workers: list[_Worker | None] = [None] * max(1, workers)

    def __enter__(self) -> Pool:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        self.close()

    def close(self) -> None:
        """End all workers, whatever they are doing."""
        for place, worker in enumerate(self._workers):
            if worker is not None:
                worker.end()
            self._workers[place] = None

    def evaluator(self, half: int) -> Evaluator:
        """The evaluator over all architectures of a half."""

        def evaluate(nodes: Sequence[Node]) -> list[Outcome]:
            return joined(self._run(self._numbers[half], list(nodes)))

        return evaluate

    def _run(self, numbers: range, nodes: list[Node]) -> list[list[Outcome]]:
        """Outcomes per shard; where shards are few, several workers share the formulas of one."""
        found: dict[int, dict[int, Outcome]] = {number: {} for number in numbers}
        left = self._dealt(numbers, len(nodes))
        while any(left):
            asked = [(place, *todo[0]) for place, todo in enumerate(left) if todo]
            own = {place: [nodes[i] for i in dealt] for place, _, dealt in asked}
            sent = {place: self._send(place, number, own[place]) for place, number, _ in asked}
            for place, number, dealt in asked:
                answer = self._receive(place) if sent[place] else None
                if answer is None:
                    answer = self._one_by_one(place, number, own[place])
                found[number].update(zip(dealt, answer, strict=True))
                left[place].pop(0)
        return [[found[number][i] for i in range(len(nodes))] for number in numbers]

    def _dealt(self, numbers: range, formulas: int) -> list[list[tuple[int, range]]]:
        """For each worker the shards, and the places of the formulas, that are its part."""
        workers = len(self._workers)
        hands = per_shard(workers, len(numbers))
        dealt: list[list[tuple[int, range]]] = [[] for _ in range(workers)]
        for shard, number in enumerate(numbers):
            for hand in range(hands):
                part = range(hand, formulas, hands)
                if part:
                    dealt[(shard * hands + hand) % workers].append((number, part))
        return dealt

    def _send(self, place: int, number: int, nodes: list[Node]) -> bool:
        worker = self._workers[place]
        if worker is None:
            worker = self._workers[place] = _Worker(self._loads)
        try:
            worker.pipe.send((number, nodes))
        except OSError:
            self._bury(place)
            return False
        return True

    def _receive(self, place: int) -> list[Outcome] | None:
        """The answer of a worker, or None when it died."""
        worker = self._workers[place]
        if worker is None:
            return None
        try:
            answer: list[Outcome] = worker.pipe.recv()
        except (EOFError, OSError):
            self._bury(place)
            return None
        return answer

    def _bury(self, place: int) -> None:
        worker = self._workers[place]
        if worker is not None:
            worker.end()
        self._workers[place] = None

    def _one_by_one(self, place: int, number: int, nodes: list[Node]) -> list[Outcome]:
        """After a worker died: find the formula that did it.

        Raises
        ------
        InputError
            E609 when no formula can be evaluated at all.
        """
        found: list[Outcome] = []
        deaths = 0
        for node in nodes:
            answer = self._receive(place) if self._send(place, number, [node]) else None
            deaths += answer is None
            found.append(answer[0] if answer else self._deadly(number))
        if deaths == len(nodes) and not self._lives(place, number):
            raise InputError(
                "E609", "the worker processes die as soon as they start",
                "there may be too little memory: use fewer --workers or a smaller batch",
            )  # fmt: skip
        return found

    def _lives(self, place: int, number: int) -> bool:
        """Whether a new worker can at least load its shard."""
        return self._send(place, number, []) and self._receive(place) is not None

    def _deadly(self, number: int) -> Outcome:
        n = self._shards[number].architectures
        return Outcome(np.full(n, np.nan), (DEADLY,) * n)

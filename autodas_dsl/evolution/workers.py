"""Evaluate formulas in several processes, each with its own shards of a table's networks.

Shards are fixed by the table (`compiler.layout.arrange`), so scores have the same bytes for any
number of workers. Processes are spawned: a forked one would keep the locks of a dead parent. A
worker ends when its pipe closes, so none outlives its parent.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess

import numpy as np
import torch

from autodas_dsl.compiler.engine import MEMORY, Engine, Scout, nowhere
from autodas_dsl.compiler.interpret import Values
from autodas_dsl.compiler.ir import Node
from autodas_dsl.compiler.layout import Arrangement, arrange
from autodas_dsl.compiler.outcome import Outcome
from autodas_dsl.compiler.wire import Wire, pack, unpack
from autodas_dsl.language.spans import InputError

Load = Callable[[], Sequence[Values]]
"""Reads the statistics of all networks; must be picklable, and cheap (memory-mapped) to call."""

KILLED = "killed two workers"


@dataclass(frozen=True)
class _Task:
    """What one worker needs to start."""

    load: Load
    memory: int
    arrangement: Arrangement
    shards: tuple[int, ...]


def _work(task: _Task, pipe: Connection) -> None:
    """The loop of a worker: formulas in, outcomes out, until the pipe closes."""
    torch.set_num_threads(1)
    engine = Engine(task.load(), task.memory, arrangement=task.arrangement, shards=task.shards)
    while True:
        try:
            wire: Wire = pipe.recv()
        except EOFError:
            return
        try:
            pipe.send(engine.evaluate(unpack(wire)))
        except BrokenPipeError:
            return


class _Worker:
    """A process with its pipe, started when it is first needed and again when it has died."""

    def __init__(self, task: _Task) -> None:
        self.shards = task.shards
        self._task = task
        self._process: BaseProcess | None = None
        self._pipe: Connection | None = None

    def ask(self, wire: Wire) -> None:
        """Send formulas; a worker that dies meanwhile is noticed by `answer`."""
        if self._process is None:
            self._start()
        if self._pipe is not None:
            try:
                self._pipe.send(wire)
            except (BrokenPipeError, ConnectionResetError):
                self.stop()

    def answer(self) -> list[Outcome] | None:
        """Outcomes, or None when the worker died."""
        if self._pipe is None:
            return None
        try:
            found: list[Outcome] = self._pipe.recv()
        except (EOFError, ConnectionResetError):
            self.stop()
            return None
        return found

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_work, args=(self._task, theirs), daemon=True)
        self._process.start()
        theirs.close()

    def stop(self) -> None:
        """Close the pipe, which ends the process."""
        if self._pipe is not None:
            self._pipe.close()
        if self._process is not None:
            self._process.join(5)
            if self._process.is_alive():
                self._process.kill()
                self._process.join()
        self._process = self._pipe = None

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None


class WorkerPool:
    """Evaluates formulas on all networks of a table with several processes.

    Calling it gives what `Engine.evaluate_early` gives on the same networks, byte for byte.

    Parameters
    ----------
    load : callable
        Gives the statistics of all networks, in this process and in each worker.
    workers : int
        At least 1; more than there are shards are not started.
    memory : int
        Bytes that the workers together may keep beside the stored statistics.

    Raises
    ------
    InputError
        E660 when `workers` is less than 1.
    """

    def __init__(self, load: Load, workers: int, memory: int = MEMORY) -> None:
        if workers < 1:
            raise InputError("E660", f"{workers} workers cannot evaluate anything", "at least 1")
        collected = load()
        self._networks = len(collected)
        self._arrangement = arrange(collected)
        self._scout = Scout(collected, self._arrangement)
        count = len(self._arrangement.shards)
        used = min(workers, count)
        self._workers = [
            _Worker(
                _Task(load, memory // used, self._arrangement, tuple(range(first, count, used)))
            )
            for first in range(used)
        ]

    def __call__(self, roots: Sequence[Node]) -> list[Outcome]:
        """Outcomes of formulas; one that kills two workers is invalid."""
        reasons = self._scout.reasons(roots)
        passed = [root for root, reason in zip(roots, reasons, strict=True) if not reason]
        found = dict(zip(passed, self._evaluate(passed), strict=True))
        return [
            found[root] if root in found else nowhere(reason, self._networks)
            for root, reason in zip(roots, reasons, strict=True)
        ]

    def __enter__(self) -> WorkerPool:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """End all workers."""
        for worker in self._workers:
            worker.stop()

    @property
    def pids(self) -> list[int]:
        """Of the workers that run."""
        return [worker.pid for worker in self._workers if worker.pid is not None]

    def _evaluate(self, roots: list[Node]) -> list[Outcome]:
        if not roots:
            return []
        parts = self._ask_all(roots)
        if all(part is not None for part in parts):
            return self._joined(roots, [part for part in parts if part is not None])
        found = []
        for root in roots:  # somebody died: find the formula that did it
            again = self._twice(root)
            found.append(nowhere(KILLED, self._networks) if again is None else again)
        return found

    def _twice(self, root: Node) -> Outcome | None:
        """One formula, tried again when a worker dies; None when one dies again."""
        for _ in range(2):
            parts = self._ask_all([root])
            if all(part is not None for part in parts):
                return self._joined([root], [part for part in parts if part is not None])[0]
        return None

    def _ask_all(self, roots: list[Node]) -> list[list[Outcome] | None]:
        wire = pack(roots)
        for worker in self._workers:
            worker.ask(wire)
        return [worker.answer() for worker in self._workers]

    def _joined(self, roots: list[Node], parts: list[list[Outcome]]) -> list[Outcome]:
        """Each network's score from the worker that has its shard."""
        source = np.zeros(self._networks, dtype=np.int64)
        for part, worker in enumerate(self._workers):
            for shard in worker.shards:
                source[list(self._arrangement.shards[shard])] = part
        joined = []
        for place in range(len(roots)):
            outcomes = [part[place] for part in parts]
            scores = np.array([outcomes[s].scores[n] for n, s in enumerate(source)])
            reasons = tuple(outcomes[s].reasons[n] for n, s in enumerate(source))
            joined.append(Outcome(scores, reasons))
        return joined

"""Worker processes of this machine.

Workers are spawned: a forked one would hold the locks of a parent that died. They end when their
pipe does, so none outlives its parent. One that dies is replaced. The standard library's pools
are not used: they give up when a worker dies, and do not say which job it had.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Any

import torch

from autodas_dsl.execution.jobs import Argument, Executor, InProcess, Job, Lost, Result
from autodas_dsl.execution.memory import tune_memory
from autodas_dsl.language.errors import InputError
from autodas_dsl.language.extend import load_extension, load_installed, loaded

_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
_MADE, _DONE, _WRONG = range(3)
Numbered = tuple[int, Job[Any, Any]]


def local(workers: int) -> Executor:
    """The executor of this machine; with one worker, that is this process."""
    return InProcess() if workers == 1 else Processes(workers)


class Processes(Executor):
    """Runs jobs in worker processes, each with one thread.

    Parameters
    ----------
    workers : int
        At least one; a process starts when there is a job for it.
    """

    def __init__(self, workers: int) -> None:
        self.workers = workers
        self._workers: list[_Worker | None] = [None] * workers
        self._states: dict[int, Callable[[], Any]] = {}
        self._stillborn: Counter[int] = Counter()

    def run(self, jobs: Iterable[Job[Argument, Result]]) -> Iterator[tuple[int, Result | Lost]]:
        waiting = _Waiting(jobs, self.workers)
        busy: dict[int, Numbered] = {}
        found: list[tuple[int, Any]] = []
        try:
            while True:
                for place in range(self.workers):
                    if place not in busy and (numbered := waiting.next(place)) is not None:
                        busy[place] = numbered
                        self._states[id(numbered[1].state)] = numbered[1].state
                        self._worker(place).send(numbered[1])
                yield from found
                if not busy:
                    return
                found = list(self._found(busy, waiting))
        finally:
            for place in busy:  # what it still says would be taken for the answer to another job
                self._bury(place)

    def close(self) -> None:
        for place in range(self.workers):
            self._bury(place)
        self._states.clear()

    def _worker(self, place: int) -> _Worker:
        worker = self._workers[place]
        if worker is None:
            worker = self._workers[place] = _Worker()
        return worker

    def _found(self, busy: dict[int, Numbered], waiting: _Waiting) -> Iterator[tuple[int, Any]]:
        """What the busy workers that have something to say found; they are busy no more."""
        pipes = {self._worker(place).pipe: place for place in busy}
        for pipe in wait(list(pipes)):
            place = pipes[pipe]  # type: ignore[index]
            try:
                kind, value = self._worker(place).pipe.recv()
            except (EOFError, OSError):
                yield from self._died(place, *busy.pop(place), waiting)
                continue
            if kind == _WRONG:
                raise value
            if kind == _DONE:
                yield busy.pop(place)[0], value
            else:
                self._worker(place).begun = True
                self._stillborn[place] = 0

    def _died(
        self, place: int, number: int, job: Job[Any, Any], waiting: _Waiting
    ) -> list[tuple[int, Lost]]:
        """What comes of a job whose worker died: nothing yet when the job had not begun."""
        begun = self._worker(place).begun
        self._bury(place)
        if begun:
            return [(number, Lost(job))]
        self._stillborn[place] += 1
        if self._stillborn[place] > 1:
            raise InputError(
                "E609", "the worker processes die as soon as they start",
                "there may be too little memory: use fewer --workers or a smaller batch",
            )  # fmt: skip
        waiting.back(number, job)
        return []

    def _bury(self, place: int) -> None:
        worker = self._workers[place]
        if worker is not None:
            worker.end()
        self._workers[place] = None


class _Waiting:
    """Jobs that were drawn and not yet sent, as few as keep all workers busy."""

    def __init__(self, jobs: Iterable[Job[Any, Any]], workers: int) -> None:
        self._jobs = enumerate(jobs)
        self._workers = workers
        self._drawn: deque[Numbered] = deque()

    def next(self, place: int) -> Numbered | None:
        """The first job that this worker may run, if there is one."""
        for numbered in self._drawn:
            if self._fits(numbered, place):
                self._drawn.remove(numbered)
                return numbered
        while len(self._drawn) < self._workers:
            drawn = next(self._jobs, None)
            if drawn is None or self._fits(drawn, place):
                return drawn
            self._drawn.append(drawn)
        return None

    def back(self, number: int, job: Job[Any, Any]) -> None:
        """It is to be sent again."""
        self._drawn.appendleft((number, job))

    def _fits(self, numbered: Numbered, place: int) -> bool:
        wanted = numbered[1].place
        return wanted is None or wanted % self._workers == place


class _Worker:
    """One process, the pipe to it, and whether it has made what its job calls."""

    def __init__(self) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.process: SpawnProcess = context.Process(
            target=_serve, args=(theirs, loaded()), daemon=True
        )
        self.begun = False
        self._known: set[int] = set()
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

    def send(self, job: Job[Any, Any]) -> None:
        """Hand a job over, with the state that the worker is to make where it does not know it."""
        key = id(job.state)
        self.begun = key in self._known
        try:
            self.pipe.send((key, None if self.begun else job.state, job.argument))
        except OSError:  # it died since its last job: not for this one
            self.begun = False
        self._known.add(key)

    def end(self) -> None:
        self.pipe.close()
        self.process.terminate()
        self.process.join()


def _serve(pipe: Connection, extensions: Sequence[str]) -> None:
    """Answer jobs with results until the pipe ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    tune_memory()
    torch.set_num_threads(1)
    load_installed()
    for path in extensions:
        load_extension(path)
    kept: dict[int, Callable[[Any], Any]] = {}
    while True:
        try:
            pipe.send(_answer(pipe, kept))
        except (EOFError, BrokenPipeError, ConnectionResetError):
            return


def _answer(pipe: Connection, kept: dict[int, Callable[[Any], Any]]) -> tuple[int, Any]:
    try:
        key, state, argument = pipe.recv()
        if key not in kept:
            kept[key] = state()
            pipe.send((_MADE, None))
        return _DONE, kept[key](argument)
    except InputError as error:
        return _WRONG, error


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

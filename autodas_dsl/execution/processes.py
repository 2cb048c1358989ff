"""Worker processes of this machine.

No worker is a fork of this process: it would hold the locks of a parent that died. On Linux they are
forks of a process that has imported torch and does nothing else, so that each starts in no time;
elsewhere each is started from nothing. They end when their pipe does, so none outlives its parent.
The standard library's pools are not used: they give up when a worker dies, and do not say which job
it had.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from multiprocessing import forkserver
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

from autodas_dsl.execution.pool import Heard, Pool, Worker
from autodas_dsl.execution.serving import Keeper, Key, Said, settle
from autodas_dsl.language.extend import loaded
from autodas_dsl.language.user_files import UserFile

_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
_IMPORTED = ["autodas_dsl.cli", "autodas_dsl.scoring.stored"]
"""What workers need; a module that is missing here they import themselves."""


class Processes(Pool):
    """Runs jobs in worker processes, whose imports begin now."""

    def __init__(self, workers: int) -> None:
        super().__init__(workers)
        self._method = "forkserver" if sys.platform == "linux" else "spawn"
        if self._method == "forkserver":
            forkserver.set_forkserver_preload(_IMPORTED)
            with _as_workers_are():
                forkserver.ensure_running()

    def started(self) -> Process:
        return Process(_serve, loaded(), method=self._method)

    def heard(self, busy: Collection[int]) -> Iterator[Heard]:
        pipes = {self._process(place).pipe: place for place in busy}
        for pipe in wait(list(pipes)):
            place = pipes[pipe]
            try:
                said, value = self._process(place).pipe.recv()
            except (EOFError, OSError):
                said, value = Said.DIED, None
            yield place, said, value

    def _process(self, place: int) -> Process:
        worker = self.worker(place)
        assert isinstance(worker, Process)
        return worker


class Process(Worker):
    """One process, and the pipe to it.

    Parameters
    ----------
    serve : callable
        What it does, of the module level: called with its end of the pipe and `given`, without
        hearing Ctrl-C. To return when the pipe ends.
    method : str
        How it is started, of those of `multiprocessing`.
    """

    def __init__(self, serve: Callable[..., None], *given: Any, method: str = "spawn") -> None:
        super().__init__()
        context: Any = multiprocessing.get_context(method)
        self.pipe, theirs = context.Pipe()
        with _as_workers_are():
            self.process: BaseProcess = context.Process(
                target=_deafly, args=(dict(os.environ), serve, theirs, *given), daemon=True
            )
            self.process.start()
        theirs.close()

    def post(self, key: Key, state: bytes | None, argument: Any) -> None:
        try:
            self.pipe.send((key, state, argument))
        except OSError:  # it died since its last job: not for this one
            self.begun = False

    def end(self) -> None:
        self.pipe.close()
        self.process.terminate()
        self.process.join()


def _deafly(environment: Mapping[str, str], serve: Callable[..., None], *given: Any) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.environ.clear()  # whom this is a fork of may have started under another
    os.environ.update(environment)
    serve(*given)


def _serve(pipe: Connection, extensions: Sequence[UserFile]) -> None:
    """Answer jobs with results until the pipe ends."""
    settle(extensions)
    keeper = Keeper()
    while True:
        try:
            key, state, argument = pipe.recv()
            if state is not None:
                said = keeper.make(key, state)
                pipe.send(said)
                if said[0] is Said.WRONG:
                    continue
            pipe.send(keeper.call(key, argument))
        except (EOFError, BrokenPipeError, ConnectionResetError):
            return


@contextmanager
def _as_workers_are() -> Iterator[None]:
    """With one thread for processes that are started inside, and no ear for Ctrl-C."""
    before = {name: os.environ[name] for name in _THREADS if name in os.environ}
    os.environ.update(dict.fromkeys(_THREADS, "1"))
    try:
        with _deaf():
            yield
    finally:
        for name in _THREADS:
            del os.environ[name]
        os.environ.update(before)


@contextmanager
def _deaf() -> Iterator[None]:
    """Keep Ctrl-C from processes that are started inside, also while they come to life.

    Where signals cannot be held back they hear it until `_deafly` begins.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)

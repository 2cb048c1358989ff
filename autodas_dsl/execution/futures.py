"""Executors of others: what has ``submit``, as those of `concurrent.futures`, Dask and mpi4py."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent import futures
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from autodas_dsl.execution.jobs import Argument, Executor, Job, Result, Results
from autodas_dsl.execution.serving import Keeper, Key, Said, Saying, packed, settle
from autodas_dsl.execution.versions import require_same, versions
from autodas_dsl.language.errors import InputError
from autodas_dsl.language.extend import loaded
from autodas_dsl.language.user_files import UserFile

_POLLED_EVERY = 0.05


class Futures(Executor):
    """Runs jobs on an executor of somebody else, which stays open.

    It chooses who runs what, so that each of its workers comes to keep everything that jobs call.

    Parameters
    ----------
    executor
        Its ``submit(function, *arguments)`` runs a picklable function in another process with one
        thread and returns what has ``done()``, ``result()`` and ``cancel()``.
    workers : int, optional
        How many jobs it runs at once, where it does not say.

    Raises
    ------
    InputError
        E789 when its workers are threads: they would share random numbers.
    """

    def __init__(self, executor: Any, workers: int | None = None) -> None:
        if isinstance(executor, futures.ThreadPoolExecutor):
            raise InputError(
                "E789", "the workers of this executor are threads",
                "give one whose workers are processes, such as ProcessPoolExecutor",
            )  # fmt: skip
        self._executor = executor
        self.workers = workers or getattr(executor, "_max_workers", None) or os.cpu_count() or 1
        self._asked = _Asked(uuid4().hex, versions(), loaded())
        self._states: dict[int, tuple[object, bytes]] = {}
        self._forgotten = 0

    def run(self, jobs: Iterable[Job[Argument, Result]]) -> Results[Result]:
        waiting = iter(enumerate(jobs))
        running: dict[Any, tuple[int, Job[Any, Any]]] = {}
        try:
            while True:
                while len(running) < 2 * self.workers and (drawn := next(waiting, None)):
                    running[self._submitted(drawn[1], whole=drawn[0] < self.workers)] = drawn
                if not running:
                    return
                for future in _done(running):
                    number, job = running.pop(future)
                    said, value = self._result(future)
                    if said is Said.WRONG:
                        raise value
                    if said is Said.GONE:
                        running[self._submitted(job, whole=True)] = number, job
                    else:
                        yield number, value
        finally:
            for future in running:
                future.cancel()

    def forget(self) -> None:
        self._forgotten += 1
        self._states.clear()

    def close(self) -> None:
        self.forget()

    def _submitted(self, job: Job[Any, Any], whole: bool) -> Any:
        """A job on its way, with its state where the worker may not know it."""
        key = id(job.state)
        if key not in self._states:
            self._states[key], whole = (job.state, packed(job.state)), True
        state = self._states[key][1] if whole else None
        return self._executor.submit(
            _work, self._asked, (self._forgotten, key), state, job.argument
        )

    def _result(self, future: Any) -> Saying:
        try:
            found: Saying = future.result()
        except futures.BrokenExecutor as error:
            raise InputError(
                "E790", "the executor that was given lost a worker and takes no more jobs",
                "run the command again with a new one: what was found is kept",
            ) from error  # fmt: skip
        return found


@dataclass(frozen=True)
class _Asked:
    """For whom a worker works, and what it needs for that."""

    token: str
    versions: Mapping[str, str]
    extensions: Sequence[UserFile]


_keepers: dict[str, Keeper] = {}
"""What this process keeps as a worker, of the last executor that asked."""


def _work(asked: _Asked, key: Key, state: bytes | None, argument: Any) -> Saying:
    """Run a job in the process that this is; GONE where its state is to be sent along."""
    try:
        if asked.token not in _keepers:
            require_same(asked.versions)
            settle(asked.extensions)
            _keepers.clear()
            _keepers[asked.token] = Keeper()
    except InputError as error:
        return Said.WRONG, error
    return _keepers[asked.token].work(key, state, argument)


def _done(running: Iterable[Any]) -> list[Any]:
    """Those that have ended, once one has."""
    if all(isinstance(one, futures.Future) for one in running):
        return list(futures.wait(list(running), return_when=futures.FIRST_COMPLETED).done)
    while not (done := [one for one in running if one.done()]):
        time.sleep(_POLLED_EVERY)
    return done

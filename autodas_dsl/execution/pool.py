"""Workers that keep what their jobs call: who gets which job, and what comes of it when one dies."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter, deque
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any

from autodas_dsl.execution.jobs import Argument, Executor, Job, Lost, Result, Results
from autodas_dsl.execution.serving import Key, Said, packed
from autodas_dsl.language.errors import InputError

Numbered = tuple[int, Job[Any, Any]]
Heard = tuple[int, Said, Any]
"""The number of a worker, and what it says."""

_MACHINES = 2
"""That may be lost under one job."""


class Worker(ABC):
    """One worker, as the pool sees it: what it knows, and whether it has begun its job."""

    def __init__(self) -> None:
        self.begun = False
        self.known: set[Key] = set()

    def send(self, key: Key, state: Any, argument: Any) -> None:
        """Hand a job over, with the state that the worker is to make where it does not know it."""
        self.begun = key in self.known
        self.post(key, None if self.begun else state, argument)
        self.known.add(key)

    @abstractmethod
    def post(self, key: Key, state: Any, argument: Any) -> None:
        """Hand a job over."""

    @abstractmethod
    def end(self) -> None:
        """End the worker, whatever it is doing."""


class Pool(Executor):
    """Runs jobs on workers, each with one thread; one that dies is replaced.

    Parameters
    ----------
    workers : int
        At least one; a worker starts when there is a job for it.
    """

    def __init__(self, workers: int) -> None:
        self.workers = workers
        self.crew: list[Worker | None] = [None] * workers
        self._states: dict[int, tuple[object, Any]] = {}
        self._forgotten = 0
        self._stillborn: Counter[int] = Counter()

    @abstractmethod
    def started(self) -> Worker:
        """A new worker."""

    @abstractmethod
    def heard(self, busy: Collection[int]) -> Iterator[Heard]:
        """What workers say, once one of them has something to say."""

    def dumps(self, state: object) -> Any:
        """A state, ready to travel."""
        return packed(state)

    def seats(self) -> Sequence[int]:
        """The workers that can be given a job."""
        return range(self.workers)

    def run(self, jobs: Iterable[Job[Argument, Result]]) -> Results[Result]:
        waiting = _Waiting(jobs, self.workers)
        busy: dict[int, Numbered] = {}
        found: list[tuple[int, Any]] = []
        try:
            while True:
                seats = self.seats()
                for place in seats:
                    if place not in busy and (numbered := waiting.next(place, seats)) is not None:
                        self._send(place, numbered[1])
                        busy[place] = numbered
                yield from found
                if not busy and not waiting:
                    return
                found = [
                    one
                    for place, said, value in self.heard(busy)
                    for one in self._taken(place, said, value, busy, waiting)
                ]
        finally:
            for place in busy:  # what it still says would be taken for the answer to another job
                self.bury(place)

    def forget(self) -> None:
        self._forgotten += 1
        self._states.clear()

    def close(self) -> None:
        self.forget()
        for place in range(self.workers):
            self.bury(place)

    def worker(self, place: int) -> Worker:
        found = self.crew[place]
        if found is None:
            found = self.crew[place] = self.started()
        return found

    def bury(self, place: int) -> None:
        worker = self.crew[place]
        if worker is not None:
            worker.end()
        self.crew[place] = None

    def _send(self, place: int, job: Job[Any, Any]) -> None:
        key = id(job.state)  # no other's while the state is held beside what it became
        if key not in self._states:
            self._states[key] = job.state, self.dumps(job.state)
        self.worker(place).send((self._forgotten, key), self._states[key][1], job.argument)

    def _taken(
        self, place: int, said: Said, value: Any, busy: dict[int, Numbered], waiting: _Waiting
    ) -> list[tuple[int, Any]]:
        """The results in what a worker says."""
        if said is Said.MADE:
            self.worker(place).begun = True
            self._stillborn[place] = 0
        elif said is Said.DONE:
            return [(busy.pop(place)[0], value)]
        elif said is Said.WRONG:
            if place in busy:
                key = (self._forgotten, id(busy.pop(place)[1].state))
                self.worker(place).known.discard(key)  # perhaps it was not made
            raise value
        elif said is Said.DIED:
            return self._died(place, *busy.pop(place), waiting)
        elif said is Said.GONE:
            return self._gone(place, *busy.pop(place), waiting)
        return []

    def _gone(
        self, place: int, number: int, job: Job[Any, Any], waiting: _Waiting
    ) -> list[tuple[int, Lost]]:
        """What comes of a job whose machine was lost: nothing yet, unless it is the second one,
        which may be the job's doing."""
        self.bury(place)
        if waiting.gone(number) == _MACHINES:
            return [(number, Lost(job))]
        waiting.back(number, job)
        return []

    def _died(
        self, place: int, number: int, job: Job[Any, Any], waiting: _Waiting
    ) -> list[tuple[int, Lost]]:
        """What comes of a job whose worker died: nothing yet when the job had not begun."""
        begun = self.worker(place).begun
        self.bury(place)
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


class _Waiting:
    """Jobs that were drawn and not yet sent, as few as keep all workers busy."""

    def __init__(self, jobs: Iterable[Job[Any, Any]], workers: int) -> None:
        self._jobs = enumerate(jobs)
        self._workers = workers
        self._drawn: deque[Numbered] = deque()
        self._gone: Counter[int] = Counter()

    def __bool__(self) -> bool:
        if not self._drawn:
            self._drawn.extend([drawn for drawn in [next(self._jobs, None)] if drawn is not None])
        return bool(self._drawn)

    def next(self, place: int, seats: Sequence[int]) -> Numbered | None:
        """The first job that this worker may run, if there is one."""
        for numbered in self._drawn:
            if self._fits(numbered, place, seats):
                self._drawn.remove(numbered)
                return numbered
        while len(self._drawn) < self._workers:
            drawn = next(self._jobs, None)
            if drawn is None or self._fits(drawn, place, seats):
                return drawn
            self._drawn.append(drawn)
        return None

    def back(self, number: int, job: Job[Any, Any]) -> None:
        """It is to be sent again."""
        self._drawn.appendleft((number, job))

    def gone(self, number: int) -> int:
        """How many machines were lost under a job, with this one."""
        self._gone[number] += 1
        return self._gone[number]

    def _fits(self, numbered: Numbered, place: int, seats: Sequence[int]) -> bool:
        """A job with a place is run by its worker, or by another where that cannot be had."""
        wanted = numbered[1].place
        if wanted is None:
            return True
        home = wanted % self._workers
        return place == (home if home in seats else seats[wanted % len(seats)])

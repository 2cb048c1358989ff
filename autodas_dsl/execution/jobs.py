"""The one seam for work: jobs are descriptions, an executor runs them, results come in any order.

A job calls what its worker keeps. What that is, a picklable description says, which the worker
makes once, on first use: an evaluator over a shard, a teacher that has seen its batch. Only the
argument and the result of each call travel. Who hands jobs in brings the results into order, so
that nothing depends on the number or the kind of the workers.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

Argument = TypeVar("Argument")
Result = TypeVar("Result")

RAY = "ray"
MOST = 256
"""Workers: so many processes of this machine at most, or those of a Ray cluster."""

DEADLY = "it ended two worker processes, perhaps for want of memory"
"""Why a job that is lost a second time has no result."""


@dataclass(frozen=True, eq=False)
class Job(Generic[Argument, Result]):
    """One call of what a worker keeps.

    Parameters
    ----------
    state : callable
        Picklable; makes what is called. The same object in many jobs is made once in each worker
        that runs one of them, and kept there until the executor is closed or told to forget.
    argument
        Picklable, as is the result.
    place : int, optional
        Jobs of one place are run by one worker, so that what it keeps lies in memory once. Others
        are run by any worker.
    """

    state: Callable[[], Callable[[Argument], Result]]
    argument: Argument
    place: int | None = None


@dataclass(frozen=True, eq=False)
class Lost:
    """In place of a result: the worker ended while it ran this job."""

    job: Job[Any, Any]


Results = Iterator[tuple[int, Result | Lost]]
"""Results in any order, each with the number of its job."""


class Executor(ABC):
    """Runs jobs; to be used in a ``with`` statement.

    Attributes
    ----------
    workers : int
        How many jobs can be run at once.
    """

    workers: int = 1

    @abstractmethod
    def run(self, jobs: Iterable[Job[Argument, Result]]) -> Iterator[tuple[int, Result | Lost]]:
        """Results as they are ready, each with the number of its job, from 0.

        Jobs are drawn as workers come free, at most two for each worker ahead of the results, so
        that there may be more of them than memory holds.

        Raises
        ------
        InputError
            What a job raised; E609 when workers die before they have made what they are to keep.
        """

    @abstractmethod
    def forget(self) -> None:
        """Have workers let go of what they keep, at the latest when they are to keep something new."""

    @abstractmethod
    def close(self) -> None:
        """Let go of what workers keep, and of the workers, whatever they are doing."""

    def __enter__(self) -> Executor:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


class InProcess(Executor):
    """Runs jobs here, one after the other, each when its result is asked for."""

    def __init__(self) -> None:
        self._kept: dict[int, tuple[object, Callable[[Any], Any]]] = {}

    def run(self, jobs: Iterable[Job[Argument, Result]]) -> Iterator[tuple[int, Result | Lost]]:
        for number, job in enumerate(jobs):
            key = id(job.state)  # no other's while the state is held beside what it made
            if key not in self._kept:
                self._kept[key] = (job.state, job.state())
            yield number, self._kept[key][1](job.argument)

    def forget(self) -> None:
        self._kept.clear()

    def close(self) -> None:
        self.forget()


def persistent(executor: Executor, jobs: Iterable[Job[Argument, Result]]) -> Results[Result]:
    """As `Executor.run`, where a job that is lost is run once more: none ends three workers."""
    lost: list[tuple[int, Job[Argument, Result]]] = []
    for number, found in executor.run(jobs):
        if isinstance(found, Lost):
            lost.append((number, found.job))
        else:
            yield number, found
    for place, found in executor.run(job for _, job in lost):
        yield lost[place][0], found

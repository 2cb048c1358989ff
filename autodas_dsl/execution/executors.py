"""Who does the work: this process, processes of this machine, a cluster, or somebody's executor."""

from __future__ import annotations

from typing import Any

from autodas_dsl.execution.jobs import MOST, RAY, Executor, InProcess
from autodas_dsl.execution.processes import Processes
from autodas_dsl.language.errors import InputError


def local(workers: int) -> Executor:
    """The executor of this machine; with one worker, that is this process."""
    return InProcess() if workers == 1 else Processes(workers)


def executor_of(
    workers: int | str = 1, executor: Any = None, address: str | None = None
) -> Executor:
    """The executor that is meant.

    Parameters
    ----------
    workers : int or str
        Processes of this machine, or ``"ray"``.
    executor : optional
        An `Executor`, or what `Futures` takes: it decides instead. It can be used again after it
        was closed.
    address : str, optional
        Of the Ray cluster.

    Raises
    ------
    InputError
        E791 when `workers` is neither, or as `Ray` and `Futures`.
    """
    if isinstance(executor, Executor):
        return executor
    if executor is not None:
        from autodas_dsl.execution.futures import Futures

        return Futures(executor)
    if workers == RAY:
        from autodas_dsl.execution.cluster import Ray

        return Ray(address)
    if not isinstance(workers, int) or not 1 <= workers <= MOST:
        raise InputError(
            "E791", f"{workers!r} is no number of workers", f'give one from 1 to {MOST}, or "{RAY}"'
        )
    return local(workers)

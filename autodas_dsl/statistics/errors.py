"""What can go wrong while a network is built, read or run, as diagnostics."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from autodas_dsl.language.errors import InputError
from autodas_dsl.language.foreign import is_out_of_memory, one_line
from autodas_dsl.language.spans import Source


class StatisticError(InputError):
    """A statistic cannot be collected from this network and batch.

    Parameters
    ----------
    code, message, help : str
        As in `InputError`.
    statistic : str
        Key text of the statistic, ``"grad W"``; empty when the whole pass failed.
    """

    def __init__(self, code: str, message: str, help: str = "", statistic: str = "") -> None:
        super().__init__(code, f"{statistic}: {message}" if statistic else message, help)
        self.statistic = statistic

    @property
    def told(self) -> str:
        """What is wrong and what to do, in one line."""
        first = self.diagnostics[0]
        return f"{first.message}; {first.help}" if first.help else first.message


class OutOfMemory(StatisticError):
    """Something did not fit into memory; what does, the help says."""

    def __init__(self, reason: str, help: str = "use a smaller --batch-size") -> None:
        super().__init__("E445", f"out of memory: {reason}", help)


@contextmanager
def of_network(name: str) -> Iterator[None]:
    """Let errors say which network they are about."""
    try:
        yield
    except StatisticError as error:
        error.source = error.source or Source(name, "")
        raise


@contextmanager
def within_memory(what: str, *help: str) -> Iterator[None]:
    """Let an error say that memory does not suffice for something, and what to do.

    Raises
    ------
    OutOfMemory
    """
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        raise OutOfMemory(f"{what}: {one_line(error)}", *help) from error

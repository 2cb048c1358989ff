"""What can go wrong while a network is built, read or run, as diagnostics."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from autodas_dsl.language.errors import InputError
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
    """The pass did not fit into memory; a smaller batch may."""

    def __init__(self, reason: str) -> None:
        super().__init__("E445", f"out of memory: {reason}", "use a smaller --batch-size")


@contextmanager
def of_network(name: str) -> Iterator[None]:
    """Let errors say which network they are about."""
    try:
        yield
    except StatisticError as error:
        error.source = error.source or Source(name, "")
        raise


def is_out_of_memory(error: BaseException) -> bool:
    if isinstance(error, MemoryError):
        return True
    text = str(error)
    return isinstance(error, RuntimeError) and (
        "out of memory" in text or "can't allocate memory" in text or "not enough memory" in text
    )

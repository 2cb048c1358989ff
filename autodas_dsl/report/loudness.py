"""How much a command says on stderr beside its errors: less with ``-q``, more with ``-v``."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from autodas_dsl.language.visible import visible

_QUIET = ContextVar("quiet", default=False)
_LOGGER = logging.getLogger("autodas_dsl")


def quiet() -> bool:
    """Whether notes and progress are left out."""
    return _QUIET.get()


@contextmanager
def speaking(*, less: bool, more: bool) -> Iterator[None]:
    """Say less or more while the block runs.

    Parameters
    ----------
    less : bool
        No notes and no progress: only the result, and errors.
    more : bool
        What the package logs too, each line with the seconds since the beginning.
    """
    token = _QUIET.set(less)
    handler = _Lines()
    level = _LOGGER.level
    if more:
        _LOGGER.addHandler(handler)
        _LOGGER.setLevel(logging.INFO)
    try:
        yield
        _LOGGER.info("done")
    finally:
        _LOGGER.removeHandler(handler)
        _LOGGER.setLevel(level)
        _QUIET.reset(token)


class _Lines(logging.Handler):
    """A line on stderr for each record."""

    def __init__(self) -> None:
        super().__init__()
        self._began = time.perf_counter()

    def emit(self, record: logging.LogRecord) -> None:
        seconds = time.perf_counter() - self._began
        print(f"{seconds:8.2f} s  {visible(record.getMessage())}", file=sys.stderr, flush=True)

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


def say_less() -> None:
    """Leave out notes and progress: only the result, and errors."""
    _QUIET.set(True)


def say_more() -> None:
    """Say what the package logs, too, each line with the seconds since now."""
    _LOGGER.addHandler(_Lines())
    _LOGGER.setLevel(logging.INFO)


@contextmanager
def usual_loudness() -> Iterator[None]:
    """What is said is as it was before, after the block."""
    quiet, level, handlers = _QUIET.get(), _LOGGER.level, list(_LOGGER.handlers)
    try:
        yield
    finally:
        _QUIET.set(quiet)
        _LOGGER.setLevel(level)
        _LOGGER.handlers[:] = handlers


class _Lines(logging.Handler):
    """A line on stderr for each record."""

    def __init__(self) -> None:
        super().__init__()
        self._began = time.perf_counter()

    def emit(self, record: logging.LogRecord) -> None:
        seconds = time.perf_counter() - self._began
        print(f"{seconds:8.2f} s  {visible(record.getMessage())}", file=sys.stderr, flush=True)

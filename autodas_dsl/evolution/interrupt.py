"""Ctrl-C: the first finishes the generation, the second stops now."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


class Stopped(Exception):
    """The user asked to stop before there was anything to keep."""


def _quietly() -> None:
    """Nobody is told."""


class Interrupt:
    """Whether the user asked to stop.

    Parameters
    ----------
    answer : callable
        Called at the first Ctrl-C, within the signal handler.
    """

    def __init__(self, answer: Callable[[], None] = _quietly) -> None:
        self.asked = False
        self._answer = answer

    def __call__(self, number: int, frame: FrameType | None) -> None:
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True
        self._answer()


@contextmanager
def listening(answer: Callable[[], None] = _quietly) -> Iterator[Interrupt]:
    """Take Ctrl-C over while inside; outside the main thread it is left alone."""
    interrupt = Interrupt(answer)
    if threading.current_thread() is not threading.main_thread():
        yield interrupt
        return
    before = signal.signal(signal.SIGINT, interrupt)
    try:
        yield interrupt
    finally:
        signal.signal(signal.SIGINT, before)

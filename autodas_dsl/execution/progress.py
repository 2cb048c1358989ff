"""How work tells what is done of it."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[int, str], None]
"""Told how many more are done, and the name of the last one."""


def silent(done: int, label: str) -> None:
    """No progress shown."""

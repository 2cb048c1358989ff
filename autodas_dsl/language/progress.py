"""How work that takes long tells what it has done."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[int, str], None]
"""Told how much more is done, and what that was."""


def silent(done: int, label: str) -> None:
    """No progress shown."""

"""What somebody who watches a search is told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from autodas_dsl.evolution.evaluator import Counts
from autodas_dsl.evolution.individual import Individual


@dataclass(frozen=True)
class Progress:
    """What a watcher is told after every generation."""

    generation: int
    iterations: int
    counts: Counts
    best: Individual | None
    from_journal: int


def _nobody(progress: Progress) -> None:
    """Nobody is told."""


class Watch:
    """Told how a search goes, phase by phase; this one tells a function about every generation."""

    def __init__(self, tell: Callable[[Progress], None] = _nobody) -> None:
        self._tell = tell

    def phase(self, label: str, total: int | None = None) -> None:
        """The next phase begins, the one before is over.

        Parameters
        ----------
        label : str
        total : int, optional
            Steps of it, where they are known; `reached` counts them.
        """

    def reached(self, done: int) -> None:
        """So many steps of this phase are done."""

    def generation(self, progress: Progress) -> None:
        """A generation of the search itself is done."""
        self._tell(progress)

    def stopping(self) -> None:
        """The user asked to stop; told from a signal handler."""

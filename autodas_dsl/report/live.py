"""A search while it runs: one line for each of its phases, and the best formula so far."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress import (
    BarColumn,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as Bars
from rich.table import Table
from rich.text import Text

from autodas_dsl.evolution.watch import Progress, Watch
from autodas_dsl.language.format import format_expression
from autodas_dsl.report.loudness import quiet

STOPPING = "stopping after this generation; again to stop now"


@contextmanager
def watching() -> Iterator[Watch]:
    """Show a search on stderr while the block runs; only the answer to Ctrl-C off a terminal."""
    if quiet() or not sys.stderr.isatty():
        yield Unwatched()
        return
    phases = Phases(Console(stderr=True))
    with phases.shown():
        yield phases


class Unwatched(Watch):
    """Says that it is stopping, and nothing else."""

    def stopping(self) -> None:
        # Past Python's buffers: the signal may have come while they were being written.
        with suppress(OSError):
            os.write(2, f"{STOPPING}\n".encode())


class _Count(ProgressColumn):
    """Steps done, where a phase has steps."""

    def render(self, task: Task) -> Text:
        if not task.fields["counted"]:
            return Text()
        return Text(f"{task.completed:.0f}/{task.total:.0f}", style="progress.download")


class _Left(TimeRemainingColumn):
    """The time that remains, while anything does."""

    def render(self, task: Task) -> Text:
        return Text() if task.fields["over"] or task.total is None else super().render(task)


class Phases(Watch):
    """A line for every phase on a terminal; those that are over stay as they ended.

    Parameters
    ----------
    console : Console
    """

    def __init__(self, console: Console) -> None:
        self._bars = Bars(
            TextColumn("{task.description}"), BarColumn(), _Count(), TimeElapsedColumn(), _Left(),
            console=console,
        )  # fmt: skip
        self._phase: TaskID | None = None
        self._began = time.monotonic()
        self._best: Progress | None = None
        self._asked = False
        self._live = Live(get_renderable=self._view, console=console, refresh_per_second=8)

    @contextmanager
    def shown(self) -> Iterator[None]:
        """Show the phases while the block runs, and leave their lines on the terminal."""
        with self._live:
            try:
                yield
            except BaseException:
                self._end(whole=False)
                raise
            self._end(whole=True)

    def phase(self, label: str, total: int | None = None) -> None:
        self._end(whole=True)
        self._began = time.monotonic()
        self._phase = self._bars.add_task(label, total=total, counted=total is not None, over=False)

    def reached(self, done: int) -> None:
        if self._phase is not None:
            self._bars.update(self._phase, completed=done)

    def generation(self, progress: Progress) -> None:
        self._best = progress
        self.reached(progress.generation)

    def stopping(self) -> None:
        self._asked = True  # shown by the thread that draws: a signal handler must not

    def _end(self, whole: bool) -> None:
        """Settle the line of the phase that is over; one without steps is done as a whole."""
        self._best, self._asked = None, False
        if self._phase is None:
            return
        (task,) = (task for task in self._bars.tasks if task.id == self._phase)
        if task.total is None:
            self._bars.update(self._phase, total=1, completed=int(whole))
        self._bars.update(self._phase, over=True)
        self._bars.stop_task(self._phase)
        self._phase = None

    def _view(self) -> RenderableType:
        parts: list[RenderableType] = [self._bars]
        if self._best is not None:
            parts.append(_facts(self._best, time.monotonic() - self._began))
        if self._phase is not None:  # a last line that is short: what a terminal echoes stays in it
            parts.append(Text(STOPPING if self._asked else "", style="yellow"))
        return Group(*parts)


def _facts(progress: Progress, elapsed: float) -> Table:
    counts, best = progress.counts, progress.best
    table = Table.grid(padding=(0, 2))
    if best is not None:
        table.add_row("best", Text(format_expression(best.formula), style="bold cyan"))
        table.add_row("tau", f"[green]{best.tau:.4f}[/] on the selection, {best.complexity} nodes")
    rate = (counts.evaluations - progress.from_journal) / elapsed if elapsed > 0 else 0.0
    rejected = sum(number for _, number in counts.rejected)
    table.add_row(
        "formulas",
        f"{counts.evaluations} evaluated, {rate:.0f}/s, "
        f"{counts.same_formula + counts.same_ranks} duplicates, {rejected} rejected",
    )
    return table

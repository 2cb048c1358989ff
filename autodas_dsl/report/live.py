"""A search while it runs: the best formula so far, how good it is, and how far the search is."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bars
from rich.table import Table
from rich.text import Text

from autodas_dsl.evolution.run import Progress
from autodas_dsl.language.format import format_expression

Watch = Callable[[Progress], None]


@contextmanager
def watching() -> Iterator[Watch]:
    """Show a search on stderr while the block runs; nothing where that is no terminal."""
    console = Console(stderr=True)
    if not sys.stderr.isatty():
        yield lambda progress: None
        return
    bars = Bars(
        TextColumn("searching"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(),
        console=console,
    )  # fmt: skip
    task = bars.add_task("searching", total=None)
    started = time.monotonic()
    with Live(bars, console=console, refresh_per_second=8, transient=True) as live:

        def show(progress: Progress) -> None:
            bars.update(task, completed=progress.generation, total=progress.iterations)
            live.update(Group(_facts(progress, time.monotonic() - started), bars))

        yield show


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

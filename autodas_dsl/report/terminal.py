"""Results as a table, CSV or JSON on stdout; progress on stderr, and only on a terminal."""

from __future__ import annotations

import csv
import io
import math
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TextIO

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table as RichTable
from rich.text import Text

from autodas_dsl.language.visible import json_text, visible, visible_lines
from autodas_dsl.report.loudness import quiet

FORMATS = ("table", "csv", "json")

Value = str | int | float | bool | None
Row = Mapping[str, Value]

COUNTS = ("params", "flops", "layers")
"""Formulas whose scores are counts."""

_WIDE = 10_000
"""Widest table in a pipe, where there is no terminal to fit."""

_FOLDED = 24
"""Texts wider than this are folded where a terminal is narrow; numbers never are."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a result.

    Attributes
    ----------
    key : str
        Under which a row holds the value; also the name in CSV and JSON.
    title : str
        Heading on the terminal; the key without underscores when empty.
    digits : int or None
        Decimal places of a float on the terminal; None prints six significant digits. Integers have
        a comma at each thousand.
    signed : bool
        Print a plus before a positive number, as for correlations.
    """

    key: str
    title: str = ""
    digits: int | None = None
    signed: bool = False

    @property
    def heading(self) -> str:
        return visible(self.title or self.key.replace("_", " "))


def render(
    rows: Sequence[Row], columns: Sequence[Column], format: str = "table", *, title: str = ""
) -> str:
    """Rows as text that ends in a line break.

    Parameters
    ----------
    rows : sequence of mapping
        A missing key and None both mean: no value. Keys without a column are left out.
    columns : sequence of Column
    format : str
        ``table`` for people, ``csv`` or ``json`` (a list of objects) for programs; these have
        full precision, and a NaN or infinite number is empty or null.
    title : str
        Above the table; not in CSV or JSON.
    """
    if format == "csv":
        return _csv(rows, columns)
    if format == "json":
        return to_json([{c.key: _plain(row.get(c.key)) for c in columns} for row in rows])
    if format != "table":
        raise ValueError(f'"{format}" is none of {", ".join(FORMATS)}')
    console = Console(file=io.StringIO(), width=_WIDE, no_color=True, force_terminal=False)
    with console.capture() as captured:
        console.print(rich_table(rows, columns))
    head = f"{visible(title)}\n" if title else ""
    return head + "\n".join(line.rstrip() for line in captured.get().split("\n"))


def show(
    rows: Sequence[Row],
    columns: Sequence[Column],
    format: str = "table",
    *,
    title: str = "",
    out: TextIO | None = None,
) -> None:
    """Print `render`'s text to stdout, or to `out`; coloured and fitted on a terminal.

    A table wider than the terminal is printed in parts, each with the first column.
    """
    stream = sys.stdout if out is None else out
    if format == "table" and stream.isatty():
        console = Console(file=stream)
        if title:
            console.print(Text(visible(title), style="italic"), soft_wrap=True)
        for part in fitted(rows, columns, console.width):
            console.print(rich_table(rows, part))
    else:
        stream.write(render(rows, columns, format, title=title))


def fitted(rows: Sequence[Row], columns: Sequence[Column], width: int) -> list[list[Column]]:
    """The columns in groups that are no wider than `width`; each begins with the first column."""
    first, *others = columns
    groups = [[first]]
    start = used = _width(rows, first)
    for column in others:
        needed = _width(rows, column)
        if used + needed > width and len(groups[-1]) > 1:
            groups.append([first])
            used = start
        groups[-1].append(column)
        used += needed
    return groups


def _width(rows: Sequence[Row], column: Column) -> int:
    """Characters that a column needs, the spaces around it included."""
    cells = [_shown(row.get(column.key), column) for row in rows]
    widest = max(map(len, (column.heading, *cells)))
    numeric = any(is_number(row.get(column.key)) for row in rows)
    return 2 + (widest if numeric else min(widest, _FOLDED))


def rich_table(rows: Sequence[Row], columns: Sequence[Column]) -> RichTable:
    """The rich table: numbers to the right, texts to the left, texts taken literally."""
    table = RichTable(box=None)
    for column in columns:
        numeric = any(is_number(row.get(column.key)) for row in rows)
        table.add_column(
            Text(column.heading),
            justify="right" if numeric else "left",
            header_style="bold",
            overflow="fold",
            no_wrap=numeric,
        )
    for row in rows:
        table.add_row(*(Text(_shown(row.get(column.key), column)) for column in columns))
    return table


def for_people(score: Value, proxy: str) -> Value:
    """A score as a table shows it: a count is a whole number, though it was computed as a float."""
    if proxy in COUNTS and isinstance(score, float) and score.is_integer():
        return int(score)
    return score


def cell(row: Row, column: Column) -> str:
    """What people see of a row in one column."""
    return _shown(row.get(column.key), column)


def score_text(score: float, proxy: str) -> str:
    """A score within a line of text."""
    return _shown(for_people(score, proxy), Column(proxy))


def to_json(value: object) -> str:
    """JSON text, two spaces deep, without NaN."""
    return json_text(value) + "\n"


def note(*messages: str) -> None:
    """Say what is not a result, a line each: on stderr, wrapped on a terminal; not with ``-q``."""
    if quiet():
        return
    console = Console(stderr=True, soft_wrap=True, highlight=False)
    for message in messages:
        console.print(Text(visible_lines(message)))


@contextmanager
def progress_bar(
    label: str, total: int | None, *, out: TextIO | None = None
) -> Iterator[Callable[[int, str], None]]:
    """A progress bar on stderr while the block runs; nothing where that is no terminal.

    Yields
    ------
    callable
        ``advance(done, status)``: how much is done in all, and a short text beside the bar.
    """
    stream = sys.stderr if out is None else out
    console = Console(file=stream)
    bar = Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[status]}", markup=False),
        console=console,
        transient=True,
        disable=quiet() or not stream.isatty(),
    )
    with bar:
        task = bar.add_task(visible(label), total=total, status="")

        def advance(done: int, status: str = "") -> None:
            bar.update(task, completed=done, status=visible(status))

        yield advance


@contextmanager
def tally(label: str, total: int | None) -> Iterator[Callable[[int, str], None]]:
    """As `progress_bar`, for work that reports how much more is done each time."""
    done = 0
    with progress_bar(label, total) as advance:

        def add(count: int, status: str = "") -> None:
            nonlocal done
            done += count
            advance(done, status)

        yield add


def _csv(rows: Sequence[Row], columns: Sequence[Column]) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([visible(column.key) for column in columns])
    for row in rows:
        cells = (_plain(row.get(column.key)) for column in columns)
        writer.writerow(["" if cell is None else _cell(cell) for cell in cells])
    return out.getvalue()


def _cell(value: Value) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return repr(value) if isinstance(value, float) else visible(str(value))


def _plain(value: Value) -> Value:
    """The value as CSV and JSON hold it: a number that is not finite has no value."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def is_number(value: Value) -> bool:
    """Whether a value stands at the right of its column."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def _shown(value: Value, column: Column) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        sign = "+" if column.signed else ""
        kind = ".6g" if column.digits is None else f".{column.digits}f"
        return format(value, sign + kind)
    return f"{value:,}" if isinstance(value, int) else visible(str(value))

"""A CSV text taken apart: comments, header, rows, and where each cell stands."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile

import numpy as np

from autodas_dsl.language.errors import Diagnostic, InputError
from autodas_dsl.language.spans import Source, Span
from autodas_dsl.language.visible import UNSEEN
from autodas_dsl.tables.table import Floats

_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_UNSEEN = re.compile(rf"(?!\t){UNSEEN.pattern}")
_MISSING = ("", "nan")


@dataclass(frozen=True)
class Sheet:
    """A CSV text, taken apart and not yet understood.

    Attributes
    ----------
    source : Source
        The whole text, for diagnostics.
    comments : mapping
        The leading ``# key: value`` lines.
    header : tuple of str
        Column names.
    rows : tuple of tuple of str
        Cells, as many as the header has.
    lines : tuple of int
        The line of each row in the text, counted from 1.
    """

    source: Source
    comments: Mapping[str, str]
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    lines: tuple[int, ...]

    def column(self, name: str) -> tuple[str, ...]:
        index = self.header.index(name)
        return tuple(row[index] for row in self.rows)

    def holds_numbers(self, column: str) -> bool:
        """Whether any cell is a number, or all of them are missing."""
        cells = [text for text in self.column(column) if text.lower() not in _MISSING]
        return not cells or any(_NUMBER.fullmatch(text) for text in cells)

    def numbers(self, column: str) -> Floats:
        """A column as float64 ``[n]``; a missing cell is NaN.

        Raises
        ------
        InputError
            A cell is neither a finite decimal number nor missing.
        """
        values = np.full(len(self.rows), np.nan)
        for row, text in enumerate(self.column(column)):
            if text.lower() in _MISSING:
                continue
            value = float(text) if _NUMBER.fullmatch(text) else np.inf
            if not np.isfinite(value):
                raise self.error(
                    "E506",
                    f'"{text}" in column "{column}" is not a number',
                    "write a decimal number, or leave the cell empty when it is unknown",
                    row=row,
                    column=column,
                )
            values[row] = value
        return values

    def error(
        self, code: str, message: str, help: str = "", *, row: int | None = None, column: str = ""
    ) -> InputError:
        """A diagnostic that points at the sheet, one of its rows, or one cell."""
        span = None if row is None else self.span(row, column)
        return located(InputError(code, message, help), self.source, span)

    def span(self, row: int, column: str) -> Span:
        """Where a cell stands; its whole line when the line is quoted or no column is named."""
        line = self.lines[row]
        start = sum(len(text) + 1 for text in self.source.text.split("\n")[: line - 1])
        text = self.source.line(line)
        if not column or '"' in text:
            return Span(start, start + len(text))
        index = self.header.index(column)
        cells = text.rstrip("\r").split(",")
        start += sum(len(cell) + 1 for cell in cells[:index])
        return Span(start, start + max(1, len(cells[index])))


def located(error: InputError, source: Source, span: Span | None) -> InputError:
    """The same errors, at a place in a table."""
    error.diagnostics = tuple(
        Diagnostic(d.code, d.message, span, d.help, d.severity) for d in error.diagnostics
    )
    error.source = source
    return error


def read_sheet(source: Source) -> Sheet:
    """Comments, header and rows of a CSV text."""
    lines = source.text.split("\n")
    _refuse_unseen(source, lines)
    leading = list(takewhile(lambda line: line.startswith("#") or not line.strip(), lines))
    body = "\n".join(lines[len(leading) :])
    empty = Sheet(source, {}, (), (), ())
    found: list[tuple[int, tuple[str, ...]]] = []
    reader = csv.reader(io.StringIO(body, newline=""), strict=True)
    try:
        for cells in reader:
            if cells:
                found.append((reader.line_num + len(leading), tuple(c.strip() for c in cells)))
    except csv.Error as error:
        line = reader.line_num + len(leading)
        raise empty.error(
            "E504", f"line {line} is not CSV: {error}", "quote cells that hold commas or quotes"
        ) from error
    if len(found) < 2:
        raise empty.error(
            "E503",
            "the table is empty",
            "the first line names the columns, each further line is one architecture",
        )
    sheet = Sheet(
        source,
        _comments(leading),
        found[0][1],
        tuple(cells for _, cells in found[1:]),
        tuple(line for line, _ in found[1:]),
    )
    _check_shape(sheet)
    return sheet


def _refuse_unseen(source: Source, lines: Sequence[str]) -> None:
    """Names and comments are printed, and written into documents: nothing in them is invisible."""
    for number, line in enumerate(lines):
        found = _UNSEEN.search(line)
        if found:
            start = sum(len(text) + 1 for text in lines[:number]) + found.start()
            raise located(
                InputError(
                    "E536", f"the character U+{ord(found.group()):04X} is not shown", "delete it"
                ),
                source,
                Span(start, start + 1),
            )


def _check_shape(sheet: Sheet) -> None:
    for index, name in enumerate(sheet.header):
        if not name or name in sheet.header[:index]:
            what = f'two columns are named "{name}"' if name else f"column {index + 1} has no name"
            raise sheet.error("E505", what, "give every column a name of its own")
    if any("\n" in name for name in sheet.header):
        raise sheet.error("E505", "a column name holds a line break", "write it in one line")
    for row, cells in enumerate(sheet.rows):
        if any("\n" in cell for cell in cells):
            raise sheet.error(
                "E504", "a cell of this row holds a line break", "write each cell in one line",
                row=row,
            )  # fmt: skip
        if len(cells) != len(sheet.header):
            raise sheet.error(
                "E518",
                f"this row has {len(cells)} cells, the header has {len(sheet.header)}",
                "write every cell, an empty one for an unknown value",
                row=row,
            )


def _comments(lines: Sequence[str]) -> dict[str, str]:
    """The ``# key: value`` lines; a comment without a key continues the one before it."""
    found: dict[str, str] = {}
    for line in lines:
        text = line.lstrip("#").strip()
        key, colon, value = text.partition(": ")
        if colon and re.fullmatch(r"[A-Za-z][\w =-]*", key):
            found[key] = value.strip()
        elif text and found:
            last = next(reversed(found))
            found[last] += " " + text
    return found

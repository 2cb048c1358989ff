"""Diagnostics: what was wrong, where, and what to do; and the errors that carry them."""

from __future__ import annotations

from collections.abc import Iterable
from copyreg import __newobj__  # type: ignore[attr-defined]
from dataclasses import dataclass, replace
from typing import Any

from autodas_dsl.language.spans import Source, Span
from autodas_dsl.language.visible import visible


@dataclass(frozen=True, slots=True)
class Fix:
    """What to write in the place of a mistake.

    Parameters
    ----------
    text : str
        What is meant; the empty text deletes.
    sure : bool
        Nothing else can have been meant.
    span : Span, optional
        What it stands for; that of the diagnostic when absent.
    word : str, optional
        Of the span only this word, where it stands last.
    """

    text: str
    sure: bool
    span: Span | None = None
    word: str = ""

    def moved(self, by: int) -> Fix:
        return replace(self, span=self.span and self.span.moved(by))


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """What was wrong, where, and what to do.

    Codes are stable; the first digit is that of the subject. `docs/errors.md` lists them all.
    """

    code: str
    message: str
    span: Span | None = None
    help: str = ""
    severity: str = "error"
    fix: Fix | None = None

    def moved(self, by: int) -> Diagnostic:
        """The same in a longer text."""
        span, fix = self.span and self.span.moved(by), self.fix and self.fix.moved(by)
        return replace(self, span=span, fix=fix)

    def render(self, source: Source | None = None) -> str:
        """The diagnostic as text: position, message, the line with carets, one line of help."""
        head = f"{self.severity}[{self.code}]: {_shortened(self.message)}"
        lines = [head]
        if source is not None:
            where = source.name
            if self.span is not None:
                row, column = source.position(self.span.start)
                where = f"{source.name}:{row}:{column}"
                lines += self._excerpt(source, row, column)
            lines[0] = f"{visible(where)}: {head}"
        if self.help:
            lines.append(f"    = help: {_shortened(self.help)}")
        return "\n".join(lines)

    def _excerpt(self, source: Source, row: int, column: int) -> list[str]:
        if self.span is None:
            return []
        text, offset = _window(source.line(row), column)
        width = min(self.span.end - self.span.start, len(text) - (column - offset) + 1)
        number = f"  {row} | "
        carets = " " * (column - offset) + "^" * max(1, width)
        return [number + text, " " * (len(number) - 2) + "| " + carets]

    def as_dict(self, source: Source) -> dict[str, object]:
        """For ``--format json``: positions count from 1, the end is exclusive."""
        found: dict[str, object] = {
            "file": source.name,
            "code": self.code,
            "severity": self.severity,
            "message": self.message,
            "help": self.help,
        }
        if self.span is not None:
            found["line"], found["column"] = source.position(self.span.start)
            found["end_line"], found["end_column"] = source.position(self.span.end)
        return found


def _shortened(text: str, width: int = 240) -> str:
    """A message whose middle is left out when somebody's name for a thing makes it too long."""
    text = visible(text)
    half = width // 2
    return text if len(text) <= width else f"{text[:half]}…{text[-half:]}"


def _window(line: str, column: int, width: int = 120) -> tuple[str, int]:
    """The part of a line to show, and the column of its first character."""
    line = "".join(ch if ch.isprintable() else " " if ch == "\t" else "�" for ch in line)
    if len(line) <= width:
        return line, 1
    start = max(0, min(column - width // 2, len(line) - width))
    return line[start : start + width], start + 1


class Fault(Exception):
    """A mistake at a place; whoever knows the whole text makes a `FormulaError` of it."""

    def __init__(
        self, code: str, message: str, span: Span, help: str = "", fix: Fix | None = None
    ) -> None:
        super().__init__(message)
        self.diagnostic = Diagnostic(code, message, span, help, fix=fix)


class InputError(Exception):
    """The input is wrong: shown as a diagnostic with exit status 1, never as a traceback.

    Parameters
    ----------
    code, message, help : str
        As in `Diagnostic`.
    """

    def __init__(self, code: str, message: str, help: str = "") -> None:
        super().__init__(message)
        self.diagnostics: tuple[Diagnostic, ...] = (Diagnostic(code, message, None, help),)
        self.source: Source | None = None

    def render(self) -> str:
        return "\n".join(d.render(self.source) for d in self.diagnostics)

    def __str__(self) -> str:
        return self.render()

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickled as what it holds: subclasses are made from other arguments."""
        return __newobj__, (type(self), *self.args), vars(self)


class FormulaError(InputError):
    """One or more diagnostics about one formula or document."""

    def __init__(self, diagnostics: Iterable[Diagnostic], source: Source | None) -> None:
        found = tuple(diagnostics)
        super().__init__(found[0].code, found[0].message)
        self.diagnostics = found
        self.source = source

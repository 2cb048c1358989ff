"""The fixes of what is wrong with a document: where each goes, and the text with them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from autodas_dsl.editing.draft import Draft, draft
from autodas_dsl.language.errors import Diagnostic
from autodas_dsl.language.spans import Span

_ROUNDS = 16
"""What is mended may bring to light what was hidden behind it; so many times at most."""
_CHARACTER = re.compile(r"\r\n|.", re.S)


@dataclass(frozen=True, slots=True)
class Edit:
    """A text in the place of another; `sure` as in `Fix`."""

    span: Span
    text: str
    sure: bool

    @property
    def title(self) -> str:
        """What it does, in a few words."""
        return f"Write {self.text.strip()}" if self.text.strip() else "Delete it"


@dataclass(frozen=True)
class Mended:
    """A text with its fixes, of which there are `fixed`."""

    text: str
    fixed: int

    @property
    def readable(self) -> bool:
        """Whether the text is a document, whatever its formulas are."""
        return draft(self.text).proxy is not None


def edit_of(found: Diagnostic, text: str) -> Edit | None:
    """What mends a mistake of a text; None where nothing is known to.

    Parameters
    ----------
    text : str
        With ``\\n`` line ends, as the places of diagnostics are.
    """
    fix = found.fix
    if fix is None:
        return None
    span = fix.span or found.span
    if span is None:
        return None
    if fix.word:
        words = list(re.finditer(rf"(?<![\w.]){re.escape(fix.word)}(?![\w.])", text[: span.end]))
        if not words or words[-1].start() < span.start:
            return None
        span = Span(*words[-1].span())
    if not fix.text and _is_line(text, span):
        span = Span(span.start, span.end + 1)
    return Edit(span, fix.text, fix.sure)


def mended(text: str, stem: str | None, unsafe: bool = False) -> Mended:
    """A document with its fixes.

    Parameters
    ----------
    text : str
        With any line ends, which stay.
    stem : str or None
        The stem of its file, if it has one.
    unsafe : bool
        With the fixes that are not sure, too.
    """
    fixed = 0
    for _ in range(_ROUNDS):
        edits = _edits(draft(text, stem), unsafe)
        if not edits:
            break
        text = _written(text, edits)
        fixed += len(edits)
    return Mended(text, fixed)


def _edits(page: Draft, unsafe: bool) -> list[Edit]:
    """The edits to make at once, in the order of the text; of warnings when there is no error."""
    errors = [found for found in page.diagnostics if found.severity == "error"]
    edits = (edit_of(found, page.text) for found in errors or page.diagnostics)
    return _apart(edit for edit in edits if edit is not None and (edit.sure or unsafe))


def _apart(edits: Iterable[Edit]) -> list[Edit]:
    """Edits of which none touches the one before it."""
    found: list[Edit] = []
    for edit in sorted(edits, key=lambda e: (e.span.start, e.span.end)):
        if not found or edit.span.start > found[-1].span.end:
            found.append(edit)
    return found


def _written(text: str, edits: Iterable[Edit]) -> str:
    """The text with edits whose places count a line end of two characters as one."""
    units = _CHARACTER.findall(text)
    newline = "\r\n" if "\r\n" in units else "\n"
    done, parts = 0, []
    for edit in edits:
        parts += [*units[done : edit.span.start], edit.text.replace("\n", newline)]
        done = edit.span.end
    return "".join([*parts, *units[done:]])


def _is_line(text: str, span: Span) -> bool:
    """Whether a span is all of one or several lines, and no more."""
    before, after = text[span.start - 1 : span.start], text[span.end : span.end + 1]
    return before in ("", "\n") and after == "\n"

"""The line layer of documents: items start in column 1, continuation lines are indented."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from autodas_dsl.language.errors import Diagnostic, Fix
from autodas_dsl.language.format import Comment
from autodas_dsl.language.spans import Span
from autodas_dsl.language.visible import UNSEEN

_ODD = re.compile(rf"[^\S \t]|(?!\t){UNSEEN.pattern}")
_FORMULA = re.compile(r"[ \t]+(?=(?:let\s+\w+|score)\s*=(?!=))")
_FREE_TEXT = re.compile(r"(reported|measured|x-[a-z0-9-]+):")
_CONTINUES = "an indented line continues the line above it"
_FIRST_COLUMN = "items start in the first column"
_QUOTED_START = re.compile(r'(about|source):\s*"')
_QUOTED_TEXT = re.compile(r'(about|source):\s*"(?:[^"\\]|\\.)*"')


@dataclass(frozen=True, slots=True)
class Item:
    """A header, a let or the score, with its continuation lines.

    `text` has the length of its span: comments in it are blanked out. Offsets of `comments` count
    from the start of the item.
    """

    text: str
    span: Span
    comments: tuple[Comment, ...]


@dataclass(frozen=True, slots=True)
class Note:
    """A comment on a line of its own, before item number `before`."""

    text: str
    before: int


def read_items(text: str) -> tuple[list[Item], list[Note], list[Diagnostic]]:
    """Split a document into items and own-line comments."""
    items: list[Item] = []
    notes: list[Note] = []
    faults: list[Diagnostic] = []
    started: list[tuple[int, str]] = []  # lines of the item being read: offset and text

    def finish() -> None:
        if started:
            items.append(_item(started))
            started.clear()

    held: list[tuple[int, str]] = []  # blank and comment lines that may belong to the item or not
    offset = 0
    for line in text.split("\n"):
        bad = _ODD.search(line)
        if bad:
            at = offset + bad.start()
            faults.append(_odd_character(bad.group(), Span(at, at + 1)))
            line = _ODD.sub(" ", line)
        bare = line.strip()
        if not bare or bare.startswith("#"):
            held.append((offset, line))
        elif line[0] in " \t":
            if not started:
                faults.append(_fault("an indented line without an item above it",
                                        Span(offset, offset + len(line)),
                                        _FIRST_COLUMN))  # fmt: skip
            elif (lead := _FORMULA.match(line)) and not _is_text(started):
                at = offset + lead.end()
                faults.append(_fault(_CONTINUES, Span(offset, offset + len(line)), _FIRST_COLUMN))
                finish()
                started.append((at, line[lead.end() :]))
                held.clear()
            else:
                started += held
                held.clear()
                started.append((offset, line))
        else:
            rest = _release(held, started)
            finish()
            notes += [Note(note.strip(), len(items)) for _, note in rest if note.strip()]
            held.clear()
            started.append((offset, line))
        offset += len(line) + 1
    rest = _release(held, started)
    finish()
    notes += [Note(note.strip(), len(items)) for _, note in rest if note.strip()]
    return items, notes, faults


def _fault(message: str, span: Span, help: str, fix: Fix | None = None) -> Diagnostic:
    return Diagnostic("E304", message, span, help, fix=fix)


def _odd_character(char: str, span: Span) -> Diagnostic:
    code = f"U+{ord(char):04X}"
    if ord(char) > 127 and char.isspace():
        return _fault(f"unusual space {code}", span, "write a plain space", Fix(" ", sure=True))
    what = "control" if unicodedata.category(char) == "Cc" else "invisible"
    return _fault(f"{what} character {code}", span, "delete it", Fix("", sure=False))


def _is_text(started: list[tuple[int, str]]) -> bool:
    """Whether the item being read is free text, or a quoted one that has not ended."""
    whole = "\n".join(line for _, line in started)
    return bool(_FREE_TEXT.match(whole) or _QUOTED_START.match(whole)) and not (
        _QUOTED_TEXT.match(whole)
    )


def _release(held: list[tuple[int, str]], started: list[tuple[int, str]]) -> list[tuple[int, str]]:
    """Indented comments right after an item belong to it; the rest is returned."""
    taken = 0
    for _, line in held:
        if not (started and line[:1] in (" ", "\t") and line.strip()):
            break
        taken += 1
    started += held[:taken]
    return held[taken:]


def _item(lines: list[tuple[int, str]]) -> Item:
    start = lines[0][0]
    end = lines[-1][0] + len(lines[-1][1])
    whole = "\n".join(line for _, line in lines)
    if _FREE_TEXT.match(whole):
        return Item(whole, Span(start, end), ())
    quoted = _QUOTED_TEXT.match(whole)
    protected = start + (quoted.end() if quoted else 0)
    comments: list[Comment] = []
    plain: list[str] = []
    for offset, line in lines:
        mark = line.find("#", max(0, protected - offset))
        if mark >= 0:
            comments.append(
                Comment(line[mark:].strip(), offset - start + mark, bool(line[:mark].strip()))
            )
            line = line[:mark] + " " * (len(line) - mark)
        plain.append(line)
    text = "\n".join(plain).rstrip()
    return Item(text, Span(start, start + len(text)), tuple(comments))

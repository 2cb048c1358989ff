"""Readers of the text fixtures in ``tests/data``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from autodas_dsl.language.errors import InputError

DATA = Path(__file__).parent / "data"


def lines(name: str) -> list[str]:
    """The lines of a fixture that are neither blank nor comments."""
    text = (DATA / name).read_text(encoding="utf-8")
    return [line for line in text.split("\n") if line.strip() and not line.startswith("# ")]


@dataclass(frozen=True)
class Expected:
    """One diagnostic of a wrong input: its place, code, message and help."""

    start: int
    end: int
    code: str
    message: str
    help: str = ""


@dataclass(frozen=True)
class Wrong:
    """A wrong input beside its valid neighbour."""

    line: int
    document: bool
    neighbour: str
    text: str
    expected: tuple[Expected, ...]


def wrong_inputs(name: str = "errors.txt") -> list[Wrong]:
    """The blocks of an error fixture."""
    found: list[Wrong] = []
    block: list[str] = []
    text = (DATA / name).read_text(encoding="utf-8")
    for number, line in enumerate([*text.split("\n"), ""], 1):
        if line and not line.startswith("#"):
            block.append(line)
        elif block:
            found.append(_wrong(block, number - len(block)))
            block = []
    return found


def _wrong(block: list[str], number: int) -> Wrong:
    ok: list[str] = []
    bad: list[str] = []
    told: list[list[str]] = []
    current = ok
    document = "|" in block[0][:5]
    for line in block:
        if line.startswith("E"):
            code, message = line.split("  ", 1)
            told.append([code, message])
        elif line.startswith("help  "):
            told[-1].append(line[6:])
        else:
            current = {"ok": ok, "bad": bad}.get(line[:4].strip(), current)
            current.append(_unescaped(line[6:]))
    text, spans = unmarked(_joined(bad, document))
    expected = tuple(Expected(*span, *words) for span, words in zip(spans, told, strict=True))
    return Wrong(number, document, _joined(ok, document), text, expected)


def explained(error: InputError) -> None:
    """Every diagnostic has a code and a message, and is short enough to be read."""
    assert error.diagnostics
    assert len(error.diagnostics) <= 51
    for diagnostic in error.diagnostics:
        assert diagnostic.code[0] == "E"
        assert diagnostic.message
    assert all(len(line) < 400 for line in error.render().split("\n"))


def _joined(parts: list[str], document: bool) -> str:
    return "\n".join(parts) + "\n" if document else parts[0]


def _unescaped(text: str) -> str:
    return re.sub(r"\\u([0-9a-f]{4})", lambda found: chr(int(found.group(1), 16)), text)


def unmarked(text: str) -> tuple[str, list[tuple[int, int]]]:
    """A text without its ‹ › marks, and the spans that they enclosed."""
    plain = ""
    spans: list[tuple[int, int]] = []
    start = 0
    for char in text:
        if char == "‹":
            start = len(plain)
        elif char == "›":
            spans.append((start, len(plain)))
        else:
            plain += char
    return plain, spans

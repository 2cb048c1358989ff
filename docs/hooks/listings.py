"""The listings of docs/results.md, read back: what formulas reached on which table."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

RESULTS = Path(__file__).resolve().parent.parent / "results.md"

HELD_OUT = re.compile(r"(?P<table>[\w-]+), (?P<target>\w+): (?P<of>\d+ to select, .+)")
RANKED = re.compile(r"(?P<table>[\w-]+), (?P<target>\w+), (?P<of>all.*|half|\d+/\d+)")
FENCE = re.compile(r"^```(\w*)\n(.*?)^```\n", re.M | re.S)
SEARCH = "search"
"""The line about formulas that were searched for on the other half."""

_NUMBER = r"[+-](?:\d\.\d+|nan)"
_FOUND = re.compile(
    rf"(?P<proxy>.+?)\s+{_NUMBER} ± \S+\s+(?P<spearman>{_NUMBER}) ± (?P<spread>\S+)"
    rf"\s+(?P<low>{_NUMBER}) (?P<high>{_NUMBER})\s+{_NUMBER} {_NUMBER}"
)


@dataclass(frozen=True)
class Line:
    """One formula in a listing: Spearman, its 95 % interval, and every cell as printed.

    `spread` is the standard deviation over splits and searches, of held-out listings only.
    """

    proxy: str
    spearman: float | None
    low: float | None
    high: float | None
    spread: float | None
    cells: tuple[str, ...]


@dataclass(frozen=True)
class Listing:
    """A table of results.md: what it was measured on, and a line for each formula, best first."""

    table: str
    target: str
    of: str
    held_out: bool
    columns: tuple[str, ...]
    lines: tuple[Line, ...]
    notes: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        return f"{self.table}, {self.target}: {self.of}"

    def line(self, proxy: str) -> Line | None:
        return next((line for line in self.lines if line.proxy == proxy), None)


@cache
def listings() -> tuple[Listing, ...]:
    """Every listing of the page, in its order."""
    blocks = FENCE.findall(RESULTS.read_text(encoding="utf-8"))
    return tuple(one for _, block in blocks for one in listings_of(block))


def listings_of(block: str) -> Iterator[Listing]:
    """The listings of one fenced block; none where it shows something else."""
    for paragraph in block.strip("\n").split("\n\n"):
        title, *rest = paragraph.split("\n")
        found = HELD_OUT.fullmatch(title) or RANKED.fullmatch(title)
        if found is None:
            continue
        held_out = found.re is HELD_OUT
        columns, lines = _found(rest[1:]) if held_out else _ranked(rest)
        notes = tuple(line for line in rest if line.startswith("not ranked: "))
        yield Listing(**found.groupdict(), held_out=held_out, columns=columns, lines=lines,
                      notes=notes)  # fmt: skip


def _found(rest: Sequence[str]) -> tuple[tuple[str, ...], tuple[Line, ...]]:
    columns = ("formula", "Spearman", "± over splits", "95 % from", "to")
    lines = []
    for text in rest:
        match = _FOUND.fullmatch(text)
        if match is None:
            raise ValueError(f"docs/results.md: no line of a held-out listing: {text}")
        proxy, *cells = match.groups()
        numbers = {name: _number(match[name]) for name in ("spearman", "low", "high", "spread")}
        if numbers["low"] is None:  # scores that are all equal have no correlation
            numbers["spearman"] = None
        lines.append(Line(proxy, cells=(proxy, *cells), **numbers))
    return columns, tuple(lines)


def _ranked(rest: Sequence[str]) -> tuple[tuple[str, ...], tuple[Line, ...]]:
    columns = tuple(re.split(r"\s{2,}", rest[0].strip()))
    lines = []
    for text in rest[1:]:
        if text.startswith("not ranked: "):
            continue
        cells = tuple(re.split(r"\s{2,}", text.strip()))
        named = dict(zip(columns, cells, strict=False))
        numbers = (_number(named[key]) for key in ("spearman", "95 % from", "to"))
        lines.append(Line(cells[0], *numbers, spread=None, cells=cells))
    return columns, tuple(lines)


def _number(text: str) -> float | None:
    return None if text == "–" or text.endswith("nan") else float(text)

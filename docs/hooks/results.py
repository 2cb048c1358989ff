"""The page of results as the site shows it: pictures first, listings folded, all of them as CSV."""

from __future__ import annotations

import csv
import io
import re

from chart import SIZES, intervals
from listings import FENCE, Listing, listings, listings_of

SHOWN = 10
"""Formulas in a picture; the baselines of size stand below them."""

LONG = 15
"""Rows of a written table from which on it is folded."""

_TABLE = re.compile(rf"(?:^\|.*\n){{{LONG + 2},}}", re.M)


def page(markdown: str) -> str:
    """The text of docs/results.md, changed."""
    numbers = iter(range(len(listings())))

    def listed(match: re.Match[str]) -> str:
        language, block = match.groups()
        found = [] if language else list(listings_of(block))
        if not found:
            return match[0]
        return "\n".join(_shown(next(numbers), listing) for listing in found)

    return FENCE.sub(listed, _TABLE.sub(_folded, markdown))


def csv_name(number: int, listing: Listing) -> str:
    return f"listings/{number + 1:02}-{listing.table}-{listing.target}.csv"


def as_csv(listing: Listing) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(listing.columns)
    writer.writerows(line.cells for line in listing.lines)
    return out.getvalue()


def _shown(number: int, listing: Listing) -> str:
    best = [line for line in listing.lines if line.spearman is not None][:SHOWN]
    sizes = [line for line in listing.lines if line.proxy in SIZES and line not in best]
    picture = intervals([*best, *sizes], f"Spearman, {listing.title}")
    rows = ["| " + " | ".join(listing.columns) + " |", "|---" * len(listing.columns) + "|"]
    for line in listing.lines:
        cells = (*line.cells, *[""] * (len(listing.columns) - len(line.cells)))
        name, *others = cells
        rows.append(f"| `{name}` | " + " | ".join(others) + " |")
    rows += ["", *(f"* {note}" for note in listing.notes)] if listing.notes else []
    return "\n".join([
        f"**{listing.title}**", "",
        f'<figure class="picture">{picture}</figure>', "",
        f'??? note "All {len(listing.lines)} formulas"', "",
        *(f"    {row}".rstrip() for row in rows), "",
        f"    [As CSV]({csv_name(number, listing)})", "",
    ])  # fmt: skip


def _folded(match: re.Match[str]) -> str:
    rows = match[0].rstrip("\n").split("\n")
    body = "\n".join(f"    {row}" for row in rows)
    return f'??? note "{len(rows) - 2} formulas"\n\n{body}\n\n'

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

LEGEND = f"""
Pictures show Spearman and its interval for the {SHOWN} best formulas of a listing (dots), for the
parameter count and the multiply-adds (squares), and for formulas that a search found on the other
half (green). Columns of every table are sorted by a click on their head.
"""

_TABLE = re.compile(rf"(?:^\|.*\n){{{LONG + 2},}}", re.M)


def page(markdown: str) -> str:
    """The text of docs/results.md, changed."""
    numbers = iter(range(len(listings())))

    def listed(match: re.Match[str]) -> str:
        language, block = match.groups()
        if language or not any(listings_of(block)):
            return match[0]
        parts = []
        for paragraph in block.strip("\n").split("\n\n"):
            found = next(listings_of(paragraph), None)
            parts.append(_as_printed(paragraph) if found is None else _shown(next(numbers), found))
        return "\n".join(parts)

    intro, heading, rest = markdown.partition("\n## ")
    return intro + LEGEND + heading + FENCE.sub(listed, _TABLE.sub(_folded, rest))


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


def _as_printed(paragraph: str) -> str:
    title = paragraph.partition("\n")[0]
    body = "\n".join(f"    {line}" for line in paragraph.split("\n"))
    return f'??? note "{title}"\n\n    ```\n{body}\n    ```\n'


def _folded(match: re.Match[str]) -> str:
    rows = match[0].rstrip("\n").split("\n")
    body = "\n".join(f"    {row}" for row in rows)
    return f'??? note "{len(rows) - 2} formulas"\n\n{body}\n\n'

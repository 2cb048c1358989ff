"""The gallery: a card for each formula of the library, made from its file and from the listings."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from html import escape

import cost
from listings import SEARCH, Listing, listings

from autodas_dsl.language.library import library_files, library_proxy
from autodas_dsl.language.proxy import Proxy
from autodas_dsl.printing.mathml import mathml
from autodas_dsl.printing.show import show

GROUPS = {
    "parameter": "Weights and gradients",
    "activation": "Activations",
    "teacher_student": "Student and teacher",
    "discovered": "Found by a search",
}


def cards() -> str:
    """Headings and cards, as Markdown with blocks of HTML."""
    folders = {name: path.parent.name for name, path in library_files().items()}
    groups = dict.fromkeys([*GROUPS, *folders.values()])
    return "\n".join(
        f"## {GROUPS.get(group, group)}\n\n"
        + "\n".join(_card(name) for name, folder in folders.items() if folder == group)
        for group in groups
    )


def _card(name: str) -> str:
    proxy = library_proxy(name)
    found = proxy.check()
    facts = {
        "source": escape(proxy.source),
        "reads": _codes(map(str, sorted(proxy.typed().statistics))),
        "requires": _codes(map(str, found.requirements)),
        "cost": escape(cost.in_words(proxy)),
        "text": f"<code>{escape(show(proxy, 'text'))}</code>",
    }
    rows = "".join(f"<dt>{key}</dt><dd>{value}</dd>" for key, value in facts.items() if value)
    return (
        f'### {name}\n\n<div class="proxy"><p>{escape(proxy.about)}</p>'
        f'<div class="formula">{mathml(proxy)}</div><dl>{rows}</dl>{_places(proxy)}</div>\n'
    )


def _codes(texts: Iterator[str]) -> str:
    return ", ".join(f"<code>{escape(text)}</code>" for text in texts)


def _places(proxy: Proxy) -> str:
    """Where it stands on every table of docs/results.md, the parameter count beside it."""
    rows = []
    for listing in measured():
        line, params = listing.line(proxy.name), listing.line("params")
        if line is None or line.spearman is None:
            continue
        ranked = [one.proxy for one in listing.lines if one.proxy != SEARCH]
        size = "–" if params is None or params.spearman is None else f"{params.spearman:+.3f}"
        rows.append(
            f"<tr><td>{listing.table}, {listing.target}</td>"
            f"<td>{'held out' if listing.held_out else 'all'}</td>"
            f"<td>{ranked.index(proxy.name) + 1} of {len(ranked)}</td>"
            f"<td>{line.spearman:+.3f}</td><td>{size}</td></tr>"
        )
    if not rows:
        return ""
    head = "".join(
        f"<th>{h}</th>" for h in ("table", "networks", "place", "Spearman", "<code>params</code>")
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"


@cache
def measured() -> tuple[Listing, ...]:
    """One listing for each table and target: the held-out one where there is one, else the one
    with most formulas."""
    best: dict[tuple[str, str], Listing] = {}
    for listing in listings():
        key = listing.table, listing.target
        known = best.get(key)
        if known is None or _weight(listing) > _weight(known):
            best[key] = listing
    return tuple(sorted(best.values(), key=lambda one: (not one.held_out, one.table, one.target)))


def _weight(listing: Listing) -> tuple[bool, int]:
    return listing.held_out, len(listing.lines)

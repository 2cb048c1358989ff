"""Which formula to use: for each table of docs/results.md and each budget, what reached most."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import cost
from gallery import measured
from listings import SEARCH, Line, Listing

from autodas_dsl.language.library import load

FAMILIES = {
    "cifar_resnet_s0": "CIFAR ResNets",
    "pit": "PiT",
    "autoformer": "AutoFormer",
    "nasbench101": "NAS-Bench-101",
    "nasbench201": "NAS-Bench-201",
    "nasbench301": "NAS-Bench-301",
    "transnas_macro": "TransNAS-Bench-101, macro",
    "digits-resnet": "small ResNets, `digits-resnet`",
    "digits-vit": "small ViTs, `digits-vit`",
}
DATA = {
    "cifar10": "CIFAR-10",
    "cifar100": "CIFAR-100",
    "flowers": "Flowers",
    "imagenet16_120": "ImageNet16-120",
    "kd": "digits",
    "class_scene": "scenes",
}


def choices() -> str:
    """A summary over the tables with a held-out half, then each of them by budget."""
    held = [one for one in measured() if one.held_out]
    rows = ["| networks | data | take | held-out Spearman | 95 % | `params` | a search reaches |",
            "|---|---|---|---|---|---|---|"]  # fmt: skip
    rows += [_summary(one) for one in held]
    parts = [f"### {_title(one)}\n\n{_budgets(one)}" for one in held]
    return "\n".join([*rows, "", "## By budget", "", *parts])


def without_halves() -> str:
    """The tables on which nothing was searched: all networks, no half held out."""
    rows = ["| networks | data | best | Spearman | 95 % | `params` |", "|---|---|---|---|---|---|"]
    for listing in measured():
        if not listing.held_out:
            family, data = _where(listing)
            best = _scored(listing)[0]
            rows.append(f"| {family} | {data} | `{best.proxy}` | {best.spearman:.3f} | "
                        f"{_interval(best)} | {_size(listing).spearman:.3f} |")  # fmt: skip
    return "\n".join(rows)


def advice(listing: Listing) -> Line:
    """The best formula where its whole interval lies beyond what the parameter count reaches,
    else the parameter count."""
    best, size = _scored(listing)[0], _size(listing)
    beyond = best.low is not None and best.low > size.spearman
    return best if beyond else size


def _summary(listing: Listing) -> str:
    family, data = _where(listing)
    taken, size, found = advice(listing), _size(listing), listing.line(SEARCH)
    reached = f"{found.spearman:.3f} ± {found.spread:.3f}" if found else "–"
    if found and found.low > size.spearman:
        reached = f"**{reached}**"
    return (f"| {family} | {data} | [`{taken.proxy}`](gallery.md#{taken.proxy}) | "
            f"{taken.spearman:.3f} | {_interval(taken)} | {size.spearman:.3f} | {reached} |")  # fmt: skip


def _budgets(listing: Listing) -> str:
    rows = ["| what may be run | best formula | Spearman | 95 % |", "|---|---|---|---|"]
    for words, line in _by_budget(_scored(listing)):
        rows.append(f"| {words} | `{line.proxy}` | {line.spearman:.3f} | {_interval(line)} |")
    return "\n".join([*rows, ""])


def _by_budget(lines: Sequence[Line]) -> Iterator[tuple[str, Line]]:
    """The best line of each budget without a teacher, where it is better than that of a smaller
    one; then the best with a teacher."""
    known = [(line, load(line.proxy)) for line in lines]
    last = None
    for budget in cost.Budget:
        paid = [line for line, proxy in known
                if cost.budget(proxy) <= budget and not cost.reads_teacher(proxy)]  # fmt: skip
        if paid and paid[0] is not last:
            last = paid[0]
            yield budget.words, last
    taught = [line for line, proxy in known if cost.reads_teacher(proxy)]
    if taught:
        yield "the teacher too", taught[0]


def _scored(listing: Listing) -> list[Line]:
    """Formulas that were there before: the lines but that of the search, the best first."""
    found = [one for one in listing.lines if one.proxy != SEARCH and one.spearman is not None]
    return sorted(found, key=lambda line: -line.spearman)


def _size(listing: Listing) -> Line:
    size = listing.line("params")
    if size is None or size.spearman is None:
        raise ValueError(f"docs/results.md: {listing.title}: no parameter count beside the others")
    return size


def _title(listing: Listing) -> str:
    return ": ".join(_where(listing))


def _where(listing: Listing) -> tuple[str, str]:
    family = FAMILIES.get(listing.table, f"`{listing.table}`")
    name, _, how = listing.target.rpartition("_")
    if not name or listing.target in DATA:
        name, how = listing.target, ""
    taught = "kd" in (how, listing.target)
    return family, f"{DATA.get(name, name)}, {'distilled' if taught else 'trained alone'}"


def _interval(line: Line) -> str:
    return "–" if line.low is None else f"{line.low:.3f} to {line.high:.3f}"

"""One formula for all: what is chosen on all families of networks but one, on the one left out.

Random formulas and the library are scored once on every architecture of every table and kept in a
folder; then every family is left out in turn. A family is what shares a space: its tables are left
out together. On the others the sum of at most three terms, the single term and the formula of the
library with the best mean Spearman are chosen; the left-out family is only looked at to report.

    python benchmarks/families.py --tables FOLDER --images FILE.npz [--scores FOLDER] [--terms 400]

The last lines are the sum and the term chosen on all families.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from discover import BESIDE, library_scores
from term_scores import drawn_rows, scored_on, term_scores

from autodas_dsl import spaces
from autodas_dsl.compiler.population import percentile
from autodas_dsl.evaluation.agreement import Agreement, agreement
from autodas_dsl.evolution.best_sum import expression
from autodas_dsl.evolution.combiner import Combiner, Scored, Settings, Sum
from autodas_dsl.language.extend import load_extension
from autodas_dsl.language.format import format_expression
from autodas_dsl.language.parse import parse
from autodas_dsl.tables.read import load_table

Floats = npt.NDArray[np.float64]


TEACHER = "cifar-resnet:9-9-9"
"""Of families that have none of their own."""


class Family(NamedTuple):
    """A table and what its networks are scored on; tables of one space are one family."""

    table: str
    target: str
    batch_size: int | None = None
    limit: int | None = None
    together: int = 8


FAMILIES = (
    Family("digits-resnet", "kd"),
    Family("digits-vit", "kd"),
    Family("cifar_resnet_s0.csv", "cifar100_kd", 16),
    Family("nasbench201.csv", "cifar100_valid", 16, 80),
    Family("nasbench101.csv", "cifar10_valid", 16, 48, 4),
    Family("pit.csv", "cifar100_kd", 8, 30, 4),
    Family("transnas_macro.csv", "class_scene", 8, 48, 4),
    Family("autoformer.csv", "cifar100_kd", 8, 30, 4),
    Family("nasbench301.csv", "cifar10_valid", 16, 30, 4),
)


@dataclass(frozen=True, eq=False)
class Known:
    """Scores of everything on one table, rows in the order of `names`."""

    family: str
    names: tuple[str, ...]
    scores: Floats
    accuracies: Floats

    def rows(self, names: Sequence[str]) -> Floats:
        places = {name: place for place, name in enumerate(self.names)}
        return self.scores[[places[name] for name in names]]


def known(one: Family, options: argparse.Namespace) -> Known:
    """Scores of the drawn formulas and of the library on the architectures of one table."""
    builtin = not one.table.endswith(".csv")
    path = one.table if builtin else str(options.tables / one.table)
    data = None if builtin else str(options.images)
    drawn = term_scores(
        path, options.scores, terms=options.terms, limit=one.limit, data=data,
        batch_size=one.batch_size, teacher=TEACHER, inputs=tuple(filter(None, options.inputs.split(","))),
        together=one.together, progress=lambda text: print(f"# {one.table}: {text}", flush=True),
    )  # fmt: skip
    table = drawn_rows(load_table(one.table if builtin else Path(path)), one.limit)
    space = spaces.get(table.space or "")
    setting = scored_on(space, data, one.batch_size, TEACHER)
    if options.sizes_only:
        library = {name: drawn.scores[drawn.formulas.index(name)] for name in BESIDE}
    else:
        library = library_scores(table, space, setting, ())
    accuracies = drawn.targets[one.target]
    measured = np.flatnonzero(np.isfinite(accuracies))
    scores = np.vstack([drawn.scores, *library.values()])
    names = (*drawn.formulas, *(f"library {name}" for name in library))
    return Known(space.name, names, scores[:, measured], accuracies[measured])


def added(found: Sum, names: Sequence[str], table: Known) -> Floats:
    """A sum on a table, every term placed among the networks of that table."""
    rows = table.rows([names[term] for term in found.terms])
    ranked = [percentile(row, row[np.isfinite(row)]) for row in rows]
    return np.round(np.asarray(found.signs) @ np.array(ranked), 12)


def correlation(scores: Floats, table: Known) -> Agreement:
    return agreement(scores, table.accuracies, ("spearman",))


def mean_rank(name: str, tables: Sequence[Known]) -> float:
    found = [agreement(one.rows([name])[0], one.accuracies).spearman for one in tables]
    return float(np.mean([value or 0.0 for value in found]))


def shared_names(tables: Sequence[Known]) -> list[str]:
    """What was scored on all of these tables, in the order of the first."""
    common = set(tables[0].names).intersection(*(one.names for one in tables[1:]))
    return [name for name in dict.fromkeys(tables[0].names) if name in common]


@dataclass(frozen=True)
class Chosen:
    """What the tables at hand make one choose."""

    names: list[str]
    sums: tuple[Sum, ...]
    library: str

    def on(self, table: Known) -> dict[str, Agreement]:
        found = {
            "sum": correlation(added(self.sums[-1], self.names, table), table),
            "single": correlation(added(self.sums[0], self.names, table), table),
            f"library ({self.library.removeprefix('library ')})": correlation(
                table.rows([self.library])[0], table
            ),
        }
        for size in BESIDE:
            found[size] = correlation(table.rows([size])[0], table)
        return found


def chosen(tables: Sequence[Known], needed: Sequence[Known], settings: Settings) -> Chosen:
    """Choose on `tables` among what `needed` have too, which is all that is asked of them."""
    names = [name for name in shared_names([*tables, *needed]) if _finite(name, needed)]
    scored = [Scored(one.rows(names), one.accuracies) for one in tables]
    library = [name for name in names if name.startswith("library ")]
    best = max(library, key=lambda name: mean_rank(name, tables))
    return Chosen(names, Combiner(scored, settings).sums(), best)


def _finite(name: str, tables: Sequence[Known]) -> bool:
    return all(np.isfinite(one.rows([name])).all() for one in tables)


def line(name: str, found: Agreement) -> str:
    ends = found.intervals.get("spearman")
    interval = f"{ends.low:+.3f} {ends.high:+.3f}" if ends else ""
    return f"  {name:<34} {found.spearman or 0.0:+.3f}   {interval}"


def formula(found: Sum, names: Sequence[str]) -> str:
    terms = [parse(name.removeprefix("library ")) for name in names]
    return format_expression(expression(found, terms))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--tables", type=Path, required=True)
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--scores", type=Path, default=Path("runs/families"))
    parser.add_argument("--terms", type=int, default=400)
    parser.add_argument("--terms-max", type=int, default=3)
    parser.add_argument("--inputs", default="")
    parser.add_argument(
        "--sizes-only",
        action="store_true",
        help="params and flops stand for the library: minutes less",
    )
    parser.add_argument("--with", dest="extension")
    parser.add_argument("--only", help="tables, separated by commas")
    options = parser.parse_args()
    if options.extension:
        load_extension(options.extension)
    wanted = options.only.split(",") if options.only else [one.table for one in FAMILIES]
    tables = [known(one, options) for one in FAMILIES if one.table in wanted]
    settings = Settings(terms_max=options.terms_max)
    reports: dict[str, list[float]] = {}
    for left_out in dict.fromkeys(one.family for one in tables):
        others = [one for one in tables if one.family != left_out]
        own = [one for one in tables if one.family == left_out]
        found = chosen(others, own, settings)
        for table in own:
            print(
                f"\n{table.family} left out, {len(table.accuracies)} architectures: Spearman, 95 % interval"
            )
            for name, result in found.on(table).items():
                print(line(name, result))
                reports.setdefault(name.partition(" (")[0], []).append(result.spearman or 0.0)
        print(f"  sum: {formula(found.sums[-1], found.names)}", flush=True)
    print(f"\nover {len(reports['sum'])} left-out tables: mean, lowest")
    for name, each in reports.items():
        print(f"  {name:<34} {np.mean(each):+.3f}   {np.min(each):+.3f}")
    found = chosen(tables, [], settings)
    print(
        f"\non all families, selection {found.sums[-1].value:+.3f}: {formula(found.sums[-1], found.names)}"
    )
    print(f"single, selection {found.sums[0].value:+.3f}: {formula(found.sums[0], found.names)}")


if __name__ == "__main__":
    main()

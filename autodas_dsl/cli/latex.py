"""``latex``: a table of formulas and how they rank, for a paper."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from autodas_dsl.cli import options
from autodas_dsl.cli.networks import measured_on, setting_of
from autodas_dsl.language.proxy import Proxy
from autodas_dsl.report.graph import keep_existing

if TYPE_CHECKING:
    from autodas_dsl.printing.table import TableRow

_EPILOG = """\b
params and flops stand below a line. The table needs \\usepackage{amsmath,booktabs}.

\b
Examples:
  autodas-dsl latex snip synflow best.proxy --table digits-resnet -o table.tex
  autodas-dsl latex rho_cnn rho_vit"""


@click.command("latex", cls=options.FormulaCommand, epilog=_EPILOG)
@click.argument("specs", metavar="PROXY...", nargs=-1, required=True, type=options.PROXY)
@click.option("--table", "name", type=options.TABLE, metavar="TABLE",
              help="Measure the formulas on this table; without it they are only printed.")  # fmt: skip
@measured_on
@click.option("--split", metavar="half|K/N", help="Only the report side of a split.")
@click.option("--width", type=click.IntRange(20), default=44, show_default=True, metavar="N",
              help="Where formulas break.")  # fmt: skip
@click.option("--digits", type=click.IntRange(1), metavar="N",
              help="Significant digits of numbers in formulas.  [default: all]")  # fmt: skip
@click.option("--decimals", type=click.IntRange(1, 6), default=3, show_default=True, metavar="N",
              help="Decimals of correlations.")  # fmt: skip
@click.option("-o", "--out", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
              help="Write to a file.")  # fmt: skip
@options.force
@options.extensions
def command(
    specs: tuple[str, ...],
    name: str | None,
    width: int,
    digits: int | None,
    decimals: int,
    out: Path | None,
    force: bool,
    **measuring: Any,
) -> None:
    """Print a table of formulas for a paper.

    In booktabs: formula, complexity, Kendall and Spearman with 95 % intervals, baselines below.
    """
    from autodas_dsl.language.library import load

    proxies = [load(spec) for spec in specs]
    if out is not None:
        keep_existing(out, force)

    from autodas_dsl.language.files import write_atomic
    from autodas_dsl.printing.latex_page import LatexOptions
    from autodas_dsl.printing.table import TableRow, booktabs

    rows = [TableRow(proxy, None, None) for proxy in proxies]
    notes: list[str] = []
    if name is not None:
        rows, notes = _measured(name, proxies, **measuring)
    text = booktabs(rows, notes=notes, options=LatexOptions(width=width, digits=digits),
                    decimals=decimals)  # fmt: skip
    if out is None:
        click.echo(text, nl=False)
    else:
        write_atomic(out, text)
        click.echo(f"wrote {out}", err=True)


def _measured(
    name: str,
    proxies: Sequence[Proxy],
    space: str | None,
    target: str | None,
    limit: int | None,
    split: str | None,
    seed: int,
    **networks: Any,
) -> tuple[list[TableRow], list[str]]:
    """The rows with what `rank` finds, best first, and what the numbers are."""
    from autodas_dsl.evaluation.rank import Ranked, rank, with_baselines
    from autodas_dsl.printing.table import Measured, TableRow
    from autodas_dsl.report.terminal import note, tally
    from autodas_dsl.scoring.scorebook import ScoreBook
    from autodas_dsl.scoring.table import table_and_space

    table, family = table_and_space(name, space)
    with ScoreBook() as book, tally("ranking", min(len(table), limit or len(table))) as progress:
        ranking = rank(
            table, family, proxies, target=target, setting=setting_of(family, **networks),
            seed=seed, limit=limit, split=split, book=book, progress=progress,
        )  # fmt: skip
    note(*ranking.notes)

    def measured(row: Ranked, key: str) -> Measured | None:
        found = row.row()
        value = found[key]
        return None if value is None else Measured(value, found[f"{key}_low"], found[f"{key}_high"])

    known = {formula.name: formula.proxy for formula in with_baselines(proxies)}
    rows = [
        TableRow(
            known[row.proxy], measured(row, "kendall"), measured(row, "spearman"), row.baseline
        )
        for row in ranking.rows
    ]
    rows += [TableRow(known[proxy], None, None) for proxy in ranking.unranked]
    of = f"{len(ranking.accuracies)} architectures of {table.name}"
    if split is not None:
        of = f"the {of} that the split {split} leaves to report on"
    elif limit is not None:
        of += ", drawn at random"
    said = [f"Rank correlations with the accuracy {table.target(target)} of {of}.",
            "In brackets: 95 % bootstrap intervals."]  # fmt: skip
    said += [f"{proxy} is not ranked: {reason}." for proxy, reason in ranking.unranked.items()]
    return rows, said

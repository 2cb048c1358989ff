"""``rank``: formulas against the measured accuracies of a table."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from autodas_dsl.cli import options
from autodas_dsl.cli.networks import measured_on, setting_of

if TYPE_CHECKING:
    from autodas_dsl.evaluation.rank import Ranking
    from autodas_dsl.evaluation.sensitivity import Sensitivity

_EPILOG = """\b
TABLE is a CSV file or the name of a built-in table. params and flops stand beside every formula.
Scores are stored: a second run is served from the store, an interrupted one goes on.

\b
Examples:
  autodas-dsl rank digits-resnet --library
  autodas-dsl rank resnet_s0.csv -p rho_cnn_s0 --teacher cifar-resnet:9-9-9 --sensitivity
  autodas-dsl rank nasbench201.csv -p nwot --limit 500 --target cifar10 --plot figures"""

_CONTRACT = ("proxy", "n", "invalid", "kendall", "spearman", "pearson", "spearman_low",
             "spearman_high", "ndcg_10", "top_10", "split", "networks")  # fmt: skip


@click.command("rank", epilog=_EPILOG)
@click.argument("name", metavar="TABLE", type=options.TABLE)
@options.proxies(required=False)
@click.option("--library", is_flag=True, help="Every formula of the library.")
@click.option("--without", metavar="A,B", default="", help="Leave these of the library out.")
@measured_on
@click.option("--split", metavar="half|K/N",
              help="Only the report side of a split: half, or N others than the K selected on.")  # fmt: skip
@click.option("--seeds", type=click.IntRange(1), default=1, show_default=True, metavar="N",
              help="Repeat with N initialisations and batches; correlations are means.")  # fmt: skip
@click.option("--sensitivity", is_flag=True,
              help="Score again under another batch, noise images, labels, seed, teacher.")  # fmt: skip
@click.option("--keep", type=click.Path(path_type=Path), metavar="RUN",
              help="Keep the outcome of --sensitivity in a run folder, for its report.")  # fmt: skip
@click.option("--plot", type=click.Path(path_type=Path), metavar="DIR",
              help="Write a scatter plot per formula and a summary, SVG and PNG.")  # fmt: skip
@options.workers
@options.output_format
@options.extensions
def command(
    name: str,
    specs: tuple[str, ...],
    library: bool,
    without: str,
    space: str | None,
    target: str | None,
    limit: int | None,
    split: str | None,
    seeds: int,
    seed: int,
    sensitivity: bool,
    keep: Path | None,
    plot: Path | None,
    workers: int | str,
    ray: str | None,
    format: str,
    **networks: Any,
) -> None:
    """Rank a table with formulas, against its accuracies.

    Prints Kendall's tau-b, Spearman and Pearson with 95 % bootstrap intervals, what remains beyond
    size, the accuracy lost by picking a formula's best architectures, nDCG@10, and the share of
    the ten most accurate among its ten best. Invalid scores rank last. Formulas whose requirements
    the networks do not meet are listed with the requirement. Where the output of some networks
    does not depend on the input, a second ranking leaves them out.
    """
    from autodas_dsl.language.library import load

    proxies = [load(spec) for spec in (*specs, *(_library(without) if library else ()))]
    if not proxies:
        raise click.UsageError("name formulas with -p, or take --library")
    if keep is not None and not sensitivity:
        raise click.UsageError("--keep needs --sensitivity")

    from autodas_dsl.evaluation.rank import rank
    from autodas_dsl.evaluation.sensitivity import sensitivity as measure
    from autodas_dsl.evolution.run_folder import RunFolder
    from autodas_dsl.execution.memory import tune_memory
    from autodas_dsl.report.terminal import note, tally
    from autodas_dsl.scoring.scorebook import ScoreBook
    from autodas_dsl.scoring.table import table_and_space

    tune_memory()
    if keep is not None:
        RunFolder(keep).require()
    if plot is not None:
        plot.mkdir(parents=True, exist_ok=True)
    table, family = table_and_space(name, space)
    where: dict[str, Any] = {
        "target": target, "setting": setting_of(family, **networks), "seed": seed, "limit": limit,
        "executor": options.executor(workers, ray),
    }  # fmt: skip
    moved: list[Sensitivity] = []
    with ScoreBook() as book:
        with tally("ranking", min(len(table), limit or len(table)) * seeds) as progress:
            ranking = rank(
                table, family, proxies, seeds=seeds, split=split, book=book, progress=progress,
                **where,
            )  # fmt: skip
        if sensitivity:
            with tally("changing one thing", None) as progress:
                moved = measure(table, family, proxies, book=book, progress=progress, **where)
    if keep is not None:
        note(f"wrote {RunFolder(keep).save_sensitivity(moved)}")
    note(*ranking.notes)
    column = table.target(target)
    _print(ranking, moved, f"{table.name}, {column}, {split or 'all'}", format)
    if plot is not None:
        _draw(ranking, column, split or "", plot)
        note(f"plots are in {plot}")


def _library(without: str) -> list[str]:
    from autodas_dsl.language.library import library_names, library_proxy

    left_out = [library_proxy(name).name for name in options.listed(without)]
    return [name for name in library_names() if name not in left_out]


def _print(ranking: Ranking, moved: Sequence[Sensitivity], title: str, format: str) -> None:
    from autodas_dsl.report.display import ranking_columns
    from autodas_dsl.report.terminal import Column, note, show, to_json

    rankings = [ranking, *([ranking.reachable] if ranking.reachable else [])]
    rows = [row.row() for one in rankings for row in one.rows]
    for row in rows:
        found = [one for one in moved if one.proxy == row["proxy"] and one.depends]
        row["depends_on"] = ", ".join(one.changed for one in found)
    said = [f"not ranked: {proxy}: {reason}" for proxy, reason in ranking.unranked.items()]
    if format == "json":
        keys = (*_CONTRACT, "depends_on") if moved else _CONTRACT
        click.echo(to_json([{key: row[key] for key in keys} for row in rows]), nl=False)
    elif format == "csv":
        dropped = () if moved else ("depends_on",)
        show(rows, [Column(key) for key in rows[0] if key not in dropped], format)
    else:
        for one in rankings:
            if one is not ranking:
                click.echo()
            of = "" if one is ranking else f", {len(one)} of {len(ranking)} that use their input"
            mine = [row for row in rows if row["networks"] == one.networks]
            show(mine, ranking_columns(one), format, title=title + of)
        for text in said:
            click.echo(text)
        if moved:
            click.echo()
            shown = [Column("proxy"), Column("changed"), Column("agreement", digits=3, signed=True),
                     Column("change", "relative change"), Column("depends")]  # fmt: skip
            show([asdict(one) for one in moved], shown, format, title="What the scores depend on")
        return
    note(*said)


def _draw(ranking: Ranking, target: str, split: str, folder: Path) -> None:
    from autodas_dsl.report.plots import save, scatter, summary

    for number, row in enumerate(ranking.rows, start=1):
        figure = scatter(
            ranking.scores[row.proxy], ranking.accuracies, proxy=row.proxy, target=target
        )
        save(figure, folder / f"{number:02}-{_stem(row.proxy)}")
    found = {row.proxy: row for row in ranking.rows}
    save(summary(found, target=target, n=len(ranking), split=split), folder / "summary")


def _stem(name: str) -> str:
    """A file name that recalls a formula."""
    return re.sub(r"[^A-Za-z0-9]+", "_", name).strip("_")[:40]

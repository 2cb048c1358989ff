"""``table``: build, import and describe tables of measured accuracies."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from autodas_dsl.cli import options
from autodas_dsl.report.graph import keep_existing

if TYPE_CHECKING:
    from autodas_dsl.tables.info import TableInfo
    from autodas_dsl.tables.table import Table

_EPILOG = """\b
Examples:
  autodas-dsl table info digits-resnet
  autodas-dsl table build digits-resnet --out my-table.csv --limit 8 --workers 2
  autodas-dsl table import autoprox pit.pth --out pit.csv"""


@click.group("table", epilog=_EPILOG)
def command() -> None:
    """Build, import and describe tables of accuracies."""


@command.command("build")
@click.argument("space", type=options.SPACE)
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
              help="The CSV file; an unfinished one is continued.  [default: SPACE.csv]")  # fmt: skip
@click.option("--limit", type=click.IntRange(1), metavar="N", help="Number of architectures.")
@click.option("--vanilla-seeds", type=click.IntRange(1), metavar="N",
              help="Networks of each architecture trained alone.")  # fmt: skip
@click.option("--kd-seeds", type=click.IntRange(1), metavar="N",
              help="Networks of each architecture taught.")  # fmt: skip
@options.workers()
def build(
    space: str,
    out: Path | None,
    limit: int | None,
    vanilla_seeds: int | None,
    kd_seeds: int | None,
    workers: int | str,
    ray: str | None,
) -> None:
    """Train the architectures of SPACE, alone and taught, and write their accuracies.

    SPACE is digits-resnet or digits-vit. The same command continues an interrupted build.
    """
    from autodas_dsl.report.terminal import note, progress_bar
    from autodas_dsl.training.build import PLANS, build_table

    total = limit or (PLANS[space].limit if space in PLANS else None)
    with progress_bar(f"training {space}", total) as advance:
        written = build_table(
            space, out or Path(f"{space}.csv"), limit=limit, vanilla_seeds=vanilla_seeds,
            kd_seeds=kd_seeds, executor=options.executor(workers, ray),
            progress=lambda done, _: advance(done, ""),
        )  # fmt: skip
    note(f"wrote {written}")


@command.group("import")
def import_() -> None:
    """Turn published files into a CSV table."""


def _out() -> options.Decorator:
    return click.option("--out", type=click.Path(path_type=Path, dir_okay=False), required=True,
                        metavar="FILE", help="The CSV file to write.")  # fmt: skip


def _force() -> options.Decorator:
    return click.option("--force", is_flag=True, help="Replace a file that exists.")


def _file(kind: str = "FILE") -> options.Decorator:
    return click.argument("path", metavar=kind, type=click.Path(path_type=Path))


@import_.command("nats")
@_file("FILE|FOLDER")
@_out()
@_force()
@click.option("--epochs", type=click.Choice(["12", "200"]), default="200", show_default=True,
              help="Length of the training.")  # fmt: skip
@click.option("--trust", is_flag=True,
              help="The file comes from the authors of NATS-Bench: unpickle it.")  # fmt: skip
def import_nats_command(path: Path, out: Path, force: bool, epochs: str, trust: bool) -> None:
    """NATS-Bench topology space (NAS-Bench-201), through the package nats_bench.

    The package unpickles the file, which can run any code: give it only one from its authors, and
    say so with --trust.
    """
    keep_existing(out, force)
    from autodas_dsl.report.terminal import progress_bar
    from autodas_dsl.tables.importers import import_nats

    with progress_bar("reading", None) as advance:
        table = import_nats(
            path, trust=trust, epochs=int(epochs),
            progress=lambda done, total: advance(done, f"of {total}"),
        )  # fmt: skip
    _write(table, out)


@import_.command("diswot")
@click.option("--kd", type=click.Path(path_type=Path), metavar="FILE", help="Distilled networks.")
@click.option("--vanilla", type=click.Path(path_type=Path), metavar="FILE",
              help="Networks trained alone.")  # fmt: skip
@_out()
@_force()
def import_diswot_command(kd: Path | None, vanilla: Path | None, out: Path, force: bool) -> None:
    """The text tables of DisWOT, of cifar-resnets."""
    keep_existing(out, force)
    from autodas_dsl.tables.importers import import_diswot

    _write(import_diswot(kd, vanilla), out)


@import_.command("autoprox")
@_file()
@_out()
@_force()
def import_autoprox_command(path: Path, out: Path, force: bool) -> None:
    """A ViT table of Auto-Prox (.pth, plain data only; nothing in it is run)."""
    keep_existing(out, force)
    from autodas_dsl.tables.importers import import_autoprox

    _write(import_autoprox(path), out)


@import_.command("nasbench101")
@_file()
@_out()
@_force()
@click.option("--epochs", type=click.IntRange(1), default=108, show_default=True, metavar="N",
              help="Length of the training.")  # fmt: skip
def import_nasbench101_command(path: Path, out: Path, force: bool, epochs: int) -> None:
    """NAS-Bench-101, from its .tfrecord (no TensorFlow needed), JSON or CSV.

    JSON and CSV hold module_adjacency and module_operations (or matrix and ops) and
    validation_accuracy, test_accuracy, train_accuracy as shares: one, or a list of trainings.
    """
    keep_existing(out, force)
    from autodas_dsl.tables.benchmarks import import_nasbench101

    _write(import_nasbench101(path, epochs=epochs), out)


@import_.command("nasbench301")
@_file("FILE|FOLDER")
@_out()
@_force()
@click.option("--epochs", type=click.IntRange(1), default=100, show_default=True, metavar="N",
              help="Length of the training.")  # fmt: skip
def import_nasbench301_command(path: Path, out: Path, force: bool, epochs: int) -> None:
    """NAS-Bench-301, from the folder of its results_*.json, or genotypes as JSON.

    A genotype is an object with normal and reduce, lists of operation and input, beside
    val_accuracy and test_accuracy. Trainings of networks of other sizes are left out.
    """
    keep_existing(out, force)
    from autodas_dsl.tables.benchmarks import import_nasbench301

    _write(import_nasbench301(path, epochs=epochs), out)


@import_.command("transnas")
@_file()
@_out()
@_force()
def import_transnas_command(path: Path, out: Path, force: bool) -> None:
    """TransNAS-Bench-101, macro level, from its .pth (plain data only), JSON or CSV.

    A CSV holds arch, such as 64-1234-basic or 1-2-3-4, and a column for each task.
    """
    keep_existing(out, force)
    from autodas_dsl.tables.benchmarks import import_transnas

    _write(import_transnas(path), out)


def _write(table: Table, out: Path) -> None:
    from autodas_dsl.report.terminal import note
    from autodas_dsl.tables.write import write_table

    write_table(table, out)
    note(f"wrote {out}: {len(table)} architectures, {', '.join(table.targets)}")


@command.command("info")
@click.argument("name", metavar="TABLE", type=options.TABLE)
@options.space()
@options.output_format()
def info(name: str, space: str | None, format: str) -> None:
    """Count and measure a table: ranges, repeats, gaps, noise ceiling, provenance.

    TABLE is a CSV file or the name of a built-in table.
    """
    from autodas_dsl import spaces
    from autodas_dsl.tables import load_table
    from autodas_dsl.tables.info import describe

    table = load_table(name, space)
    known = space or table.space
    _print_info(describe(table, spaces.get(known) if known else None), format)


def _print_info(info: TableInfo, format: str) -> None:
    from autodas_dsl.report.terminal import Column, show, to_json

    if format == "json":
        click.echo(to_json(asdict(info)), nl=False)
        return
    if format == "table":
        for line in _facts(info):
            click.echo(line)
    rows = []
    for column in info.columns:
        row = {k: v for k, v in asdict(column).items() if k != "ceiling"}
        row["ceiling"] = column.ceiling.all_seeds if column.ceiling else None
        rows.append(row)
    keys = ("name", "known", "missing", "distinct", "low", "mean", "high", "ceiling")
    show(rows, [Column(k, "noise ceiling" if k == "ceiling" else "") for k in keys], format)


def _facts(info: TableInfo) -> list[str]:
    found = [f"{info.name}: {info.architectures} architectures"]
    found += [f"space: {info.space or 'not known'}"]
    if info.classes is not None:
        found += [f"up to isomorphism: {info.classes}, at most {info.largest_class} alike"]
    if info.reachable not in (None, info.architectures):
        found += [f"output depends on the input: {info.reachable}"]
    return [*found, *(f"{key}: {value}" for key, value in info.provenance.items()), ""]

"""``table``: build, import and describe tables of measured accuracies."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from dataclasses import asdict
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from autodas_dsl.cli import options
from autodas_dsl.cli.training import recipe_file
from autodas_dsl.report.graph import keep_existing

if TYPE_CHECKING:
    from autodas_dsl.tables.info import TableInfo
    from autodas_dsl.tables.table import Table

_OUT = click.option("--out", type=click.Path(path_type=Path, dir_okay=False), required=True,
                    metavar="FILE", help="The CSV file to write.")  # fmt: skip
_EPILOG = """\b
Examples:
  autodas-dsl table info digits-resnet
  autodas-dsl table build my_space.py --data train.npz --sample 32 --seeds 4,0
  autodas-dsl table import autoprox pit.pth --out pit.csv"""

_BUILD_EPILOG = """\b
Examples:
  autodas-dsl table build my_space.py --data train.npz --test-data test.npz --seeds 4,0
  autodas-dsl table build my_space.py --data digits --kd at \\
    --teacher digits-resnet:depth=1-1-1,width=32-64-64 --teacher-weights teacher.safetensors

\b
The tables that ship:
  autodas-dsl table build digits-resnet --sample 96
  autodas-dsl table build digits-vit --sample 96"""


@click.group("table", epilog=_EPILOG)
def command() -> None:
    """Build, import and describe tables of accuracies."""


def _seed_counts(value: Any) -> tuple[int, int]:
    """How many networks learn alone and with the teacher: ``8`` of each, or ``8,16``."""
    if isinstance(value, tuple):
        return value
    found = re.fullmatch(r"(\d{1,6})(?:,(\d{1,6}))?", value.strip())
    if found is None:
        raise click.BadParameter(f"{value!r} is no count such as 8, or 8,16 for alone and taught")
    return int(found[1]), int(found[2] or found[1])


_RECIPE: dict[str, tuple[click.ParamType, str]] = {
    "--optimizer": (click.Choice(["sgd", "adamw"]), "sgd has Nesterov momentum 0.9."),
    "--learning-rate": (click.FloatRange(0, min_open=True), "Highest rate, after the warm-up."),
    "--weight-decay": (click.FloatRange(0), "Weight decay of the optimizer."),
    "--steps": (click.IntRange(1), "Batches to train on."),
    "--batch-size": (click.IntRange(2), "Samples in a batch."),
    "--warmup": (click.FloatRange(0, 1), "Share of the steps in which the rate climbs."),
    "--temperature": (click.FloatRange(0, min_open=True), "Softens the logits of kd."),
    "--alpha": (click.FloatRange(0, 1), "Share of kd; other losses are added."),
}
"""What a recipe says; by default as the tables that ship, else as `distill`."""


_recipe_options = options.together(*(
    click.option(
        name, "batch" if name == "--batch-size" else name[2:].replace("-", "_"), type=kind,
        help=help,
    )
    for name, (kind, help) in _RECIPE.items()
))  # fmt: skip

_UNSAID = ("out", "workers", "ray")
"""Options of ``build`` on which the table does not depend, so that it does not name them."""


@command.command("build", epilog=_BUILD_EPILOG)
@click.argument("space", metavar="SPACE|FILE.py", type=options.SPACE)
@options.data("by default what the space is usually scored on")
@click.option("--test-data", metavar="SOURCE",
              help="Samples to test on.  [default: a quarter of --data, held out]")  # fmt: skip
@options.taught
@click.option("--kd", "loss", type=options.LOSS, default="kd", show_default=True, metavar="METHOD",
              help="How the taught learn: a loss of `distill`.")  # fmt: skip
@click.option("--sample", type=click.IntRange(1), metavar="N",
              help="Architectures, drawn at random.  [default: 64; 96 of the digits spaces]")  # fmt: skip
@click.option("--seeds", type=_seed_counts, metavar="N[,M]",
              help="N networks trained alone and M taught; 0 leaves that column out.")  # fmt: skip
@recipe_file
@_recipe_options
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
              help="The CSV file; an unfinished one is continued.  [default: SPACE.csv]")  # fmt: skip
@options.device
@options.workers
@options.extensions
@click.pass_context
def build(
    ctx: click.Context,
    space: str,
    data_spec: str | None,
    test_data: str | None,
    loss: str,
    sample: int | None,
    seeds: tuple[int, int] | None,
    out: Path | None,
    device: str,
    workers: int | str,
    ray: str | None,
    **other: Any,
) -> None:
    """Train the architectures of SPACE, alone and taught, and write their accuracies.

    Without a teacher they are only trained alone. Every row is in the file as soon as it is
    trained: the same command continues an interrupted build. Networks that cannot be trained are
    left out, which the table says.
    """
    from dataclasses import replace

    from autodas_dsl import spaces
    from autodas_dsl.cli.networks import device_of, teacher_of
    from autodas_dsl.report.terminal import note, progress_bar
    from autodas_dsl.training.build import PLANS, Plan, build_table

    family = spaces.get(space)
    plan = PLANS.get(family.name, Plan())
    teaching = {name: other.pop(name) for name in ("teacher", "teacher_weights", "teacher_size")}
    changed = {name: value for name, value in other.items() if value is not None}
    with progress_bar(f"training {family.name}", sample or plan.sample) as advance:
        written = build_table(
            family, out or Path(f"{family.name}.csv"), data=data_spec, test_data=test_data,
            teacher=teacher_of(**teaching), loss=loss, sample=sample, seeds=seeds,
            recipe=replace(plan.recipe, **changed), device=device_of(device),
            executor=options.executor(workers, ray),
            progress=lambda done, _: advance(done, ""), command=_said(ctx),
        )  # fmt: skip
    note(f"wrote {written}")


def _said(ctx: click.Context) -> str:
    """The command line, without what the table does not depend on."""
    words = ["autodas-dsl", "table", "build", ctx.params["space"]]
    named = [one for one in ctx.command.params if isinstance(one, click.Option)]
    for option in named:
        value = ctx.params.get(option.name or "")
        if option.name in _UNSAID or value is None or value == option.get_default(ctx):
            continue
        words += [
            option.opts[0],
            ",".join(map(str, value)) if isinstance(value, tuple) else str(value),
        ]
    return shlex.join(words)


@command.group("import")
def import_() -> None:
    """Turn published files into a CSV table."""


def _file(kind: str = "FILE") -> options.Decorator:
    return click.argument("path", metavar=kind, type=click.Path(path_type=Path))


def _imports(
    name: str, *sources: options.Decorator
) -> Callable[[Callable[..., Table]], click.Command]:
    """A command that reads a table from what the first parameters name, and writes it."""

    def define(read: Callable[..., Table]) -> click.Command:
        @wraps(read)
        def run(out: Path, force: bool, **given: Any) -> None:
            keep_existing(out, force)
            from autodas_dsl.report.terminal import note
            from autodas_dsl.tables.table import write_table

            table = read(**given)
            write_table(table, out)
            note(f"wrote {out}: {len(table)} architectures, {', '.join(table.targets)}")

        return import_.command(name)(options.together(*sources, _OUT, options.force)(run))

    return define


def _epochs(default: int) -> options.Decorator:
    return click.option("--epochs", type=click.IntRange(1), default=default, show_default=True,
                        metavar="N", help="Length of the training.")  # fmt: skip


@_imports("nats", _file("FILE|FOLDER"))
@click.option("--epochs", type=click.Choice(["12", "200"]), default="200", show_default=True,
              help="Length of the training.")  # fmt: skip
@click.option("--trust", is_flag=True,
              help="The file comes from the authors of NATS-Bench: unpickle it.")  # fmt: skip
def nats(path: Path, epochs: str, trust: bool) -> Table:
    """NATS-Bench topology space (NAS-Bench-201), through the package nats_bench.

    The package unpickles the file, which can run any code: give it only one from its authors, and
    say so with --trust.
    """
    from autodas_dsl.report.terminal import progress_bar
    from autodas_dsl.tables.importers import import_nats

    with progress_bar("reading", None) as advance:
        return import_nats(
            path, trust=trust, epochs=int(epochs),
            progress=lambda done, total: advance(done, f"of {total}"),
        )  # fmt: skip


@_imports(
    "diswot",
    click.option("--kd", type=click.Path(path_type=Path), metavar="FILE",
                 help="Distilled networks."),
    click.option("--vanilla", type=click.Path(path_type=Path), metavar="FILE",
                 help="Networks trained alone."),
)  # fmt: skip
def diswot(kd: Path | None, vanilla: Path | None) -> Table:
    """The text tables of DisWOT, of cifar-resnets."""
    from autodas_dsl.tables.importers import import_diswot

    return import_diswot(kd, vanilla)


@_imports("autoprox", _file())
def autoprox(path: Path) -> Table:
    """A ViT table of Auto-Prox (.pth, plain data only; nothing in it is run)."""
    from autodas_dsl.tables.importers import import_autoprox

    return import_autoprox(path)


@_imports("nasbench101", _file())
@_epochs(108)
def nasbench101(path: Path, epochs: int) -> Table:
    """NAS-Bench-101, from its .tfrecord (no TensorFlow needed), JSON or CSV.

    JSON and CSV hold module_adjacency and module_operations (or matrix and ops) and
    validation_accuracy, test_accuracy, train_accuracy as shares: one, or a list of trainings.
    """
    from autodas_dsl.tables.benchmarks import import_nasbench101

    return import_nasbench101(path, epochs=epochs)


@_imports("nasbench301", _file("FILE|FOLDER"))
@_epochs(100)
def nasbench301(path: Path, epochs: int) -> Table:
    """NAS-Bench-301, from the folder of its results_*.json, or genotypes as JSON.

    A genotype is an object with normal and reduce, lists of operation and input, beside
    val_accuracy and test_accuracy. Trainings of networks of other sizes are left out.
    """
    from autodas_dsl.tables.benchmarks import import_nasbench301

    return import_nasbench301(path, epochs=epochs)


@_imports("transnas", _file())
def transnas(path: Path) -> Table:
    """TransNAS-Bench-101, macro level, from its .pth (plain data only), JSON or CSV.

    A CSV holds arch, such as 64-1234-basic or 1-2-3-4, and a column for each task.
    """
    from autodas_dsl.tables.benchmarks import import_transnas

    return import_transnas(path)


@command.command("info")
@click.argument("name", metavar="TABLE", type=options.TABLE)
@options.space
@options.output_format
def info(name: str, space: str | None, format: str) -> None:
    """Count and measure a table: ranges, repeats, gaps, noise ceiling, provenance.

    TABLE is a CSV file or the name of a built-in table.
    """
    from autodas_dsl import spaces
    from autodas_dsl.models.named import are_models
    from autodas_dsl.tables import load_table
    from autodas_dsl.tables.info import describe

    table = load_table(name, space)
    known = space or table.space
    if known is None and are_models(table.architectures):
        unknown = "none needed: the architectures are models"
    else:
        unknown = "not known"
    _print_info(describe(table, spaces.get(known) if known else None), format, unknown)


def _print_info(info: TableInfo, format: str, no_space: str) -> None:
    from autodas_dsl.report.terminal import Column, show, to_json

    if format == "json":
        click.echo(to_json(asdict(info)), nl=False)
        return
    if format == "table":
        for line in _facts(info, no_space):
            click.echo(line)
    rows = []
    for column in info.columns:
        row = {k: v for k, v in asdict(column).items() if k != "ceiling"}
        row["ceiling"] = column.ceiling.all_seeds if column.ceiling else None
        rows.append(row)
    keys = ("name", "known", "missing", "distinct", "low", "mean", "high", "ceiling")
    show(rows, [Column(k, "noise ceiling" if k == "ceiling" else "") for k in keys], format)


def _facts(info: TableInfo, no_space: str) -> list[str]:
    found = [f"{info.name}: {info.architectures} architectures"]
    found += [f"space: {info.space or no_space}"]
    if info.classes is not None:
        found += [f"up to isomorphism: {info.classes}, at most {info.largest_class} alike"]
    if info.reachable not in (None, info.architectures):
        found += [f"output depends on the input: {info.reachable}"]
    return [*found, *(f"{key}: {value}" for key, value in info.provenance.items()), ""]

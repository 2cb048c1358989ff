"""``evolve``: a formula grown on measured accuracies."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from autodas_dsl.cli import options
from autodas_dsl.cli.networks import device_of, dtype_of, teacher_of
from autodas_dsl.language.proxy import format_formula

if TYPE_CHECKING:
    from autodas_dsl.evolution.measure import Measured
    from autodas_dsl.evolution.prepare import Prepared
    from autodas_dsl.evolution.run import Progress, Run
    from autodas_dsl.report.terminal import Row

_EPILOG = """\b
TABLE is a CSV file or the name of a built-in table; without one it is digits-resnet. Formulas are
chosen on one half of the architectures and reported on the other.
Ctrl-C finishes the generation and writes the results; the same command with --resume goes on.

\b
Examples:
  autodas-dsl evolve
  autodas-dsl evolve --iterations 500 --strategy nsga2 --seed 1 --run runs/long
  autodas-dsl evolve resnet_s0.csv --seed-with rho_cnn --inputs "grad W, F_s, F_t\""""

BUILT_IN = "digits-resnet"
BASELINES = ("params", "flops", "snip", "synflow", "rho_cnn_s0")
"""Reported beside the best formula."""


def _several(ctx: click.Context, param: click.Parameter, given: tuple[str, ...]) -> tuple[str, ...]:
    """Names in repeated options and comma-separated lists; commas in brackets belong to a name."""
    parts = [part.strip() for text in given for part in re.split(r",(?![^\[]*\])", text)]
    return tuple(part for part in parts if part)


@click.command("evolve", epilog=_EPILOG)
@click.argument("tables", metavar="[TABLE]...", nargs=-1)
@options.space()
@click.option("--target", metavar="COLUMN",
              help="The accuracy column.  [default: kd, or the only one]")  # fmt: skip
@click.option("--split", default="half", show_default=True, metavar="half|K/N",
              help="How architectures are parted into those to select on and those to report.")  # fmt: skip
@click.option("--population", type=int, default=20, show_default=True, metavar="P",
              help="Formulas that live at a time.")  # fmt: skip
@click.option("--iterations", type=int, default=100, show_default=True, metavar="T",
              help="Generations.")  # fmt: skip
@click.option("--strategy", default="adaptive-elite", show_default=True,
              help="adaptive-elite, aging, nsga2 or random.")  # fmt: skip
@click.option("--tournament", type=float, default=0.9, show_default=True, metavar="R",
              help="Share of the population that parents are drawn from.")  # fmt: skip
@click.option("--elite", type=int, default=5, show_default=True, metavar="K",
              help="The best of them, of which parents are taken.")  # fmt: skip
@click.option("--brood", type=int, default=1, show_default=True, metavar="N",
              help="Children, each with a fresh formula beside it, in one iteration.")  # fmt: skip
@click.option("--crossover", type=float, default=0.5, show_default=True,
              help="Share of the children that have two parents.")  # fmt: skip
@click.option("--max-complexity", type=int, default=20, show_default=True, metavar="N",
              help="Nodes that a formula may have.")  # fmt: skip
@click.option("--parsimony", type=float, default=0.001, show_default=True,
              help="Taken off the fitness for each node.")  # fmt: skip
@click.option("--folds", type=int, default=0, show_default=True, metavar="N",
              help="Select by the worst parts of a jackknife; 0 does not.")  # fmt: skip
@click.option("--objective", default="mean", show_default=True,
              help="Over several tables: mean or min.")  # fmt: skip
@click.option("--margin", type=float, default=0.1, show_default=True,
              help="How far below the population a screened formula may fall.")  # fmt: skip
@click.option("--terms", default="both", show_default=True,
              help="instinct (student alone), interaction (with the teacher) or both.")  # fmt: skip
@click.option("--inputs", multiple=True, callback=_several, metavar="LIST",
              help="Statistics that formulas may read.  [default: first order]")  # fmt: skip
@click.option("--operators", multiple=True, callback=_several, metavar="LIST",
              help="Operators that formulas may use.  [default: all that can be searched]")  # fmt: skip
@click.option("--gradient-free", is_flag=True, help="No statistic that is a gradient.")
@click.option("--seed-with", "seeds", multiple=True, metavar="PROXY",
              help="A formula of the first population; may be repeated.")  # fmt: skip
@click.option("--null", is_flag=True,
              help="Shuffle the accuracies: the tau that one gets from nothing.")  # fmt: skip
@click.option("--max-evaluations", type=int, default=0, metavar="N",
              help="Stop after N formulas.")  # fmt: skip
@click.option("--max-time", type=click.FloatRange(0), metavar="SECONDS",
              help="Stop at the end of a generation after so long.")  # fmt: skip
@click.option("--patience", type=int, default=0, metavar="N",
              help="Stop after N iterations without progress.")  # fmt: skip
@click.option("--stop-at", "tau", type=float, default=0.0, metavar="TAU",
              help="Stop when the best formula reaches this tau.")  # fmt: skip
@options.teacher()
@options.teacher_weights()
@options.teacher_size()
@options.data("without it the usual data of the space")
@options.batch_size()
@options.dtype()
@options.seed()
@options.device()
@click.option("--run", "folder", type=click.Path(path_type=Path, file_okay=False), metavar="DIR",
              help="The run folder.  [default: a new one below runs/]")  # fmt: skip
@click.option("--resume", is_flag=True, help="Continue the search in the folder of --run.")
@options.output_format()
def command(
    tables: tuple[str, ...],
    space: str | None,
    target: str | None,
    split: str,
    tau: float,
    max_time: float | None,
    seed: int,
    data_spec: str | None,
    batch_size: int | None,
    dtype: str,
    device: str,
    teacher: str | None,
    teacher_weights: str | None,
    teacher_size: int | None,
    folder: Path | None,
    resume: bool,
    format: str,
    **config: Any,
) -> None:
    """Grow a formula that ranks the architectures of tables.

    Prints the best formula with its correlations on held-out architectures, 95 % bootstrap
    intervals and baselines beside it, and writes a run folder.
    """
    if resume and folder is None:
        raise click.UsageError("--resume needs --run DIR, the folder to continue")

    from autodas_dsl.evolution.config import Config
    from autodas_dsl.evolution.prepare import prepare
    from autodas_dsl.evolution.run import evolve, statistics_needed
    from autodas_dsl.evolution.vocabulary import chosen_operators
    from autodas_dsl.report.run_plots import draw_run
    from autodas_dsl.report.terminal import note, tally
    from autodas_dsl.scoring.rank import require_space
    from autodas_dsl.scoring.score import Data
    from autodas_dsl.scoring.usual import usual_setting
    from autodas_dsl.spaces import get
    from autodas_dsl.tables import load_table

    if not config["inputs"]:
        del config["inputs"]
    settings = Config(seed=seed, target=tau, **config)
    chosen_operators(settings.operators)
    wanted = statistics_needed(settings, BASELINES)
    named = teacher_of(teacher, teacher_weights, teacher_size)
    prepared: list[Prepared] = []
    for name in tables or (BUILT_IN,):
        table = load_table(name, space)
        family = require_space(table, get(known) if (known := space or table.space) else None)
        setting = usual_setting(
            family,
            Data(data_spec or family.data, batch_size),
            named,
            dtype=dtype_of(dtype),
            device=device_of(device),
        )
        with tally(f"statistics of {table.name}", len(table)) as progress:
            prepared.append(
                prepare(table, family, wanted, setting, target=target, split=split, seed=seed,
                        progress=progress)
            )  # fmt: skip
        for text in prepared[-1].stored.notes:
            note(text)
    tasks = [one.task for one in prepared]
    where = folder or _new_folder(tasks[0].name)
    note(f"run folder: {where}")
    with tally("evolving", settings.iterations + 1) as add:
        run = evolve(
            settings, tasks, lambda need: all(one.allowed(need) for one in prepared),
            folder=where, resume=resume, baselines=BASELINES, max_time=max_time,
            progress=lambda state: add(1, _status(state)),
        )  # fmt: skip
    draw_run(run, tasks, settings.strategy, where)
    _print(run, format)


def _new_folder(table: str) -> Path:
    """The first free folder below runs/."""
    number = 1
    while (found := Path("runs") / f"{table}-{number}").exists():
        number += 1
    return found


def _status(state: Progress) -> str:
    best = f", tau {state.best.tau:.3f}" if state.best else ""
    return f"{state.counts.evaluations} formulas{best}"


def _print(run: Run, format: str) -> None:
    from autodas_dsl.report.terminal import note, show, to_json

    if run.stopped != "iterations":
        note(f"stopped by {run.stopped} after {len(run.steps)} generations")
    if format == "json":
        click.echo(to_json(_as_json(run)), nl=False)
        return
    rows = list(_rows(run))
    if format == "table":
        click.echo(f"{format_formula(run.best)}\n")
    show(rows, _columns(len(run.champion.selection) > 1, format), format)
    if format == "table" and not run.champion.held_out:
        click.echo("\nselected on these architectures; none were held out")


def _rows(run: Run) -> Iterator[Row]:
    """The best formula and the baselines on every half of every table."""
    measured = {"best": (*run.champion.selection, *run.champion.held_out), **run.baselines}
    halves = dict.fromkeys((one.half, one.task) for one in measured["best"])
    for half, task in sorted(halves, key=lambda pair: pair[0] == "selection"):
        for name, found in measured.items():
            for one in found:
                if (one.half, one.task) == (half, task):
                    yield {"table": task, "half": half, "proxy": name, **_numbers(one)}


def _numbers(found: Measured) -> dict[str, Any]:
    one, ends = found.agreement, found.interval
    return {
        "n": one.n, "invalid": one.invalid, "kendall": one.kendall, "spearman": one.spearman,
        "pearson": one.pearson, "spearman_low": ends.low if ends else None,
        "spearman_high": ends.high if ends else None, "reason": one.reason,
    }  # fmt: skip


def _columns(several: bool, format: str) -> list[Any]:
    from autodas_dsl.report.terminal import Column

    def correlation(key: str, title: str = "") -> Column:
        return Column(key, title, digits=3, signed=True)

    found = [
        Column("half"), Column("proxy"), Column("n"), Column("invalid"), correlation("kendall"),
        correlation("spearman"), correlation("spearman_low", "95 % from"),
        correlation("spearman_high", "to"), correlation("pearson"), Column("reason"),
    ]  # fmt: skip
    return [Column("table"), *found] if several or format != "table" else found


def _as_json(run: Run) -> dict[str, Any]:
    best = run.champion
    baselines = [
        {"proxy": name, "half": one.half, "table": one.task, **_numbers(one)}
        for name, found in run.baselines.items()
        for one in _reported(found)
    ]
    return {
        "best": format_formula(run.best),
        "complexity": best.individual.complexity,
        "selection": _first(best.selection),
        "held_out": _first(best.held_out),
        "baselines": baselines,
        "run": str(run.folder),
    }


def _reported(found: Sequence[Measured]) -> list[Measured]:
    """The held-out halves where there are some."""
    return [one for one in found if one.half != "selection"] or list(found)


def _first(found: Sequence[Measured]) -> dict[str, Any] | None:
    if not found:
        return None
    numbers = _numbers(found[0])
    keys = ("kendall", "spearman", "pearson", "n", "spearman_low", "spearman_high")
    return {"table": found[0].task, **{key: numbers[key] for key in keys}}

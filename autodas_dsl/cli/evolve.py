"""``evolve``: search for a formula that ranks the architectures of a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import Field, fields, replace
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Any

import click

from autodas_dsl.cli import options
from autodas_dsl.cli.networks import data_of, device_of, teacher_of
from autodas_dsl.cli.remembered import resumed, words_of
from autodas_dsl.evolution.config import SAVED, Config, declared

if TYPE_CHECKING:
    from autodas_dsl.evolution.finished import Run
    from autodas_dsl.evolution.measure import TableScores
    from autodas_dsl.evolution.run_records import Null
    from autodas_dsl.evolution.session import Session
    from autodas_dsl.execution.jobs import Executor
    from autodas_dsl.report.pictures import Painter
    from autodas_dsl.simplify.simplify import Simplified

RUNS = Path("runs")

_EPILOG = """\b
TABLE is a CSV file or the name of a built-in table; without one, digits-resnet. The formula is
chosen on one half of the architectures and reported on the other.

\b
Examples:
  autodas-dsl evolve
  autodas-dsl evolve digits-resnet --iterations 500 --strategy nsga2 --run runs/pareto
  autodas-dsl evolve resnet_s0.csv --target cifar100_kd --data batch.npz --seed-with snip,rho_cnn
  autodas-dsl evolve --resume runs/pareto
  autodas-dsl evolve --resume runs/pareto --iterations 1000

\b
The first Ctrl-C finishes the generation, the second stops now; --resume goes on with the options
of the run. Of them only --iterations can change, and only grow; --workers, --ray, --memory,
--max-time and --format are not remembered."""


def _listed(value: Any) -> tuple[str, ...]:
    """Several names or formulas, with a comma between them."""
    return value if isinstance(value, tuple) else options.listed(value)


_KINDS: dict[str, Any] = {"int": int, "float": float, "str": str, "tuple[str,": _listed}

_SHARED: dict[str, options.Decorator] = {
    "space": options.space,
    "teacher": options.taught,
    "data": options.data(
        "by default what a space is usually scored on; of several tables one for "
        "all, or one for each with a comma between them"
    ),
    "size": options.batch_size,
    "seed": options.seed,
    "dtype": options.dtype,
    "device": options.device,
}


def _option(one: Field[Any]) -> options.Decorator:
    said = declared(one)
    name = said.option or f"--{one.name.replace('_', '-')}"
    if one.type == "bool":
        return click.option(name, one.name, is_flag=True, help=said.help)
    kind = _KINDS[str(one.type).split()[0]]
    if one.name not in SAVED and said.low is not None:  # those of the run itself `Config` refuses
        ranged: Any = click.IntRange if kind is int else click.FloatRange
        kind = ranged(said.low, said.high)
    return click.option(
        name, one.name, type=kind, default=one.default, show_default=said.shown,
        metavar=said.metavar, help=said.help,
    )  # fmt: skip


@click.command("evolve", epilog=_EPILOG)
@click.argument("tables", nargs=-1, metavar="[TABLE]...", type=options.TABLE)
@options.together(*(_SHARED.get(one.name) or _option(one) for one in fields(Config)))
@options.workers
@click.option("--run", "folder", type=click.Path(path_type=Path), metavar="DIR",
              help="Run folder.  [default: runs/TABLE-1, -2, …]")  # fmt: skip
@click.option("--resume", type=click.Path(path_type=Path), metavar="RUN",
              help="Continue the run in this folder, or make it longer with --iterations.")  # fmt: skip
@options.output_format
@options.extensions
@click.pass_context
def command(ctx: click.Context, **given: Any) -> None:
    """Grow a formula against measured accuracies.

    Writes a run folder: best.proxy, hall_of_fame.csv, the journal, scores and plots. Prints the
    formula, and how it and the baselines rank architectures that the search never saw.
    """
    from autodas_dsl.cli.entry import INTERRUPTED

    if given["resume"] is not None:
        if given["folder"] is not None:
            raise click.UsageError("--resume RUN goes on in its own folder: leave --run out")
        given = resumed(ctx, given)
    if _search(words_of(ctx, given), given).interrupted:
        ctx.exit(INTERRUPTED)


def _search(words: Sequence[str], given: Mapping[str, Any]) -> Session:
    """Search, write the run folder and print the result."""
    from autodas_dsl.report.pictures import Painter

    executor = options.executor(given["workers"], given["ray"])
    with Painter() as painter:  # both import what they need while this process does
        return _searched(words, given, executor, painter)


def _searched(
    words: Sequence[str], given: Mapping[str, Any], executor: Executor, painter: Painter
) -> Session:
    """The same, with those who work for it."""
    from autodas_dsl.execution.memory import importing, tune_memory

    with importing():
        from autodas_dsl.evolution.run_folder import RunFolder, free_folder
        from autodas_dsl.evolution.session import BUILTIN, search
        from autodas_dsl.report.live import watching
        from autodas_dsl.report.run_plots import pictures
        from autodas_dsl.report.terminal import note

    names = given["tables"] or (BUILTIN,)
    where = given["resume"] or given["folder"] or free_folder(RUNS, names)
    config, plots = config_of(given), RunFolder(where).plots
    tune_memory()
    with watching() as watch:
        session = search(
            names, config, executor=executor, folder=where, resume=given["resume"] is not None,
            command=words, watch=watch,
            measured=lambda run, scores: painter.paint(pictures(run, scores), plots),
        )  # fmt: skip
        watch.phase("drawing")
        painter.painted()
    note(*session.notes)
    _print(session, where, given["format"])
    return session


def config_of(given: Mapping[str, Any]) -> Config:
    """What the parameters of the command say about the search."""
    plain = {one.name for one in fields(Config)} - {"teacher", "device"}
    config = Config(**{name: value for name, value in given.items() if name in plain})
    spec, size = given["data_spec"] or "", given["batch_size"]
    specs = options.listed(spec) if len(given["tables"]) > 1 else filter(None, [spec])
    teaching = (given[name] for name in ("teacher", "teacher_weights", "teacher_size"))
    return replace(
        config, data=tuple(data_of(one, size) for one in specs), size=size,
        teacher=teacher_of(*teaching), device=device_of(given["device"]),
    )  # fmt: skip


def _print(session: Session, folder: Path, format: str) -> None:
    from autodas_dsl.language.format import format_expression
    from autodas_dsl.report.terminal import note, to_json

    formula = format_expression(session.run.best.expression)
    if format != "table" and _cut_short(session, folder):
        note(_cut_short(session, folder))
    if format == "json":
        click.echo(to_json(_contract(session, folder, formula)), nl=False)
        return
    if format == "table":
        click.echo(formula)
        click.echo(f"sum: {session.run.sum.formula}\n" if session.run.sum else "")
    for one in session.scores:
        _print_table(one, format)
    if format == "table":
        if session.null is not None:
            click.echo(_above_nothing(session.run, session.null))
        _print_simpler(session.simpler)
        click.echo(f"{session.run.counts.evaluations} formulas; the run is in {folder}")
        if _cut_short(session, folder):
            click.echo(_cut_short(session, folder))


def _cut_short(session: Session, folder: Path) -> str:
    """That a search ended before its time, and how to go on; empty for a whole one."""
    run = session.run
    if session.interrupted:
        why = "Ctrl-C"
    elif run.stopped == "time":
        why = "--max-time"
    else:
        return ""
    if run.stopped in ("interrupt", "time"):
        where = f"after generation {run.steps[-1].generation}"
    else:
        where = "after the last generation"
    return (
        f"cut short by {why} {where}; go on with: autodas-dsl evolve --resume {quote(str(folder))}"
    )


def _above_nothing(run: Run, null: Null) -> str:
    tries = "1 search" if len(null.taus) == 1 else f"{len(null.taus)} searches"
    tau = run.champion.individual.tau
    said = (
        f"Kendall {tau:+.3f} where it was selected; the null level is {null.mean:+.3f}: the best "
        f"of the same search on shuffled accuracies ({tries}, highest {null.highest:+.3f})"
    )
    if run.sum is None or null.of_sums is None:
        return said
    return (
        f"{said}\nthe sum: Kendall {run.sum.tau:+.3f}; its null level is {null.of_sums.mean:+.3f} "
        f"(highest {null.of_sums.highest:+.3f})"
    )


def _print_simpler(found: Simplified) -> None:
    """The formula written more simply, or why it is not; nothing where it was simple already."""
    from autodas_dsl.language.format import format_expression

    if found.steps:
        click.echo(f"simplified, with proof: {format_expression(found.proxy.expression)}")
    elif found.reason:
        click.echo(f"not simplified: {found.reason}")


def _print_table(scores: TableScores, format: str) -> None:
    from autodas_dsl.report.terminal import Column, note, show

    seen = not scores.held_out.any()
    found, ten = scores.compared(not seen), scores.best_ten(not seen)
    columns = [Column("proxy"), Column("n")]
    columns += [Column("invalid")] if any(one.invalid for one in found.values()) else []
    for key in ("kendall", "spearman", "pearson"):
        columns.append(Column(key, digits=3, signed=True))
        columns += [Column(f"{key}_low", "95 % from", digits=3, signed=True),
                    Column(f"{key}_high", "to", digits=3, signed=True)]  # fmt: skip
    columns += [
        Column(key, title, digits=3)
        for key, title in (("ndcg_10", "nDCG@10"), ("top_10", "top-10"))
        if any(one[key] is not None for one in ten.values())
    ]
    half = "selected on these" if seen else "held-out"
    show(
        [{"proxy": name, **one.row(), **ten[name]} for name, one in found.items()],
        columns,
        format,
        title=f"{scores.task}, {scores.target}: {half} architectures",
    )
    said = [f"{name}: {one.reason}" for name, one in found.items() if one.kendall is None]
    if format == "table":
        click.echo("\n".join([*said, ""]))
    else:
        note(*said)


def _contract(session: Session, folder: Path, formula: str) -> dict[str, Any]:
    """The JSON other tools rely on; with several tables, the numbers of the first."""
    from autodas_dsl.evaluation.correlations import STATISTICS
    from autodas_dsl.evolution.run_records import BEST, SUM

    first = session.scores[0]
    halves = {name: first.compared(name == "held_out") for name in ("selection", "held_out")}
    keys = (*STATISTICS, "n")

    def reached(name: str) -> dict[str, Any]:
        return {
            half: {key: getattr(found[name], key) for key in keys} if found[name].n else None
            for half, found in halves.items()
        }

    summed = session.run.sum
    beside = halves["held_out"] if first.held_out.any() else halves["selection"]
    numbers = [f"{key}{end}" for key in STATISTICS for end in ("", "_low", "_high")]
    baselines = [
        {"proxy": name} | {key: found.row()[key] for key in ("n", "invalid", *numbers, "reason")}
        for name, found in beside.items()
        if name not in (BEST, SUM)
    ]
    return {
        "best": formula,
        "complexity": session.run.champion.individual.complexity,
        **reached(BEST),
        "sum": summed
        and {"formula": summed.formula, "complexity": summed.complexity, **reached(SUM)},
        "baselines": baselines,
        "run": str(folder),
        "stopped": "interrupt" if session.interrupted else session.run.stopped,
    }

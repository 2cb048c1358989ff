"""``evolve``: search for a formula that ranks the architectures of a table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Any

import click

from autodas_dsl.cli import options
from autodas_dsl.cli.networks import data_of, device_of, dtype_of, teacher_of
from autodas_dsl.cli.remembered import resumed, words_of

if TYPE_CHECKING:
    from autodas_dsl.evolution.results import Null
    from autodas_dsl.evolution.session import Compared, Session
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
of the run. Of them only --iterations can change, and only grow; --workers, --max-time and --format
are not remembered."""


def _words(ctx: click.Context, param: click.Parameter, value: str | None) -> tuple[str, ...] | None:
    return None if value is None else options.listed(value)


def _number(name: str, kind: Any, help: str) -> Any:
    return click.option(name, type=kind, metavar="N", help=help)


@click.command("evolve", epilog=_EPILOG)
@click.argument("tables", nargs=-1, metavar="[TABLE]...", type=options.TABLE)
@_number("--population", int, "Formulas kept.  [default: 20]")
@_number("--iterations", int, "Generations.  [default: 100]")
@_number("--tournament", float, "Share of the population a tournament draws.  [default: 0.9]")
@_number("--elite", int, "Best of the tournament that parents come from.  [default: 5]")
@_number("--brood", int, "Children and fresh formulas per generation.  [default: 1]")
@_number("--crossover", float, "Share of the children with two parents.  [default: 0.5]")
@click.option("--strategy", metavar="NAME",
              help="adaptive-elite, aging, nsga2 or random.  [default: adaptive-elite]")  # fmt: skip
@click.option("--objective", metavar="mean|min", help="Over several tables.  [default: mean]")
@click.option("--terms", metavar="NAME",
              help="both, instinct (student alone) or interaction (with the teacher).")  # fmt: skip
@click.option("--gradient-free", is_flag=True, default=None, help="No gradient in any formula.")
@click.option("--inputs", callback=_words, metavar="A,B",
              help="Statistics that formulas may name.")  # fmt: skip
@click.option("--operators", callback=_words, metavar="A,B",
              help="Operators or groups that formulas may use.")  # fmt: skip
@click.option("--seed-with", "seeds", callback=_words, metavar="PROXY,…",
              help="Formulas that the first population starts with.")  # fmt: skip
@_number("--max-complexity", int, "Nodes a formula may have.  [default: 20]")
@_number("--parsimony", float, "Taken off the fitness per node.  [default: 0.001]")
@_number("--folds", int, "Jackknife parts of the selection, against fitting noise.  [default: 0]")
@click.option("--null", is_flag=True, default=None,
              help="Shuffle the accuracies first: what the search finds in nothing.")  # fmt: skip
@click.option("--screening", is_flag=True,
              help="Look at formulas on few architectures and a sample of statistics first.")  # fmt: skip
@click.option("--memory", type=click.FloatRange(0.01, 4096), default=4.0, show_default=True,
              metavar="GIB", help="For statistics; activations are thinned until they fit.")  # fmt: skip
@_number("--margin", float, "How far below the population a screened formula may be.  "
         "[default: 0.15]")  # fmt: skip
@click.option("--null-repeats", type=click.IntRange(0, 100), default=3, show_default=True,
              metavar="N", help="Searches on shuffled accuracies for the null level.")  # fmt: skip
@_number("--max-time", float, "Seconds; stops at the end of a generation.")
@_number("--max-evaluations", int, "Stop after so many formulas.")
@_number("--patience", int, "Stop after so many generations without progress.")
@_number("--stop-at", float, "Stop at this tau on the selection.")
@click.option("--baselines", callback=_words, metavar="PROXY,…",
              help="Formulas to compare with.  [default: params, snip and others]")  # fmt: skip
@click.option("--target", metavar="COLUMN",
              help="The accuracy column.  [default: kd, or the only one]")  # fmt: skip
@click.option("--split", default="half", show_default=True, metavar="half|K/N",
              help="Architectures to select on and to report on.")  # fmt: skip
@options.space()
@options.teacher()
@options.teacher_weights()
@options.teacher_size()
@options.data("by default what the space is usually scored on")
@options.batch_size()
@options.seed()
@options.dtype()
@options.device()
@click.option("--workers", type=click.IntRange(1, 256), default=1, show_default=True, metavar="N",
              help="Processes that evaluate formulas.")  # fmt: skip
@click.option("--run", "folder", type=click.Path(path_type=Path), metavar="DIR",
              help="Run folder.  [default: runs/TABLE-1, -2, …]")  # fmt: skip
@click.option("--resume", type=click.Path(path_type=Path), metavar="RUN",
              help="Continue the run in this folder, or make it longer with --iterations.")  # fmt: skip
@options.output_format()
@options.extensions()
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
    if _search(words_of(ctx, given), **given).interrupted:
        ctx.exit(INTERRUPTED)


def _search(
    words: Sequence[str],
    tables: tuple[str, ...],
    target: str | None,
    split: str,
    baselines: tuple[str, ...] | None,
    space: str | None,
    teacher: str | None,
    teacher_weights: str | None,
    teacher_size: int | None,
    data_spec: str | None,
    batch_size: int | None,
    dtype: str,
    device: str,
    max_time: float | None,
    stop_at: float | None,
    workers: int,
    screening: bool,
    memory: float,
    null_repeats: int,
    folder: Path | None,
    resume: Path | None,
    format: str,
    **choices: Any,
) -> Session:
    """Search, write the run folder and print the result."""
    from autodas_dsl.evolution.config import Config
    from autodas_dsl.evolution.session import BASELINES, BUILTIN, Options, free_folder, search
    from autodas_dsl.execution.memory import tune_memory
    from autodas_dsl.report.live import watching
    from autodas_dsl.report.run_plots import draw
    from autodas_dsl.report.terminal import note

    names = tables or (BUILTIN,)
    where = resume or folder or free_folder(RUNS, names)
    given = {key: value for key, value in choices.items() if value is not None}
    config = Config(target=stop_at or 0.0, **given)
    settings = Options(
        target, space, data_of(data_spec, batch_size) if data_spec else None, batch_size,
        teacher_of(teacher, teacher_weights, teacher_size), dtype_of(dtype), device_of(device), split,
        workers=workers, screening=screening, memory=int(memory * 2**30),
        null_repeats=null_repeats, baselines=BASELINES if baselines is None else baselines,
    )  # fmt: skip
    tune_memory()
    with _kept_apart(where), watching() as watch:
        session = search(
            names, config, settings, folder=where, resume=resume is not None, command=words,
            max_time=max_time, watch=watch,
        )  # fmt: skip
        watch.phase("drawing")
        draw(session, where)
    for text in session.notes:
        note(text)
    _print(session, where, format)
    return session


@contextmanager
def _kept_apart(folder: Path) -> Iterator[None]:
    """Keep nothing beside a new best formula that was measured about the one before."""
    from autodas_dsl.evolution.results import BEST
    from autodas_dsl.report.run_folder import drop_sensitivity
    from autodas_dsl.report.terminal import note

    best = folder / BEST
    before = best.read_bytes() if best.exists() else b""
    yield
    if before not in (b"", best.read_bytes()) and drop_sensitivity(folder):
        note("the best formula is another now: measure again what it depends on")


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
        click.echo(f"{formula}\n")
    for one in session.scores:
        seen = not one.held_out.any()
        _print_table(one.compared(not seen), f"{one.task}, {one.target}", seen, format)
    if format == "table":
        if session.null is not None:
            click.echo(_above_nothing(session.run.champion.individual.tau, session.null))
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


def _above_nothing(tau: float, null: Null) -> str:
    tries = "1 search" if len(null.taus) == 1 else f"{len(null.taus)} searches"
    return (
        f"Kendall {tau:+.3f} where it was selected; the null level is {null.mean:+.3f}: the best "
        f"of the same search on shuffled accuracies ({tries}, highest {null.highest:+.3f})"
    )


def _print_simpler(found: Simplified) -> None:
    """The formula written more simply, or why it is not; nothing where it was simple already."""
    from autodas_dsl.language.format import format_expression

    if found.steps:
        click.echo(f"simplified, with proof: {format_expression(found.proxy.expression)}")
    elif found.reason:
        click.echo(f"not simplified: {found.reason}")


def _print_table(rows: list[Compared], title: str, seen: bool, format: str) -> None:
    from autodas_dsl.report.terminal import Column, note, show

    columns = [Column("proxy"), Column("n")]
    columns += [Column("invalid")] if any(row.invalid for row in rows) else []
    for key in ("kendall", "spearman", "pearson"):
        columns.append(Column(key, digits=3, signed=True))
        columns += [Column(f"{key}_low", "95 % from", digits=3, signed=True),
                    Column(f"{key}_high", "to", digits=3, signed=True)]  # fmt: skip
    half = "selected on these" if seen else "held-out"
    show([asdict(row) for row in rows], columns, format, title=f"{title}: {half} architectures")
    said = [f"{row.proxy}: {row.reason}" for row in rows if row.kendall is None]
    if format == "table":
        click.echo("\n".join([*said, ""]))
    else:
        for text in said:
            note(text)


def _contract(session: Session, folder: Path, formula: str) -> dict[str, Any]:
    """The JSON other tools rely on; with several tables, the numbers of the first."""
    first = session.scores[0]
    halves = {name: first.compared(name == "held_out") for name in ("selection", "held_out")}
    keys = ("kendall", "spearman", "pearson", "n")
    best = {
        name: {key: getattr(rows[0], key) for key in keys} if rows[0].n else None
        for name, rows in halves.items()
    }
    beside = halves["held_out"] if first.held_out.any() else halves["selection"]
    return {
        "best": formula,
        "complexity": session.run.champion.individual.complexity,
        **best,
        "baselines": [asdict(row) for row in beside[1:]],
        "run": str(folder),
        "stopped": "interrupt" if session.interrupted else session.run.stopped,
    }

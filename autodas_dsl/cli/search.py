"""``search``: the networks of a space that a formula scores best, without training."""

from __future__ import annotations

import re
import shlex
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from autodas_dsl.cli import options
from autodas_dsl.cli.networks import data_of, device_of, dtype_of, teacher_of

if TYPE_CHECKING:
    from autodas_dsl.report.terminal import Row, Value
    from autodas_dsl.students.find import Student, Students

_EPILOG = """\b
SPACE is the name of a space, or FILE.py with one of your own: a FieldSpace, or build(arch) with
archs() or sample(rng). The largest network under the limits
stands below the students (in spaces too large to list, the largest that was found): what a formula
finds has to beat it. Several formulas are combined by the mean of their ranks. Scores are stored: a
second search is served from the store, one that was stopped goes on. A latency is the median of 30
passes of one sample on --device after 5 others, shown with its quartiles.

\b
Examples:
  autodas-dsl search digits-resnet -p snip --max-params 8k
  autodas-dsl search cifar-resnet -p rho_cnn --teacher examples/resnet56.py --max-params 500k
  autodas-dsl search nasbench201 -p synflow -p nwot --max-flops 50M --budget 100 --format json
  autodas-dsl search digits-vit -p snip --seeds 3 --max-latency 5ms --pareto --export student

\b
The next step, with an architecture that was found:
  autodas-dsl distill SPACE:ARCH --teacher MODEL --data digits"""

_KEYS = ("rank", "architecture", "score", "params", "flops")
_LATENCY = ("latency_ms", "latency_low", "latency_high")
_SECONDS = {"us": 1e-6, "ms": 1e-3, "s": 1.0}
_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9}


def _amount(value: Any) -> int:
    """A count such as 500000, 500k, 1.5M or 2G."""
    if isinstance(value, int):
        return value
    found = re.fullmatch(r"(\d{1,18}(?:\.\d{1,9})?)([kmg]?)", str(value).strip().lower())
    amount = round(float(found[1]) * _UNITS[found[2]]) if found else 0
    if amount < 1:
        raise click.BadParameter(f"{value!r} is no positive count such as 500000, 500k or 1.5M")
    return amount


def _duration(value: Any) -> float:
    """A time such as 5ms, 800us or 0.1s, in seconds."""
    if isinstance(value, float):
        return value
    found = re.fullmatch(r"(\d{1,9}(?:\.\d{1,9})?)(us|ms|s)", str(value).strip().lower())
    taken = float(found[1]) * _SECONDS[found[2]] if found else 0.0
    if taken <= 0:
        raise click.BadParameter(f"{value!r} is no time such as 5ms, 800us or 0.1s")
    return taken


@click.command("search", epilog=_EPILOG)
@click.argument("space", metavar="SPACE", type=options.SPACE)
@options.proxies()
@click.option("--max-params", type=_amount, metavar="N",
              help="Parameters a student may have: 500000, 500k, 1.5M.")  # fmt: skip
@click.option("--max-flops", type=_amount, metavar="N",
              help="Multiply-adds of one sample that a student may take.")  # fmt: skip
@click.option("--max-latency", type=_duration, metavar="TIME",
              help="Time that one sample may take on this device: 5ms, 800us.")  # fmt: skip
@click.option("--budget", type=click.IntRange(1), default=200, show_default=True, metavar="N",
              help="Networks to score; all of a space that has no more.")  # fmt: skip
@click.option("--top", type=click.IntRange(1), default=5, show_default=True, metavar="K",
              help="Students to print.")  # fmt: skip
@click.option("--pareto", is_flag=True,
              help="Print, too, those that no other beats in score and every size.")  # fmt: skip
@click.option("--export", "folder", type=click.Path(path_type=Path, file_okay=False), metavar="DIR",
              help="Write the best student: student.py, its weights, a card.")  # fmt: skip
@click.option("--force", is_flag=True, help="Replace a student that DIR holds.")
@options.taught
@options.data()
@options.batch_size
@options.classes("the space's")
@options.dtype
@click.option("--seeds", type=click.IntRange(1), default=1, show_default=True, metavar="N",
              help="Score with N initialisations and batches; scores are means.")  # fmt: skip
@options.seed
@options.device
@options.workers
@options.extensions
@options.output_format
def command(
    space: str,
    specs: tuple[str, ...],
    folder: Path | None,
    force: bool,
    budget: int,
    seed: int,
    data_spec: str | None,
    batch_size: int | None,
    dtype: str,
    device: str,
    workers: int | str,
    ray: str | None,
    format: str,
    teacher: str | None,
    teacher_weights: str | None,
    teacher_size: int | None,
    **limits: Any,
) -> None:
    """Search a space for students, without training.

    Scores every network under the limits, or as many as the budget allows, chosen by regularised
    evolution. Prints the best with their parameters and multiply-adds.
    """
    from autodas_dsl.language.library import load

    proxies = [load(spec) for spec in specs]

    from autodas_dsl import spaces
    from autodas_dsl.report.graph import keep_existing
    from autodas_dsl.report.terminal import note, tally
    from autodas_dsl.students.export import MODEL, export
    from autodas_dsl.students.find import find_student

    family = spaces.get(space)
    if folder is not None and folder.exists():
        keep_existing(folder / MODEL, force)
    count = family.count()
    with tally("scoring", budget if count is None else min(budget, count)) as progress:
        found = find_student(
            family, proxies, teacher=teacher_of(teacher, teacher_weights, teacher_size),
            data=data_of(data_spec or family.data, batch_size), budget=budget, seed=seed,
            dtype=dtype_of(dtype), device=device_of(device),
            executor=options.executor(workers, ray), progress=progress, **limits,
        )  # fmt: skip
    note(*found.notes)
    _print(found, format)
    student = f"{space}:{found.best[0].architecture}"
    if folder is not None:
        export(found.best[0], found, proxies, folder, seed)
        student = str(folder / MODEL)
        note(f"wrote {folder}")
    note(
        f"next: autodas-dsl distill {shlex.quote(student)} --teacher {teacher or 'MODEL'} --data …"
    )


def _row(one: Student) -> Row:
    found = _facts(one)
    if one.latency is not None:
        ends = (one.latency.median, one.latency.low, one.latency.high)
        found |= {key: 1e3 * seconds for key, seconds in zip(_LATENCY, ends, strict=True)}
    return {**found, "reason": one.reason}


def _for_people(one: Student) -> Row:
    return {**_facts(one), **({"latency": str(one.latency)} if one.latency is not None else {})}


def _facts(one: Student) -> dict[str, Value]:
    found: dict[str, Value] = {key: getattr(one, key) for key in _KEYS}
    found["score"] = None if one.rank is None else one.score
    return {**found, **{f"score {name}": value for name, value in one.scores.items()}}


def _print(found: Students, format: str) -> None:
    from autodas_dsl.report.terminal import Column, for_people, note, show, to_json

    if format == "json":
        whole = {one.name: getattr(found, one.name) for one in fields(found)}
        listed = {key: list(map(_row, whole[key])) for key in ("best", "front")}
        click.echo(to_json({**whole, **listed, "largest": _row(found.largest)}), nl=False)
        return
    groups = {"student": found.best, "largest": (found.largest,), "pareto": found.front}
    shown = _for_people if format == "table" else _row
    rows = [{"role": role, **shown(one)} for role, group in groups.items() for one in group]
    if format == "table":
        rows = [{**row, "score": for_people(row["score"], found.proxy)} for row in rows]
    how = "all under the limits" if found.exhaustive else "chosen by regularised evolution"
    title = f"{found.space}, {found.proxy}: {found.scored} networks scored, {how}"
    show(rows, [Column(key) for key in rows[0]], format, title=title)
    said = [f"{count} of {found.scored} scores invalid: {reason}"
            for reason, count in found.invalid.items()]  # fmt: skip
    if found.size_agreement is not None:
        said.append(f"Kendall {found.size_agreement:+.3f} between scores and parameters: at +1 "
                    "the formula only counts parameters")  # fmt: skip
    if format == "table":
        click.echo("".join(f"{text}\n" for text in said), nl=False)
    else:
        note(*said)

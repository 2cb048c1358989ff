"""``search``: the networks of a space that a formula scores best, without training."""

from __future__ import annotations

import re
import shlex
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from autodas_dsl.cli import options
from autodas_dsl.cli.networks import data_of, device_of, dtype_of, teacher_of

if TYPE_CHECKING:
    from autodas_dsl.report.terminal import Row
    from autodas_dsl.students.find import Student, Students

_EPILOG = """\b
SPACE is the name of a space, or FILE.py with one of your own: a FieldSpace, or build(arch) with
archs() or sample(rng). The largest network under the limits
stands below the students (in spaces too large to list, the largest that was found): what a formula
finds has to beat it. Scores are stored: a second search is served from the store.

\b
Examples:
  autodas-dsl search digits-resnet -p snip --max-params 8k
  autodas-dsl search cifar-resnet -p rho_cnn --teacher examples/resnet56.py --max-params 500k
  autodas-dsl search nasbench201 -p synflow --max-flops 50M --budget 100 --format json

\b
The next step, with an architecture that was found:
  autodas-dsl distill SPACE:ARCH --teacher MODEL --data digits"""

_KEYS = ("rank", "architecture", "score", "params", "flops", "reason")
_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9}


class Amount(click.ParamType):
    """A count such as 500000, 500k, 1.5M or 2G."""

    name = "amount"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        found = re.fullmatch(r"(\d{1,18}(?:\.\d{1,9})?)([kmg]?)", str(value).strip().lower())
        amount = round(float(found[1]) * _UNITS[found[2]]) if found else 0
        if amount < 1:
            self.fail(f"{value!r} is no positive count such as 500000, 500k or 1.5M", param, ctx)
        return amount


@click.command("search", epilog=_EPILOG)
@click.argument("space", metavar="SPACE", type=options.SPACE)
@click.option("-p", "--proxy", "spec", required=True, type=options.PROXY, metavar="PROXY",
              help="A .proxy file, a library name or an expression in quotes.")  # fmt: skip
@click.option("--max-params", type=Amount(), metavar="N",
              help="Parameters a student may have: 500000, 500k, 1.5M.")  # fmt: skip
@click.option("--max-flops", type=Amount(), metavar="N",
              help="Multiply-adds of one sample that a student may take.")  # fmt: skip
@click.option("--budget", type=click.IntRange(1), default=200, show_default=True, metavar="N",
              help="Networks to score; all of a space that has no more.")  # fmt: skip
@click.option("--top", type=click.IntRange(1), default=5, show_default=True, metavar="K",
              help="Students to print.")  # fmt: skip
@options.teacher()
@options.teacher_weights()
@options.teacher_size()
@options.data("by default what the space is usually scored on")
@options.batch_size()
@options.classes("the space's")
@options.dtype()
@options.seed()
@options.device()
@options.workers()
@options.extensions()
@options.output_format()
def command(
    space: str,
    spec: str,
    max_params: int | None,
    max_flops: int | None,
    budget: int,
    top: int,
    data_spec: str | None,
    batch_size: int | None,
    classes: int | None,
    dtype: str,
    seed: int,
    device: str,
    workers: int | str,
    ray: str | None,
    format: str,
    **teaching: Any,
) -> None:
    """Search a space for students, without training.

    Scores every network under the limits, or as many as the budget allows, chosen by regularised
    evolution. Prints the best with their parameters and multiply-adds.
    """
    from autodas_dsl.language.library import load

    proxy = load(spec)

    from autodas_dsl import spaces
    from autodas_dsl.report.terminal import note, tally
    from autodas_dsl.students.find import find_student

    family = spaces.get(space)
    count = family.count()
    with tally("scoring", budget if count is None else min(budget, count)) as progress:
        found = find_student(
            family, proxy, teacher=teacher_of(**teaching),
            data=data_of(data_spec or family.data, batch_size), max_params=max_params,
            max_flops=max_flops, budget=budget, top=top, seed=seed, classes=classes,
            dtype=dtype_of(dtype), device=device_of(device),
            executor=options.executor(workers, ray), progress=progress,
        )  # fmt: skip
    for text in found.notes:
        note(text)
    _print(found, format)
    guide = teaching["teacher"] or "MODEL"
    student = shlex.quote(f"{space}:{found.best[0].architecture}")
    note(f"next: autodas-dsl distill {student} --teacher {guide} --data …")


def _row(one: Student) -> Row:
    return {**asdict(one), "score": None if one.rank is None else one.score}


def _print(found: Students, format: str) -> None:
    from autodas_dsl.report.terminal import Column, for_people, note, show, to_json

    if format == "json":
        whole = {**asdict(found), "best": list(map(_row, found.best))}
        click.echo(to_json({**whole, "largest": _row(found.largest)}), nl=False)
        return
    rows: list[Row] = [{"role": "student", **_row(one)} for one in found.best]
    rows.append({"role": "largest", **_row(found.largest)})
    if format == "table":
        rows = [{**row, "score": for_people(row["score"], found.proxy)} for row in rows]
    keys = ["role", *(key for key in _KEYS if format == "csv" or key != "reason")]
    how = "all under the limits" if found.exhaustive else "chosen by regularised evolution"
    title = f"{found.space}, {found.proxy}: {found.scored} networks scored, {how}"
    show(rows, [Column(key) for key in keys], format, title=title)
    said = [f"{count} of {found.scored} scores invalid: {reason}"
            for reason, count in found.invalid.items()]  # fmt: skip
    if found.size_agreement is not None:
        said.append(f"Kendall {found.size_agreement:+.3f} between scores and parameters: at +1 "
                    "the formula only counts parameters")  # fmt: skip
    for text in said:
        if format == "table":
            click.echo(text)
        else:
            note(text)

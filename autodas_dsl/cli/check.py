"""``check``: everything wrong with formulas, and what they need of the networks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import click

from autodas_dsl.cli import colour, fixing, options
from autodas_dsl.cli.documents import Document, documents
from autodas_dsl.cli.options import PROXY
from autodas_dsl.language.documents import expression_proxy
from autodas_dsl.language.errors import Diagnostic, InputError
from autodas_dsl.language.library import (
    exists,
    library_files,
    library_proxy,
    names_file,
    shadowed,
)
from autodas_dsl.language.proxy import Proxy, input_names
from autodas_dsl.language.spans import Source
from autodas_dsl.language.visible import json_text, visible

_EPILOG = """\b
Examples:
  autodas-dsl check best.proxy proxies/
  autodas-dsl check --fix proxies/
  autodas-dsl check "KL(sigmoid(F_s), sigmoid(F_t)) + mean(|logsoftmax(grad W)|_F)"
  autodas-dsl check - --format json < draft.proxy"""


@dataclass
class Report:
    """What the checker found out about one formula."""

    name: str
    source: Source | None = None
    diagnostics: Sequence[Diagnostic] = ()
    inputs: Sequence[str] = ()
    requirements: list[str] = field(default_factory=list)

    @property
    def wrong(self) -> bool:
        return any(found.severity == "error" for found in self.diagnostics)


@click.command("check", cls=options.FormulaCommand, epilog=_EPILOG)
@click.argument("specs", metavar="FILE|FOLDER|PROXY|-...", nargs=-1, required=True, type=PROXY)
@click.option(
    "--format", "format", type=click.Choice(["text", "json"]), default="text", show_default=True,
    help="json: one list of diagnostics for editors, positions counted from 1.",
)  # fmt: skip
@click.option(
    "--fix",
    is_flag=True,
    help="Mend in place what can have been meant in one way only; of standard input, print it.",
)
@click.option(
    "--unsafe-fixes",
    "unsafe",
    is_flag=True,
    help="With --fix: also where something else may have been meant.",
)
@options.extensions
@click.pass_context
def command(
    ctx: click.Context, specs: tuple[str, ...], format: str, fix: bool, unsafe: bool
) -> None:
    """Check documents, library proxies or expressions.

    Prints every mistake with its place, and for correct formulas the statistics they read and what
    they require of the networks. Status 1 when anything is wrong, after the fixes where there are.
    """
    if unsafe and not fix:
        raise click.UsageError("--unsafe-fixes goes with --fix")
    if fix and format != "text" and "-" in specs:
        raise click.UsageError("--fix prints the text of standard input: leave --format out")
    subjects = list(_subjects(specs))
    fixed = None
    if fix:
        fixing.require_documents(subjects)
        fixed = sum(fixing.fix(one, unsafe) for one in subjects if isinstance(one, Document))
    reports = [_report(subject) for subject in subjects]
    if format == "json":
        click.echo(json_text(_as_json(reports)))
    for report in reports if format == "text" else ():
        lines = "\n".join(_lines(report))
        if fix and "-" in specs:  # standard output has the text
            click.echo(lines, err=True)
        else:
            colour.echo(lines, colour.DIAGNOSTIC)
    found = [fixing.fixable(one) for one in subjects if isinstance(one, Document)]
    said = fixing.summary(fixed, sum(len(report.diagnostics) for report in reports), found)
    if said:
        click.echo(said, err=True)
    if any(report.wrong for report in reports):
        ctx.exit(1)


def _subjects(specs: Sequence[str]) -> Iterator[Document | str]:
    """Documents, and the specs that are formulas."""
    for spec in specs:
        if spec in library_files() and not exists(spec):
            yield spec
        elif spec == "-" or names_file(spec) or exists(spec):
            yield from documents([spec])
        else:
            yield spec


def _report(subject: Document | str) -> Report:
    name = subject if isinstance(subject, str) else subject.name
    try:
        if isinstance(subject, Document):
            return _checked(subject.parse(), name)
        if subject in library_files():
            return _checked(library_proxy(subject), name)
        return _checked(expression_proxy(subject), name)
    except InputError as error:
        return Report(name, error.source, error.diagnostics)


def _checked(proxy: Proxy, name: str) -> Report:
    checked = proxy.check()
    found = list(checked.diagnostics)
    if shadowed(proxy):
        found.append(Diagnostic("E321", f"the library has another `{proxy.name}`", None,
                                "a formula that names it means the library's: rename yours",
                                "warning"))  # fmt: skip
    needed = list(dict.fromkeys(map(str, checked.requirements)))
    return Report(name, proxy.text, found, input_names(checked.statistics), needed)


def _lines(report: Report) -> Iterator[str]:
    for found in report.diagnostics:
        yield found.render(report.source)
    if not report.wrong:
        yield f"{visible(report.name)}: ok"
        yield f"  reads {', '.join(report.inputs) or 'no statistic'}"
        for requirement in report.requirements:
            yield f"  requires {requirement}"


def _as_json(reports: Sequence[Report]) -> list[dict[str, object]]:
    return [
        found.as_dict(report.source or Source(report.name, ""))
        for report in reports
        for found in report.diagnostics
    ]

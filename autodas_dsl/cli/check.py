"""``check``: everything wrong with formulas, and what they need of the networks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import click

from autodas_dsl.cli import colour, fixing, options
from autodas_dsl.cli.documents import NONE_FOUND, Document, documents
from autodas_dsl.cli.findings import FORMATS, Report
from autodas_dsl.cli.options import PROXY
from autodas_dsl.cli.watching import changes
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
from autodas_dsl.language.visible import visible

_EPILOG = """\b
Examples:
  autodas-dsl check best.proxy proxies/
  autodas-dsl check --fix proxies/
  autodas-dsl check "KL(sigmoid(F_s), sigmoid(F_t)) + mean(|logsoftmax(grad W)|_F)"
  autodas-dsl check - --format json < draft.proxy"""


@click.command("check", cls=options.FormulaCommand, epilog=_EPILOG)
@click.argument("specs", metavar="FILE|FOLDER|PROXY|-...", nargs=-1, required=True, type=PROXY)
@click.option(
    "--format", "format", type=click.Choice(["text", *FORMATS]), default="text", show_default=True,
    help="For programs: json, positions counted from 1; sarif 2.1.0; github, commands of a workflow.",
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
@click.option("--watch", is_flag=True, help="Check again whenever a file changes, until Ctrl-C.")
@options.extensions
@click.pass_context
def command(
    ctx: click.Context, specs: tuple[str, ...], format: str, fix: bool, unsafe: bool, watch: bool
) -> None:
    """Check documents, library proxies or expressions.

    Prints every mistake with its place, and for correct formulas the statistics they read and what
    they require of the networks. Status 1 when anything is wrong, after the fixes where there are.
    """
    if unsafe and not fix:
        raise click.UsageError("--unsafe-fixes goes with --fix")
    if fix and format != "text" and "-" in specs:
        raise click.UsageError("--fix prints the text of standard input: leave --format out")
    if watch:
        if fix or format != "text" or "-" in specs:
            raise click.UsageError("--watch goes without --fix, --format and standard input")
        watched = [one for one in specs if _names_documents(one)]
        if not watched:
            raise click.UsageError("--watch needs a file or a folder")
        for _ in changes(watched):
            _check(specs, files=watched)
            click.echo("watching; Ctrl-C ends", err=True)
    if _check(specs, format, fix, unsafe):
        ctx.exit(1)


def _check(
    specs: Sequence[str],
    format: str = "text",
    fix: bool = False,
    unsafe: bool = False,
    files: Sequence[str] = (),
) -> bool:
    """Check, mend where told, print; whether anything is wrong.

    Specs among `files` are documents, be they there or not.
    """
    subjects = [one for spec in specs for one in _subjects(spec, spec in files)]
    if not subjects:
        click.echo(NONE_FOUND, err=True)
    fixed = None
    if fix:
        fixing.require_documents(subjects)
        fixed = sum(fixing.fix(one, unsafe) for one in subjects if isinstance(one, Document))
    reports = [_report(subject) for subject in subjects]
    if format != "text" and (printed := FORMATS[format](reports)):
        click.echo(printed)
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
    return any(report.wrong for report in reports)


def _subjects(spec: str, is_file: bool) -> Iterator[Document | str]:
    """The documents that a spec names, or the formula that it is."""
    if is_file or _names_documents(spec):
        yield from documents([spec])
    else:
        yield spec


def _names_documents(spec: str) -> bool:
    return spec == "-" or exists(spec) or (spec not in library_files() and names_file(spec))


def _report(subject: Document | str) -> Report:
    report = Report(subject) if isinstance(subject, str) else Report(subject.name)
    report.is_file = isinstance(subject, Document) and subject.path is not None
    try:
        if isinstance(subject, Document):
            _fill(report, subject.parse())
        else:
            known = subject in library_files()
            _fill(report, library_proxy(subject) if known else expression_proxy(subject))
    except InputError as error:
        report.source, report.diagnostics = error.source, error.diagnostics
    return report


def _fill(report: Report, proxy: Proxy) -> None:
    """What the check of a formula says, and that another has its name."""
    checked = proxy.check()
    found = list(checked.diagnostics)
    if shadowed(proxy):
        found.append(Diagnostic("E321", f"the library has another `{proxy.name}`", None,
                                "a formula that names it means the library's: rename yours",
                                "warning"))  # fmt: skip
    report.source, report.diagnostics = proxy.text, found
    report.inputs = input_names(checked.statistics)
    report.requirements = list(dict.fromkeys(map(str, checked.requirements)))


def _lines(report: Report) -> Iterator[str]:
    for found in report.diagnostics:
        yield found.render(report.source)
    if not report.wrong:
        yield f"{visible(report.name)}: ok"
        yield f"  reads {', '.join(report.inputs) or 'no statistic'}"
        for requirement in report.requirements:
            yield f"  requires {requirement}"

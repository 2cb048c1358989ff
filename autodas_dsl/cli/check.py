"""``check``: everything wrong with formulas, and what they need of the networks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import click

from autodas_dsl.cli import colour, options
from autodas_dsl.cli.documents import documents
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
@options.extensions
@click.pass_context
def command(ctx: click.Context, specs: tuple[str, ...], format: str) -> None:
    """Check documents, library proxies or expressions.

    Prints every mistake with its place, and for correct formulas the statistics they read and what
    they require of the networks. Status 1 when anything is wrong.
    """
    reports = list(_reports(specs))
    if format == "json":
        click.echo(json_text(_as_json(reports)))
    else:
        for report in reports:
            colour.echo("\n".join(_lines(report)), colour.DIAGNOSTIC)
    if any(report.wrong for report in reports):
        ctx.exit(1)


def _reports(specs: Sequence[str]) -> Iterator[Report]:
    for spec in specs:
        if spec in library_files() and not exists(spec):
            yield _report(library_proxy(spec), spec)
        elif spec == "-" or names_file(spec) or exists(spec):
            for document in documents([spec]):
                try:
                    yield _report(document.parse(), document.name)
                except InputError as error:
                    yield Report(document.name, error.source, error.diagnostics)
        else:
            try:
                yield _report(expression_proxy(spec), spec)
            except InputError as error:
                yield Report(spec, error.source, error.diagnostics)


def _report(proxy: Proxy, name: str) -> Report:
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

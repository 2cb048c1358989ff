"""``fmt``: the one canonical text of documents."""

from __future__ import annotations

import difflib
from pathlib import Path

import click

from autodas_dsl.cli import colour, options
from autodas_dsl.cli.documents import NONE_FOUND, STDIN, Document, documents
from autodas_dsl.language.errors import InputError
from autodas_dsl.language.files import write_atomic
from autodas_dsl.language.visible import visible, visible_lines

_EPILOG = """\b
Examples:
  autodas-dsl fmt best.proxy proxies/
  autodas-dsl fmt --check .
  autodas-dsl fmt - < draft.proxy"""


@click.command("fmt", epilog=_EPILOG)
@click.argument("paths", metavar="FILE|FOLDER|-...", nargs=-1, required=True)
@click.option("--check", is_flag=True, help="Write nothing; status 1 when a file would change.")
@click.option("--diff", is_flag=True, help="Write nothing; print what would change.")
@options.extensions
@click.pass_context
def command(ctx: click.Context, paths: tuple[str, ...], check: bool, diff: bool) -> None:
    """Rewrite documents in canonical form.

    Folders are searched for .proxy files; with - the text comes from standard input and goes to
    standard output. The formula never changes. A file that is wrong is reported and left as it is.
    """
    changed = wrong = total = 0
    for document in documents(paths):
        total += 1
        try:
            text = str(document.parse()).replace("\n", document.line_end)
        except InputError as error:
            click.echo(error.render(), err=True)
            wrong += 1
            continue
        differs = text.encode() != document.data
        changed += differs
        if diff and differs:
            colour.echo(_diff(document, text), "diff", nl=False)
        elif not (check or diff):
            _put(document, text, differs)
        if check and differs and not diff:
            click.echo(visible(f"would reformat {document.name}"), err=True)
    click.echo(_summary(changed, wrong, total, check or diff), err=True)
    if wrong or (changed and (check or diff)):
        ctx.exit(1)


def _put(document: Document, text: str, differs: bool) -> None:
    if document.path is None:
        click.echo(text.encode(), nl=False)
    elif differs:
        write_atomic(Path(document.path).resolve(), text)


def _diff(document: Document, text: str) -> str:
    parts = document.data.decode().split("\r\n")
    before = "\r\n".join(map(visible_lines, parts)).splitlines(keepends=True)
    name = visible(document.name if document.path else STDIN)
    return "".join(
        line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n"
        for line in difflib.unified_diff(before, text.splitlines(keepends=True), name, name)
    )


def _summary(changed: int, wrong: int, total: int, dry: bool) -> str:
    parts = []
    if changed:
        parts.append(f"{changed} {'would change' if dry else 'reformatted'}")
    if total - changed - wrong:
        parts.append(f"{total - changed - wrong} already formatted")
    if wrong:
        parts.append(f"{wrong} wrong")
    return ", ".join(parts) or NONE_FOUND

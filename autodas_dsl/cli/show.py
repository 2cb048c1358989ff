"""``show``: a formula in every form, and the library."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from autodas_dsl.cli import colour, options
from autodas_dsl.language.library import library_files, library_proxy, load
from autodas_dsl.language.proxy import Proxy, format_formula
from autodas_dsl.language.visible import json_text, visible
from autodas_dsl.printing.show import FORMS as KNOWN
from autodas_dsl.printing.show import show

_EPILOG = """\b
Examples:
  autodas-dsl show rho_cnn
  autodas-dsl show rho_cnn --as latex --layout align
  autodas-dsl show best.proxy --as tree
  autodas-dsl show diswot --graph diswot.svg
  autodas-dsl show --list"""

FORMS = [form for form in KNOWN if form != "svg"]  # which is for files: --graph
FORMS.insert(FORMS.index("sympy") + 1, "python")  # which the compiler makes

_GROUPS = {
    "parameter": "parameter-level",
    "activation": "activation-level",
    "teacher_student": "teacher-student",
    "discovered": "discovered",
}
"""The folders of the library, and what they are called, in the order of the listing."""


@click.command("show", cls=options.FormulaCommand, epilog=_EPILOG)
@click.argument("spec", metavar="[PROXY]", required=False, type=options.PROXY)
@click.option("--as", "form", type=click.Choice(FORMS),
              help="The form; python is a function that runs by itself.  [default: the document]")  # fmt: skip
@click.option("--layout", type=click.Choice(["plain", "equation", "align"]),
              help="Of LaTeX: in a line, numbered, or numbered with line breaks.")  # fmt: skip
@click.option("--width", type=click.IntRange(20), metavar="N",
              help="Of LaTeX: where lines of align break.  [default: 72]")  # fmt: skip
@click.option("--digits", type=click.IntRange(1), metavar="N",
              help="Of LaTeX and MathML: significant digits of numbers.  [default: all]")  # fmt: skip
@click.option("--graph", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
              help="Write the computation graph: FILE.svg, .dot, .graphml or .json.")  # fmt: skip
@options.force
@click.option("--list", "listing", is_flag=True, help="List the library, grouped; also as json.")
@options.extensions
def command(
    spec: str | None,
    form: str | None,
    listing: bool,
    graph: Path | None,
    force: bool,
    **setting: Any,
) -> None:
    """Print a formula in any form, or list the library."""
    if listing == (spec is not None):
        raise click.UsageError("give a PROXY, or --list")
    if spec is None:
        if form not in (None, "text", "json") or graph is not None:
            raise click.UsageError("--list is text or json")
        if form == "json":
            colour.echo(_library_json(), "json")
        else:
            colour.echo("\n".join(_library()), colour.LISTING)
        return
    proxy = load(spec)
    if graph is not None:
        from autodas_dsl.report.graph import draw

        draw(proxy, graph, force)
        click.echo(visible(f"wrote {graph}"), err=True)
    if graph is None or form is not None:
        text = _shown(proxy, form, {k: v for k, v in setting.items() if v is not None})
        language = form if form == "python" else KNOWN[form or "text"].language
        colour.echo(text, language, nl=not text.endswith("\n"))


def _shown(proxy: Proxy, form: str | None, setting: dict[str, Any]) -> str:
    if setting and form not in ("latex", "mathml"):
        raise click.UsageError(f"--{next(iter(setting))} goes with --as latex")
    if form is None:
        return str(proxy)
    if form == "python":
        from autodas_dsl.compiler.standalone import standalone

        return standalone(proxy)
    return show(proxy, form, **setting)


def _grouped() -> Iterator[tuple[str, list[str]]]:
    folders = {name: path.parent.name for name, path in library_files().items()}
    for folder in dict.fromkeys([*_GROUPS, *sorted(folders.values())]):
        names = [name for name, mine in folders.items() if mine == folder]
        if names:
            yield _GROUPS.get(folder, folder), names


def _library() -> Iterator[str]:
    width = max(len(name) for name in library_files())
    for title, names in _grouped():
        yield title
        for name in names:
            yield f"  {name:{width}}  {visible(library_proxy(name).about)}"
        yield ""
    yield "autodas-dsl show NAME prints one of them."


def _library_json() -> str:
    found = []
    for title, names in _grouped():
        for name in names:
            proxy = library_proxy(name)
            found.append({
                "name": name, "group": title, "about": proxy.about, "source": proxy.source,
                "better": proxy.better, "formula": format_formula(proxy),
            })  # fmt: skip
    return json_text(found)

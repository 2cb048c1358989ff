"""``show``: a formula in every form, and the library."""

from __future__ import annotations

import json
from collections.abc import Iterator

import click

from autodas_dsl.cli import options
from autodas_dsl.language.library import canonical, library_files, library_proxy, load
from autodas_dsl.language.proxy import format_formula

_EPILOG = """\b
Examples:
  autodas-dsl show rho_cnn
  autodas-dsl show --list"""

_GROUPS = {
    "parameter": "parameter-level",
    "activation": "activation-level",
    "teacher_student": "teacher-student",
    "discovered": "discovered",
}
"""The folders of the library, and what they are called, in the order of the listing."""


@click.command("show", epilog=_EPILOG)
@click.argument("spec", metavar="[PROXY]", required=False, type=options.PROXY)
@click.option("--list", "listing", is_flag=True, help="List the library, grouped.")
@click.option("--format", "format", type=click.Choice(["text", "json"]), default="text",
              show_default=True, help="Of --list.")  # fmt: skip
def command(spec: str | None, listing: bool, format: str) -> None:
    """Print a formula, or list the library."""
    if listing == (spec is not None):
        raise click.UsageError("give a PROXY, or --list")
    if listing:
        click.echo(_library_json() if format == "json" else "\n".join(_library()))
    elif spec is not None:
        click.echo(canonical(load(spec)), nl=False)


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
            yield f"  {name:{width}}  {library_proxy(name).about}"
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
    return json.dumps(found, indent=2, ensure_ascii=False)

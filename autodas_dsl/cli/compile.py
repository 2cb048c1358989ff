"""``compile``: the Python that runs a formula."""

from __future__ import annotations

import click

from autodas_dsl.cli import options
from autodas_dsl.language.proxy import format_formula

_EPILOG = """\b
Examples:
  autodas-dsl compile rho_cnn
  autodas-dsl compile "sum(sum(|W * grad W|))" """


@click.command("compile", cls=options.FormulaCommand, epilog=_EPILOG)
@click.argument("spec", metavar="PROXY", type=options.PROXY)
@options.extensions
def command(spec: str) -> None:
    """Print the emitted Python of a formula, exactly as it runs.

    One function per pass over the statistics; each takes stacks of equally shaped layers and
    gives one number per layer or network.
    """
    from autodas_dsl.compiler.pipeline import build, to_ir
    from autodas_dsl.language.library import load

    proxy = load(spec)
    node = to_ir(proxy)
    program = build([node])
    lines = [f"# {line}" for line in format_formula(proxy).split("\n")]
    lines += [f"# constant: {value!r}" for n, value in program.constants.items() if n is node]
    click.echo("\n".join([*lines, "", program.source]).rstrip())

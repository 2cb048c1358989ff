"""``lsp``: the language server."""

from __future__ import annotations

import click

from autodas_dsl.cli import options

_EPILOG = """\b
Examples:
  autodas-dsl lsp"""


@click.command("lsp", epilog=_EPILOG)
@options.extensions
def command() -> None:
    """Serve an editor over standard input and output.

    Diagnostics while typing, hover, completion, signatures, formatting, references, renaming,
    colours by meaning and hints of kinds for .proxy files. Needs the extra lsp:
    pip install autodas-dsl[lsp].
    """
    from autodas_dsl.editing.lsp import main

    main()

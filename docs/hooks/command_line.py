"""The command line as a page: every command with its help, its options and its examples."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from html import escape

import click

from autodas_dsl.cli.entry import cli
from autodas_dsl.cli.options import LOUDNESS

PROGRAM = "autodas-dsl"


def reference() -> str:
    context = click.Context(cli, info_name=PROGRAM, **cli.context_settings)
    return "\n\n".join(_parts(cli, context))


def _parts(command: click.Command, context: click.Context) -> Iterator[str]:
    """What stands on the page about a command, then about its subcommands.

    Options that every command takes stand with the program only.
    """
    if command is not cli:
        level = "#" * (1 + context.command_path.count(" "))
        yield f"{level} {context.command_path.removeprefix(f'{PROGRAM} ')}"
    usage = " ".join([context.command_path, *command.collect_usage_pieces(context)])
    yield f"```\n{usage}\n```"
    yield _prose(inspect.cleandoc(command.help or ""), r"[\[\]<*_]")
    own = [p for p in command.get_params(context) if command is cli or p not in LOUDNESS]
    records = filter(None, (option.get_help_record(context) for option in own))
    rows = [
        f"| {_code(names)} | {_prose(' '.join(text.split()))} |" for names, text in records if text
    ]
    yield "\n".join(["| option | |", "|---|---|", *rows])
    if command.epilog:
        yield f"```text\n{_epilog(command.epilog)}\n```"
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            found = command.get_command(context, name)
            if found is not None:
                yield from _parts(found, click.Context(found, info_name=name, parent=context))


def _code(text: str) -> str:
    """Code in a cell of a table, where a bar would end the cell."""
    return f"<code>{escape(' '.join(text.split())).replace('|', '&#124;')}</code>"


def _prose(text: str, special: str = r"[\[\]<*_|]") -> str:
    """Text of a help, in which nothing is meant as Markdown."""
    return re.sub(f"({special})", r"\\\1", text)


def _epilog(text: str) -> str:
    return inspect.cleandoc(text.replace("\b\n", ""))

"""Colour on a terminal; elsewhere the plain text.

Rich and Pygments are imported only where there is a terminal, so that pipes are fast.
"""

from __future__ import annotations

import os
import re
import sys
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from rich.text import Text

PROXY = "proxy"
"""The language itself; other languages have the names that Pygments knows them by."""

DIAGNOSTIC, LISTING, PLAIN = "diagnostic", "listing", ""
_EXCERPT = re.compile(r"( +[0-9]+ \| )(.*)")
_CARETS = re.compile(r"( +\| +)(\^+)")
_HELP = re.compile(r"( += help:)(.*)")
_VERDICT = re.compile(r"(.*)(: ok)")
_FACT = re.compile(r"(  (?:reads|requires) )(.*)")
_ENTRY = re.compile(r"(  \S+)(  .*)")


def is_wanted() -> bool:
    """Whether standard output is a terminal that takes colour, and nobody asked for none."""
    plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    return sys.stdout.isatty() and not plain


def echo(text: str, language: str, *, nl: bool = True) -> None:
    """Print a text to standard output, coloured where that is wanted.

    Parameters
    ----------
    text : str
    language : str
        `PROXY`, a lexer of Pygments, `DIAGNOSTIC` for what ``check`` prints, `LISTING` for titles
        with indented entries, or `PLAIN`.
    nl : bool
        End in a line break.
    """
    if language == PLAIN or not is_wanted():
        click.echo(text, nl=nl)
        return
    from rich.console import Console

    console = Console(file=sys.stdout, force_terminal=True, color_system="standard")
    console.print(_coloured(text, language), soft_wrap=True, end="\n" if nl else "")


def _coloured(text: str, language: str) -> Text:
    from rich.text import Text

    by_line = {DIAGNOSTIC: _of_check, LISTING: _of_listing}.get(language)
    if by_line is None:
        return _code(text, language)
    return Text("\n").join(by_line(line) for line in text.split("\n"))


def _code(text: str, language: str) -> Text:
    from pygments.lexers import get_lexer_by_name
    from rich.syntax import Syntax
    from rich.text import Text

    from autodas_dsl.report.lexer import ProxyLexer

    kept = {"stripnl": False, "ensurenl": False}
    lexer = ProxyLexer(**kept) if language == PROXY else get_lexer_by_name(language, **kept)
    theme = Syntax.get_theme("ansi_light")
    found = Text()
    for kind, part in lexer.get_tokens(text):
        found.append(part, None if part.isspace() else theme.get_style_for_token(kind))
    return found


def _of_check(line: str) -> Text:
    """One line about a formula: of a diagnostic, or of what a correct one reads."""
    from rich.text import Text

    if match := _EXCERPT.fullmatch(line):
        return Text.assemble((match[1], "dim"), _code(match[2], PROXY))
    if match := _FACT.fullmatch(line):
        return Text.assemble((match[1], "dim"), _code(match[2], PROXY))
    if match := _VERDICT.fullmatch(line):
        return Text.assemble(match[1], (match[2], "green"))
    for pattern, styles in ((_CARETS, ("dim", "bold red")), (_HELP, ("cyan", ""))):
        if match := pattern.fullmatch(line):
            return Text.assemble(*zip(match.groups(), styles, strict=True))
    found = Text(line)
    found.highlight_regex(r"\berror\[E[0-9]+\]", "bold red")
    found.highlight_regex(r"\bwarning\[E[0-9]+\]", "bold yellow")
    return found


def _of_listing(line: str) -> Text:
    from rich.text import Text

    if match := _ENTRY.fullmatch(line):
        return Text.assemble((match[1], "cyan"), match[2])
    return Text(line, style="" if line.startswith(" ") else "bold")

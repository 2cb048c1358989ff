"""``explain``: what an error code means and what to do about it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict

import click
from click.shell_completion import CompletionItem

from autodas_dsl.cli import colour
from autodas_dsl.language.error_pages import ErrorPage, error_page, error_pages
from autodas_dsl.language.visible import json_text

_EPILOG = """\b
Examples:
  autodas-dsl explain E444
  autodas-dsl explain E201 E202 --format json"""


def _complete(ctx: click.Context, param: click.Parameter, start: str) -> list[CompletionItem]:
    return [CompletionItem(code) for code in error_pages() if code.startswith(start.upper())]


@click.command("explain", epilog=_EPILOG)
@click.argument("codes", metavar="[CODE]...", nargs=-1, shell_complete=_complete)
@click.option(
    "--format", "format", type=click.Choice(["text", "json"]), default="text", show_default=True,
    help="json: one object per code.",
)  # fmt: skip
def command(codes: tuple[str, ...], format: str) -> None:
    """List error codes, or explain some.

    Of a code it prints what it means, its messages, each with what to do, and an example. Operators
    and statistics are explained by ops.
    """
    pages = [error_page(code) for code in codes] or list(error_pages().values())
    if format == "json":
        click.echo(json_text([_as_json(page) for page in pages]))
    elif codes:
        colour.echo("\n\n".join("\n".join(_explained(page)) for page in pages), colour.DIAGNOSTIC)
    else:
        colour.echo("\n".join(_listing(pages)), colour.LISTING)


def _explained(page: ErrorPage) -> Iterator[str]:
    yield f"{page.code}: {page.subject}"
    if page.meaning:
        yield page.meaning
    for message, told in page.messages:
        yield f"\nerror[{page.code}]: {message}"
        yield from (f"    = help: {help}" for help in told)
    if page.example:
        yield f"\nExample:\n{page.example}"


def _listing(pages: list[ErrorPage]) -> Iterator[str]:
    subject = ""
    for page in pages:
        if page.subject != subject:
            yield from ["", page.subject][not subject :]
            subject = page.subject
        yield f"  {page.code}  {page.title}"
    yield "\nautodas-dsl explain CODE explains one of them."


def _as_json(page: ErrorPage) -> dict[str, object]:
    messages = [{"message": message, "help": list(told)} for message, told in page.messages]
    return {**asdict(page), "messages": messages}

"""``ops``: the operators and statistics of the language."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import click
from click.shell_completion import CompletionItem

from autodas_dsl.cli import options
from autodas_dsl.language.errors import InputError
from autodas_dsl.language.examples import example_of
from autodas_dsl.language.format import format_number, written
from autodas_dsl.language.inputs import INPUTS, Input
from autodas_dsl.language.operators import ALIASES, GROUPS, LAWS, OPERATORS, Attribute, Operator
from autodas_dsl.language.resolve import suggest
from autodas_dsl.language.visible import json_text
from autodas_dsl.printing.latex import operator_latex, statistic_latex

_EPILOG = """\b
Examples:
  autodas-dsl ops
  autodas-dsl ops KL
  autodas-dsl ops grad W"""


def _complete(ctx: click.Context, param: click.Parameter, start: str) -> list[CompletionItem]:
    known = [*OPERATORS, *ALIASES, *INPUTS]
    return [CompletionItem(name) for name in known if name.startswith(start)]


@click.command("ops", epilog=_EPILOG)
@click.argument("words", metavar="[NAME]", nargs=-1, shell_complete=_complete)
@click.option(
    "--format", "format", type=click.Choice(["text", "json"]), default="text", show_default=True,
    help="json: one object per operator or statistic.",
)  # fmt: skip
@options.extensions
def command(words: tuple[str, ...], format: str) -> None:
    """List operators and statistics, or explain one.

    Of one operator it prints the signature, definition, LaTeX, attributes, laws, aliases and an
    example.
    """
    everything: list[Operator | Input] = [*OPERATORS.values(), *INPUTS.values()]
    entries = _named(" ".join(words)) if words else everything
    if format == "json":
        click.echo(json_text([_as_json(e) for e in entries]))
    elif words:
        click.echo("\n\n".join("\n".join(_explained(entry)) for entry in entries))
    else:
        click.echo("\n".join(_listing()))


def _named(name: str) -> list[Operator | Input]:
    """Operators and statistics of that name: `max` is a reduction and an operator of two."""
    found: list[Operator | Input] = []
    canonical = ALIASES.get(name, name)
    if canonical in OPERATORS:
        found.append(OPERATORS[canonical])
    found += [entry for entry in OPERATORS.values() if not entry.is_named
              and entry.name != canonical and name in (entry.word, _call(entry))]  # fmt: skip
    if name in INPUTS:
        found.append(INPUTS[name])
    if not found:
        raise InputError(
            "E210", f"there is no operator or statistic `{name}`",
            suggest(name, [*OPERATORS, *ALIASES, *INPUTS]) or "autodas-dsl ops lists them",
        )  # fmt: skip
    return found


def _listing() -> Iterator[str]:
    width = max(len(_call(entry)) for entry in OPERATORS.values())
    for group, title in GROUPS.items():
        yield title
        for entry in OPERATORS.values():
            if entry.group == group:
                yield f"  {_call(entry):{width}}  {entry.doc}"
        yield ""
    for group in dict.fromkeys(entry.group for entry in INPUTS.values()):
        yield f"Statistics: {group}"
        for statistic in INPUTS.values():
            if statistic.group == group:
                yield f"  {statistic.name:{width}}  {statistic.doc}"
        yield ""
    yield "autodas-dsl ops NAME explains one of them."


def _call(entry: Operator) -> str:
    if not entry.is_named:
        return written(entry)
    return f"{entry.name}(a, b)" if entry.arity == 2 else f"{entry.name}(x)"


def _explained(entry: Operator | Input) -> Iterator[str]:
    fields = _operator(entry) if isinstance(entry, Operator) else _statistic(entry)
    first = True
    for label, lines in fields:
        for line in lines:
            yield line if first else f"  {label:<11}{line}"
            first, label = False, ""


def _operator(entry: Operator) -> Iterable[tuple[str, Iterable[str]]]:
    yield "", [f"{_call(entry)}: {entry.doc}"]
    yield "name", [f"{entry.name} ({GROUPS[entry.group].lower()})"]
    yield "signature", [entry.signature]
    usual = "one level: all axes, then the layers" if entry.is_reduction else entry.axis
    yield "axes", [f"{', '.join(entry.axes)} (default {usual})"] * bool(entry.axes)
    yield "attributes", [_attribute(a) for a in entry.attrs]
    yield "aliases", [", ".join(entry.aliases)] * bool(entry.aliases)
    yield "laws", [f"{law}: {LAWS[law]}" for law in LAWS if law in entry.laws]
    yield "torch", [entry.torch]
    yield "LaTeX", [operator_latex(entry)]
    yield "example", [example_of(entry)]


def _attribute(attribute: Attribute) -> str:
    allowed = attribute.allowed.removeprefix("a ")
    return (
        f"{attribute.name}={format_number(attribute.default)}, {allowed}. {attribute.doc}".rstrip()
    )


def _statistic(entry: Input) -> Iterable[tuple[str, Iterable[str]]]:
    yield "", [f"{entry.name}: {entry.doc}"]
    yield "name", [f"{entry.name} (statistic, {entry.group})"]
    yield "kind", [entry.kind.describe()]
    yield "needs", [entry.needs]
    yield "attributes", [", ".join(entry.variants)] * bool(entry.variants)
    yield "LaTeX", [statistic_latex(entry)]
    yield "example", [_example(entry)]


def _example(entry: Input) -> str:
    """A formula whose score is one number."""
    whole = f"|{entry.name}|_F" if entry.kind.axes else entry.name
    return f"mean({whole})" if entry.kind.layers else whole


def _as_json(entry: Operator | Input) -> dict[str, object]:
    if isinstance(entry, Input):
        return {
            "name": entry.name, "type": "statistic", "group": entry.group, "doc": entry.doc,
            "kind": entry.kind.describe(), "latex": statistic_latex(entry),
            "attributes": entry.variants, "needs": entry.needs, "example": _example(entry),
        }  # fmt: skip
    return {
        "name": entry.name, "type": "operator", "group": entry.group, "doc": entry.doc,
        "written": _call(entry), "signature": entry.signature, "latex": operator_latex(entry),
        "axes": list(entry.axes), "attributes": [_attribute(a) for a in entry.attrs],
        "aliases": list(entry.aliases), "laws": sorted(entry.laws),
        "example": example_of(entry),
    }  # fmt: skip

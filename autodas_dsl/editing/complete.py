"""What can be written next: names, attributes and headers that fit at a place."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from autodas_dsl.editing.draft import WORD, Draft
from autodas_dsl.editing.explain import (
    HEADERS,
    ITEMS,
    PREFIXES,
    library_text,
    operator_attributes,
    operator_text,
    statistic_attributes,
    statistic_text,
)
from autodas_dsl.language.inputs import INPUTS
from autodas_dsl.language.library import library_names
from autodas_dsl.language.lines import Item
from autodas_dsl.language.operators import ALIASES, OPERATORS
from autodas_dsl.language.spans import Span

_ATTRIBUTE = re.compile(rf"(?:\b(grad|hess)\s+)?({WORD.pattern})\[[^\[\]()]*\Z")
_DERIVED = re.compile(rf"(?:\b(grad|hess)(?:\[[^\[\]]*\])?\s+|(∂L/∂))(?:{WORD.pattern})?\Z")
_REPEATED = frozenset({"reported", "measured"})


@dataclass(frozen=True, slots=True)
class Proposal:
    """Something that can be written.

    Attributes
    ----------
    label : str
        What is inserted, parentheses apart.
    sort : str
        ``let``, ``statistic``, ``operator``, ``proxy``, ``attribute`` or ``line``.
    detail : str
        A few words beside it.
    doc : str
        Markdown.
    after : str
        Text after the label, ``(`` for an operator.
    """

    label: str
    sort: str
    detail: str = ""
    doc: str = ""
    after: str = ""


def proposals(draft: Draft, offset: int) -> tuple[list[Proposal], Span]:
    """What fits at an offset, and the span that a choice replaces: the word before it."""
    line = draft.text[draft.text.rfind("\n", 0, offset) + 1 : offset]
    start = offset - len(re.search(r"[A-Za-z0-9_σ∑ₛₜ]*\Z", line).group())  # type: ignore[union-attr]
    span = Span(start, offset)
    if draft.formula_at(offset) is not None:
        return list(_in_formula(draft, line, offset)), span
    if "proxy/1".startswith(line) and not _others(draft, offset):
        first = Proposal(f"proxy/1 {draft.stem or 'name'}", "line", "the first line of a document")
        return [first], Span(offset - len(line), offset)
    if re.fullmatch(r"[A-Za-z-]*", line):
        return list(_lines(draft, offset)), span
    return list(_in_header(line)), span


def _lines(draft: Draft, offset: int) -> Iterator[Proposal]:
    """What may stand in the first column."""
    others = _others(draft, offset)
    taken = {re.split(r"[\s:=]", item.text, maxsplit=1)[0] for item in others}
    for key, doc in HEADERS.items():
        if key not in taken or key in _REPEATED:
            yield Proposal(key, "line", doc=doc, after=": ")
    yield Proposal("let", "line", doc=ITEMS["let"], after=" ")
    if "score" not in taken:
        yield Proposal("score", "line", doc=ITEMS["score"], after=" = ")


def _others(draft: Draft, offset: int) -> list[Item]:
    """The items apart from the one being written."""
    return [item for item in draft.items if not item.span.start <= offset <= item.span.end]


def _in_header(line: str) -> Iterator[Proposal]:
    if line.startswith("better:"):
        yield Proposal("higher", "attribute", "higher scores promise better networks")
        yield Proposal("lower", "attribute", "lower scores promise better networks")
    elif line.startswith("inputs:"):
        for name, entry in INPUTS.items():
            yield Proposal(name, "statistic", str(entry.kind), statistic_text(entry))


def _in_formula(draft: Draft, line: str, offset: int) -> Iterator[Proposal]:
    inside = _ATTRIBUTE.search(line)
    derived = _DERIVED.search(line)
    if inside:
        yield from _attributes(inside.group(1), inside.group(2))
    elif derived:
        prefix = derived.group(1) or "grad"
        for name, entry in INPUTS.items():
            if name.startswith(f"{prefix} "):
                label = name.removeprefix(f"{prefix} ")
                yield Proposal(label, "statistic", str(entry.kind), statistic_text(entry))
    else:
        yield from _names(draft, offset)


def _attributes(prefix: str | None, word: str) -> Iterator[Proposal]:
    """What may stand in the brackets after a name."""
    options: list[tuple[str, str]] = []
    name = ALIASES.get(word, word)
    if word in PREFIXES:
        for entry in (e for key, e in INPUTS.items() if key.startswith(f"{word} ")):
            options += [o for o in statistic_attributes(entry) if o not in options]
    elif word in INPUTS and not prefix:
        options = statistic_attributes(INPUTS[word])
    elif name in OPERATORS:
        options = operator_attributes(OPERATORS[name])
    for label, doc in options:
        yield Proposal(label, "attribute", doc=doc)


def _names(draft: Draft, offset: int) -> Iterator[Proposal]:
    here = draft.item_at(offset)
    for name, item in draft.lets.items():
        if item is not here and item.span.start < offset:
            yield Proposal(name, "let", "let", f"```\n{item.text.strip()}\n```")
    for key, entry in INPUTS.items():
        if " " not in key:
            yield Proposal(key, "statistic", str(entry.kind), statistic_text(entry))
    for prefix, doc in PREFIXES.items():
        yield Proposal(prefix, "statistic", "derivative", doc, after=" ")
    for name, operator in OPERATORS.items():
        if operator.word == name and operator.binds == "atom":
            yield Proposal(name, "operator", operator.signature, operator_text(operator), after="(")
    for name in library_names():
        if name not in INPUTS:
            yield Proposal(name, "proxy", "library proxy", library_text(name))

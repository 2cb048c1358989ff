"""What the call that is being written takes: its operator, its attributes, its arguments."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from autodas_dsl.editing.draft import HEAD, Draft
from autodas_dsl.editing.explain import operator_attributes
from autodas_dsl.editing.words import Token, tokens
from autodas_dsl.language.operators import ALIASES, BINARY, OPERATORS, Operator
from autodas_dsl.language.spans import Span

_OPEN, _CLOSED = ("LPAR", "LSQB"), ("RPAR", "RSQB")


@dataclass(frozen=True, slots=True)
class Signature:
    """How an operator is called.

    Attributes
    ----------
    label : str
        ``KL[T=1](a, b)``.
    doc : str
        Markdown.
    parameters : tuple of (Span, str)
        The attributes, then the arguments: their places in the label, and what they are.
    active : int
        The parameter that is being written.
    """

    label: str
    doc: str
    parameters: tuple[tuple[Span, str], ...]
    active: int


def signatures(draft: Draft, offset: int) -> tuple[list[Signature], int]:
    """The operators that the innermost call open at an offset may be, and the number of the one
    that fits what is written so far."""
    item = draft.formula_at(offset)
    head = item and HEAD.match(item.text)
    if not item or not head:
        return [], 0
    written = list(tokens(item.text[head.end() : offset - item.span.start]))
    for bracket in reversed(_unclosed(written)):
        name = _name_before(written, bracket)
        if name is None:  # a pair, or brackets around a part
            continue
        inside = _parts(written[bracket + 1 :])
        keyed = written[bracket].sort == "LSQB"
        entries = _entries(written[name].text)
        found = [_signature(written[name].text, entry, inside, keyed) for entry in entries]
        fitting = [n for n, entry in enumerate(entries) if keyed or entry.arity >= len(inside)]
        return found, next(iter(fitting), max(0, len(entries) - 1))
    return [], 0


def _entries(word: str) -> list[Operator]:
    """What a word may be called for: the largest value, or the larger of two."""
    name = ALIASES.get(word, word)
    return [OPERATORS[one] for one in (name, BINARY.get(name, "")) if one in OPERATORS]


def _signature(
    word: str, entry: Operator, inside: Sequence[Sequence[Token]], keyed: bool
) -> Signature:
    attributes = list(_attributes(entry))
    arguments = ["[a, b]"] if entry.aligns else list(entry.letters[: entry.arity])
    label, places = word, []
    for ends, texts in (("[]", [text for text, _ in attributes]), ("()", arguments)):
        for number, text in enumerate(texts):
            label += ", " if number else ends[0]
            places.append(Span(len(label), len(label) + len(text)))
            label += text
        label += ends[1] if texts else ""
    docs = [*(doc for _, doc in attributes), *("" for _ in arguments)]
    active = len(attributes) + min(len(inside), len(arguments)) - 1
    if keyed:
        active = _active([text for text, _ in attributes], inside)
    doc = f"{entry.doc}\n\n`{entry.signature}`"
    return Signature(label, doc, tuple(zip(places, docs, strict=True)), active)


def _attributes(entry: Operator) -> Iterator[tuple[str, str]]:
    """The axis, if it works along one, then the others with their defaults."""
    told = operator_attributes(entry)
    if entry.axes:
        axes = told[: len(entry.axes)]
        yield "|".join(word for word, _ in axes), "\n".join(f"- {doc}" for _, doc in axes)
    yield from told[len(entry.axes) :]


def _active(labels: Sequence[str], inside: Sequence[Sequence[Token]]) -> int:
    """Which attribute is being written: the one that is named, else by its place."""
    named = [n for n, label in enumerate(labels) for token in inside[-1][:1]
             if label.startswith(f"{token.text}=")]  # fmt: skip
    return named[0] if named else max(0, min(len(inside), len(labels)) - 1)


def _unclosed(written: Sequence[Token]) -> list[int]:
    """The brackets that are open at the end."""
    found: list[int] = []
    for number, token in enumerate(written):
        if token.sort in _OPEN:
            found.append(number)
        elif token.sort in _CLOSED:
            del found[-1:]
    return found


def _name_before(written: Sequence[Token], bracket: int) -> int | None:
    """The name before a bracket, or before the attributes before it."""
    last = bracket - 1
    if last >= 0 and written[last].sort == "RSQB" and written[bracket].sort == "LPAR":
        last = next((n for n in range(last, -1, -1) if written[n].sort == "LSQB"), 0) - 1
    return last if last >= 0 and written[last].sort == "NAME" else None


def _parts(inside: Sequence[Token]) -> list[list[Token]]:
    """What stands between the commas of an open bracket."""
    parts: list[list[Token]] = [[]]
    depth = 0
    for token in inside:
        depth += (token.sort in _OPEN) - (token.sort in _CLOSED)
        if token.sort == "COMMA" and not depth:
            parts.append([])
        else:
            parts[-1].append(token)
    return parts

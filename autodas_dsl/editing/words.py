"""The words and signs of a document, right or wrong, each with what it is."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import zip_longest

from autodas_dsl.editing.draft import HEAD, Draft
from autodas_dsl.language.documents import REFERENCE
from autodas_dsl.language.inputs import INPUTS
from autodas_dsl.language.library import library_files
from autodas_dsl.language.lines import Item
from autodas_dsl.language.operators import ALIASES, NORM_MARKS, OPERATORS
from autodas_dsl.language.parse import MAX_EXPRESSION_BYTES, SHORTHANDS, plain
from autodas_dsl.language.parser_tables import parser
from autodas_dsl.language.spans import Span

NAMES = ("let", "proxy", "statistic", "operator")
"""Sorts of words whose name means the same wherever it stands."""
_FIRST = re.compile(r"(?P<item>proxy/\d+)[ \t]+(?P<proxy>\S+)")
_KEY = re.compile(r"(x-[a-z0-9-]+|[a-z]+):[ \t]*")
_COMMENT = re.compile(r"#[^\n]*")
_SIGNS = {
    **NORM_MARKS,
    **{sign: entry.name for entry in reversed(OPERATORS.values()) for sign in entry.signs},
}
"""What signs, and marks behind the closing bar of a norm, are read as; of several, the first."""
_PREFIXES = frozenset(name.partition(" ")[0] for name in INPUTS if " " in name)
_PUNCTUATION = ("LPAR", "RPAR", "LSQB", "RSQB", "COMMA", "EQUAL")


@dataclass(frozen=True, slots=True)
class Word:
    """A word or sign and its place.

    Attributes
    ----------
    sort : str
        ``item`` (``let``), ``header``, ``proxy``, ``let``, ``statistic``, ``derivative``,
        ``operator``, ``sign`` (of an operator), ``attribute``, ``value``, ``number``, ``text``,
        ``comment``, or ``unknown``.
    name : str
        In the tables: ``grad W`` for the ``W`` behind ``grad``, ``norm_F`` for ``|_F``.
    span : Span
        Within one line.
    defines : bool
        Whether the let or the proxy is named here.
    """

    sort: str
    name: str
    span: Span
    defines: bool = False


@dataclass(frozen=True, slots=True)
class Token:
    """A terminal of the grammar in a text."""

    sort: str
    text: str
    span: Span


@cache
def _terminals() -> re.Pattern[str]:
    found = parser().terminals  # those that are tried first stand first
    return re.compile("|".join(f"(?P<{one.name}>{one.pattern.to_regexp()})" for one in found))


def tokens(text: str, at: int = 0) -> Iterator[Token]:
    """The terminals of a formula, without blanks and comments; what is none is passed over."""
    if len(text) > MAX_EXPRESSION_BYTES:
        return
    for found in _terminals().finditer(text):
        sort = found.lastgroup or ""
        if sort != "COMMENT" and not found.group().isspace():
            yield Token(sort, found.group(), Span(found.start() + at, found.end() + at))


def words(draft: Draft) -> list[Word]:
    """All words and signs of a document, in the order of reading."""
    found: list[Word] = []
    lets: set[str] = set()
    place = 0
    for item in draft.items:
        found += _comments(draft.text, place, item.span.start)
        found += _item(item, lets)
        place = item.span.end
        for comment in item.comments:
            span = Span(comment.offset, comment.offset + len(comment.text)).moved(item.span.start)
            found.append(Word("comment", "", span))
            place = max(place, span.end)
    found += _comments(draft.text, place, len(draft.text))
    return sorted(found, key=lambda word: word.span.start)


def words_at(draft: Draft, offset: int) -> list[Word]:
    """The words that hold an offset; the one that ends there is first."""
    return [word for word in words(draft) if word.span.start <= offset <= word.span.end]


def name_at(draft: Draft, offset: int) -> Word | None:
    """The name that holds an offset or ends there."""
    return next((word for word in words_at(draft, offset) if word.sort in NAMES), None)


def _comments(text: str, start: int, end: int) -> Iterator[Word]:
    for found in _COMMENT.finditer(text, start, end):
        yield Word("comment", "", Span(*found.span()))


def _item(item: Item, lets: set[str]) -> Iterator[Word]:
    first, head, key = (form.match(item.text) for form in (_FIRST, HEAD, _KEY))
    at = item.span.start
    if first:
        yield Word("item", first["item"], Span(*first.span("item")).moved(at))
        yield Word("proxy", first["proxy"], Span(*first.span("proxy")).moved(at), defines=True)
    elif head:
        item_word = head["item"].split()[0]
        yield Word("item", item_word, Span(at, at + len(item_word)))
        if head["let"]:
            yield Word("let", head["let"], Span(*head.span("let")).moved(at), defines=True)
        yield from _formula(item.text[head.end() :], at + head.end(), lets)
        if head["let"]:
            lets.add(head["let"])
    elif key:
        yield Word("header", key[1], Span(at, at + len(key[1])))
        rest = item.text[key.end() :]
        if key[1] in ("inputs", REFERENCE):
            yield from _formula(rest, at + key.end(), lets)
        else:
            sort = "value" if key[1] == "better" else "text"
            for line in re.finditer(r"\S(?:[^\n]*\S)?", rest):
                yield Word(sort, "", Span(*line.span()).moved(at + key.end()))


def _formula(text: str, at: int, lets: set[str]) -> Iterator[Word]:
    inside: list[bool] = []  # for each open bracket, whether it holds attributes
    prefix, before = "", ""
    found = list(tokens(text, at))
    for token, after in zip_longest(found, found[1:]):
        if token.sort in ("LPAR", "LSQB"):
            inside.append(token.sort == "LSQB" and before == "NAME")
        elif token.sort in ("RPAR", "RSQB"):
            del inside[-1:]
        elif inside and inside[-1]:
            yield from _attribute(token, after)
        elif token.sort == "NAME":
            word = _name(token, prefix, lets)
            prefix = word.name if word.sort == "derivative" else ""
            yield word
        elif token.sort == "_DL":
            prefix = "grad"
            yield Word("derivative", prefix, token.span)
        elif token.sort == "NUMBER":
            yield Word("number", token.text, token.span)
        elif token.sort not in _PUNCTUATION:
            yield Word("sign", _SIGNS.get(token.text.lstrip("|‖"), ""), token.span)
        before = token.sort


def _attribute(token: Token, after: Token | None) -> Iterator[Word]:
    if token.sort == "NAME":
        keyed = after is not None and after.sort == "EQUAL"
        yield Word("attribute" if keyed else "value", plain(token.text), token.span)
    elif token.sort == "NUMBER":
        yield Word("number", token.text, token.span)


def _name(token: Token, prefix: str, lets: set[str]) -> Word:
    name = plain(token.text)
    operator = ALIASES.get(name, name)
    if f"{prefix} {name}" in INPUTS:
        return Word("statistic", f"{prefix} {name}", token.span)
    if name in lets:
        return Word("let", name, token.span)
    if name in _PREFIXES:
        return Word("derivative", name, token.span)
    if name in INPUTS:
        return Word("statistic", name, token.span)
    if operator in OPERATORS or name in SHORTHANDS:
        return Word("operator", operator, token.span)
    return Word("proxy" if name in library_files() else "unknown", name, token.span)

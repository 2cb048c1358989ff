"""Random expressions and documents end in a diagnostic, or print in every form and read back.

By default 400 of each. ``AUTODAS_FUZZ=15000`` tries that many, ``AUTODAS_FUZZ_SEED=7`` others; a
failure is run again by its number, ``-k "expressions and 123-0"`` (number and seed).
"""

from __future__ import annotations

import json
import os
import random
import xml.etree.ElementTree as ElementTree
from itertools import pairwise

import pytest
from fixtures import explained
from fuzzing import case, document, expression, respelled, typed_tree

from autodas_dsl.editing.complete import proposals
from autodas_dsl.editing.draft import Draft
from autodas_dsl.editing.explain import hover
from autodas_dsl.editing.rename import renamable, renamed
from autodas_dsl.editing.signature import signatures
from autodas_dsl.editing.words import words
from autodas_dsl.language.documents import decode, expression_proxy, parse_document
from autodas_dsl.language.errors import InputError
from autodas_dsl.language.format import format_expression
from autodas_dsl.language.parse import parse
from autodas_dsl.language.proxy import Proxy
from autodas_dsl.printing.latex_page import LAYOUTS
from autodas_dsl.printing.show import FORMS, show
from autodas_dsl.report.lexer import ProxyLexer

COUNT = int(os.environ.get("AUTODAS_FUZZ", "400"))
SEED = int(os.environ.get("AUTODAS_FUZZ_SEED", "0"))
SLOW = ("sympy", "dot", "json", "graphml", "svg")
many = pytest.mark.parametrize(("number", "seed"), [(number, SEED) for number in range(COUNT)])


def prints(proxy: Proxy, source: random.Random) -> None:
    """Every form is what it says; of the slow ones, two."""
    chosen = source.sample(SLOW, 2)
    printed = {form: show(proxy, form) for form in FORMS if form not in SLOW or form in chosen}
    assert all(text.strip() for text in printed.values())
    for form in ("mathml", "svg", "graphml"):
        if form in printed:
            ElementTree.fromstring(printed[form])
    if "json" in printed:
        json.loads(printed["json"])
    layout, digits = source.choice(LAYOUTS), source.choice((None, 1, 3))
    latex = show(proxy, "latex", layout=layout, width=source.choice((20, 40, 72)), digits=digits)
    for text in (printed["latex"], latex):
        assert text.count("{") == text.count("}")
        assert text.count(r"\left") == text.count(r"\right")
        assert text.isprintable() or "\n" in text
    ElementTree.fromstring(show(proxy, "mathml", digits=digits))


def edits(text: str, source: random.Random) -> None:
    """An editor colours it, explains it and completes it, right or wrong."""
    coloured = "".join(word for _, word in ProxyLexer().get_tokens(text))
    assert coloured.strip() == text.removeprefix("\ufeff").strip()  # Pygments drops a mark
    draft = Draft(text)
    assert all(found.code[0] == "E" and found.message for found in draft.diagnostics)
    for _ in range(3):
        offset = source.randint(0, len(text))
        hover(draft, offset)
        proposals(draft, offset)
    if source.random() < 0.2:
        words_of(draft, source)


def words_of(draft: Draft, source: random.Random) -> None:
    """What is said about the words of a document fits its text, right or wrong."""
    text, found = draft.text, words(draft)
    assert all(a.span.end <= b.span.start for a, b in pairwise(found))
    assert not any("\n" in text[word.span.start : word.span.end] for word in found)
    assert all(text[offset - 1].isalnum() or text[offset - 1] == "_" for offset, _ in draft.kinds())
    offset = source.randint(0, len(text))
    assert all(one.parameters[one.active] for one in signatures(draft, offset)[0])
    uses = [word for word in found if word.sort == "let" and not word.defines]
    for word in source.sample(uses, min(1, len(uses))):
        assert renamable(draft, word.span.start) == word
        assert renamed(draft, word, "fresh_name")[0].defines


@many
def test_spellings_are_the_same_tree(number: int, seed: int) -> None:
    source = case("spelling", seed, number)
    tree = typed_tree(source)
    assert parse(respelled(source, tree)) == tree


@many
def test_expressions(number: int, seed: int) -> None:
    source = case("expression", seed, number)
    text = expression(source)
    try:
        tree = parse(text)
    except InputError as error:
        explained(error)
        return
    plain = format_expression(tree)
    assert parse(plain) == tree
    assert format_expression(parse(plain)) == plain
    proxy = expression_proxy(text)
    try:
        proxy.typed()
    except InputError as error:
        explained(error)
        return
    prints(proxy, source)
    assert parse(show(proxy, "unicode")) == tree


@many
def test_documents(number: int, seed: int) -> None:
    source = case("document", seed, number)
    data = document(source)
    try:
        text = decode(data, "a.proxy")
        edits(text, source)
        proxy = parse_document(text, "a.proxy")
    except InputError as error:
        explained(error)
        return
    plain = str(proxy)
    again = parse_document(plain)
    assert again == proxy
    assert str(again) == plain
    try:
        proxy.typed()
    except InputError as error:
        explained(error)
        return
    assert again.check().statistics == proxy.check().statistics
    prints(proxy, source)


def test_most_texts_are_right() -> None:
    """A fuzz that is refused at the door finds nothing behind it."""

    def right(text: str, number: int) -> bool:
        try:
            (expression_proxy(text) if number % 2 else parse_document(text)).typed()
        except InputError:
            return False
        return True

    texts = [
        expression(case("expression", 0, number)) if number % 2
        else document(case("document", 0, number)).decode("utf-8", "replace")
        for number in range(300)
    ]  # fmt: skip
    found = [right(text, number) for number, text in enumerate(texts)]
    assert 30 < sum(found[::2]) < 140
    assert 30 < sum(found[1::2]) < 140

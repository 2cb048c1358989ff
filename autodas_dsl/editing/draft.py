"""A document as it stands in an editor, right or wrong: its diagnostics, its lets, its kinds."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property

from autodas_dsl.language.check import check, kinds
from autodas_dsl.language.documents import decode, formulas_of, parse_document
from autodas_dsl.language.errors import Diagnostic, InputError
from autodas_dsl.language.kinds import AnyKind
from autodas_dsl.language.library import LIBRARY
from autodas_dsl.language.lines import Item, read_items
from autodas_dsl.language.proxy import Formula, Proxy
from autodas_dsl.language.spans import Source
from autodas_dsl.language.tree import Call, Expr, Name, walk

WORD = re.compile(r"[A-Za-zσ∑][A-Za-z0-9_ₛₜ]*")
HEAD = re.compile(r"(?P<item>let\s+(?P<let>[^\s=]+)|score)\s*=")


@dataclass(frozen=True)
class Draft:
    """The text of a document that is being written.

    Parameters
    ----------
    text : str
        With ``\\n`` line ends; see `draft`.
    stem : str or None
        The stem of its file, which the name must equal; None while it has no file.
    """

    text: str
    stem: str | None = None

    @cached_property
    def source(self) -> Source:
        return Source("document", self.text)

    @cached_property
    def _parsed(self) -> Proxy | tuple[Diagnostic, ...]:
        try:
            decoded = decode(self.text.encode("utf-8", "surrogatepass"), "the document")
            return parse_document(decoded, stem=self.stem)
        except InputError as error:
            return error.diagnostics

    @property
    def proxy(self) -> Proxy | None:
        """The document, or None while it is not well formed."""
        return self._parsed if isinstance(self._parsed, Proxy) else None

    @cached_property
    def diagnostics(self) -> tuple[Diagnostic, ...]:
        """Everything wrong with the text: of its form, or, where that is right, of its kinds."""
        found = self._parsed
        return tuple(found.check().diagnostics) if isinstance(found, Proxy) else found

    def formatted(self) -> str | None:
        """The canonical text, or None while the document is not well formed."""
        return str(self.proxy) if self.proxy else None

    @cached_property
    def formulas(self) -> list[Formula]:
        """The lets and the score, as far as they are well formed."""
        return [*self.proxy.lets, self.proxy.score] if self.proxy else formulas_of(self.text)

    def kinds(self) -> list[tuple[int, AnyKind]]:
        """The kinds of the lets and of the score, each with the offset where its name ends."""
        found = []
        known = kinds([(formula.name, formula.expr) for formula in self.formulas], LIBRARY)
        for formula, kind in zip(self.formulas, known, strict=True):
            item = self.item_at(formula.expr.span.start)
            head = item and HEAD.match(item.text)
            if item and head and kind is not None:
                found.append((item.span.start + head.end("item"), kind))
        return found

    @cached_property
    def items(self) -> list[Item]:
        """Headers, lets and the score, as far as lines can tell them."""
        return read_items(self.text)[0]

    def item_at(self, offset: int) -> Item | None:
        """The item whose lines hold an offset; its trailing blanks belong to it."""
        before = [item for item in self.items if item.span.start <= offset]
        if not before:
            return None
        gap = self.text[before[-1].span.end : offset]
        return before[-1] if "\n" not in gap or self._continues(offset) else None

    def _continues(self, offset: int) -> bool:
        line = self.text[self.text.rfind("\n", 0, offset) + 1 : offset]
        return line[:1] in (" ", "\t") and not line.strip()

    def formula_at(self, offset: int) -> Item | None:
        """The let or score whose expression holds an offset, unless it is inside a comment."""
        item = self.item_at(offset)
        if item is None:
            return None
        head = HEAD.match(item.text)
        line = self.text[self.text.rfind("\n", 0, offset) + 1 : offset]
        inside = head is not None and offset >= item.span.start + head.end()
        return item if inside and "#" not in line else None

    @cached_property
    def lets(self) -> dict[str, Item]:
        """Names of lets and the items that define them."""
        found: dict[str, Item] = {}
        for item in self.items:
            head = HEAD.match(item.text)
            if head and head.group("let"):
                found.setdefault(head.group("let"), item)
        return found

    def kind_at(self, offset: int) -> AnyKind | None:
        """The kind of the smallest named value at an offset, where its formula is well formed."""
        scope: list[tuple[str, Expr]] = []
        for formula in self.formulas:
            node = _smallest(formula, offset)
            if node is not None:
                return check(node, tuple(scope), LIBRARY).kind
            scope.append((formula.name, formula.expr))
        return None


def draft(text: str, stem: str | None = None) -> Draft:
    """A draft of a text with any line ends."""
    return Draft(text.replace("\r\n", "\n").replace("\r", "\n"), stem)


def _smallest(formula: Formula, offset: int) -> Expr | None:
    """The innermost name, or call by its name or sign, that holds an offset."""
    found = None
    for node in walk(formula.expr):
        span = node.span
        if isinstance(node, Call) and node.head is not None:
            span = node.head
        inside = span.start <= offset <= span.end
        if inside and isinstance(node, Name | Call):
            found = node
    return found

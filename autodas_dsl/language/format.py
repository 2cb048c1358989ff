"""Surface tree to canonical text, by the notation in each operator's entry.

Formatting never changes the tree.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, NamedTuple, TypeVar

from autodas_dsl.language.operators import (
    LEVELS,
    OPERATORS,
    Attrs,
    Operator,
    format_number,
    format_value,
)
from autodas_dsl.language.spans import Span
from autodas_dsl.language.tree import Call, Expr, Name, Number, PairOf, children

WIDTH = 88
INDENT = "    "
_BARS = ("|", "‖")

Node = TypeVar("Node")


def format_attrs(attrs: Attrs) -> str:
    """``[T=8]``, ``[B]``, or nothing."""
    if not attrs:
        return ""
    return (
        f"[{', '.join(f'{key}={format_value(v)}' if key else format_value(v) for key, v in attrs)}]"
    )


class Part(NamedTuple):
    """A printed part and how tightly it holds together.

    In a template, ``{0:product}`` puts it in parentheses when it holds together less tightly than
    a product.
    """

    text: str
    level: str = "atom"

    def __format__(self, floor: str) -> str:
        if not floor or self.level == "atom" or LEVELS.index(self.level) >= LEVELS.index(floor):
            return self.text
        return f"({self.text})"


class Printer(ABC, Generic[Node]):
    """Fills the templates of operators; a notation says which template, and how names look."""

    @abstractmethod
    def opened(self, node: Node) -> tuple[Expr, Sequence[Node]]:
        """A node as an expression, and what stands below it."""

    def template(self, entry: Operator) -> str:
        return entry.text

    def name(self, name: Name) -> str:
        plain = name.text + self.attrs(name.attrs)
        return f"{name.prefix}{self.attrs(name.prefix_attrs)} {plain}" if name.prefix else plain

    def attrs(self, attrs: Attrs) -> str:
        return format_attrs(attrs)

    def fields(self, below: Sequence[Node], parts: Sequence[Part]) -> Mapping[str, str]:
        """What else a template may name."""
        return {}

    def part(self, node: Node, in_bars: bool = False) -> Part:
        """One expression; directly inside bars no bars are written."""
        expr, below = self.opened(node)
        if isinstance(expr, Number):
            return Part(format_number(expr.value))
        if isinstance(expr, Name):
            return Part(self.name(expr))
        if isinstance(expr, PairOf):
            first, second = (self.part(child, in_bars) for child in below)
            return Part(f"[{first}, {second}]")
        attrs = self.attrs(expr.attrs)
        entry = OPERATORS.get(expr.op)
        # what is wrong must not be written as what is right: `max` of one argument is a reduction
        if entry is not None and len(below) == entry.arity:
            template = self.template(entry)
            bars = template.startswith(_BARS)
            if not (bars and in_bars) and (not attrs or "{attrs}" in template):
                parts = [self.part(child, in_bars or bars) for child in below]
                text = template.format(*parts, attrs=attrs, **self.fields(below, parts))
                return Part(text, entry.binds)
        inner = ", ".join(self.part(child, in_bars).text for child in below)
        return Part(f"{expr.op}{attrs}({inner})")


class _Canonical(Printer[Expr]):
    def opened(self, node: Expr) -> tuple[Expr, Sequence[Expr]]:
        return node, children(node)


_CANONICAL = _Canonical()


def format_expression(expr: Expr) -> str:
    """One line of canonical text.

    `parse` of the result is the same tree.
    """
    return _CANONICAL.part(expr).text


def written(entry: Operator) -> str:
    """An operator over the arguments of its signature, as the formatter prints it."""
    if entry.aligns:
        return format_expression(Call(entry.name, (PairOf(Name("a"), Name("b")),)))
    return format_expression(Call(entry.name, tuple(map(Name, entry.letters[: entry.arity]))))


@dataclass(frozen=True, slots=True)
class Comment:
    """A ``# …`` inside a formula: its text, its place, and whether code stands before it."""

    text: str
    offset: int
    trailing: bool


def binding(expr: Expr) -> str:
    """Which of `LEVELS` the operator of an expression binds at."""
    entry = OPERATORS.get(expr.op) if isinstance(expr, Call) else None
    return "atom" if entry is None else entry.binds


def unsigned(expr: Expr) -> Expr:
    """What stands behind a minus sign; without one the expression itself."""
    return expr.args[0] if isinstance(expr, Call) and binding(expr) == "unary" else expr


def terms(expr: Expr) -> list[tuple[str, Expr]]:
    """The terms of a sum with their signs, ``+`` before the first; one term if it is no sum."""
    found: list[tuple[str, Expr]] = []
    while isinstance(expr, Call) and not expr.attrs and binding(expr) == "sum":
        found.append((OPERATORS[expr.op].infix, expr.args[1]))
        expr = expr.args[0]
    found.append(("+", expr))
    return found[::-1]


def format_item(head: str, expr: Expr, comments: tuple[Comment, ...] = ()) -> str:
    """``head = expression``, flat to 88 columns, else one leading-operator term per line.

    A comment inside the formula forces the broken layout and stays with its term.
    """
    flat = f"{head} = {format_expression(expr)}"
    parts = terms(expr)
    if not comments and (len(flat) <= WIDTH or len(parts) == 1):
        return flat
    above, beside = _place(comments, [part.span for _, part in parts])
    lines = [f"{head} ="]
    for number, (sign, part) in enumerate(parts):
        lines += [INDENT + text for text in above[number]]
        text = format(_CANONICAL.part(part), "product" if number else "")
        lead = "" if number == 0 else f"{sign} "
        tail = f"  {beside[number]}" if number in beside else ""
        lines.append(f"{INDENT}{lead}{text}{tail}")
    lines += [INDENT + text for text in above[len(parts)]]
    return "\n".join(lines)


def _place(
    comments: tuple[Comment, ...], spans: list[Span]
) -> tuple[list[list[str]], dict[int, str]]:
    """Which comments stand above each term (and below the last), and which beside it."""
    above: list[list[str]] = [[] for _ in range(len(spans) + 1)]
    beside: dict[int, str] = {}
    for comment in comments:
        started = sum(1 for span in spans if span.start < comment.offset)
        term = max(0, started - 1)
        inside = comment.offset < spans[term].end
        if comment.trailing and started and not inside and term not in beside:
            beside[term] = comment.text
        elif inside:
            above[term].append(comment.text)
        else:
            above[started].append(comment.text)
    return above, beside

"""Let names: put in their places, and taken out again."""

from __future__ import annotations

from collections.abc import Mapping

from autodas_dsl.language.errors import InputError
from autodas_dsl.language.tree import (
    Expr,
    Name,
    children,
    complexity,
    transform,
    walk,
    with_children,
)

Lets = tuple[tuple[str, Expr], ...]
MAX_NODES = 4096


def inlined(score: Expr, lets: Lets) -> Expr:
    """A formula with its let names replaced by what they stand for.

    Raises
    ------
    InputError
        E811 when the result would have more than 4,096 nodes: lets that double each other.
    """
    bodies: dict[str, Expr] = {}
    for name, body in lets:
        bodies[name] = _put(body, bodies)
    return _put(score, bodies)


def _put(expr: Expr, bodies: Mapping[str, Expr]) -> Expr:
    sizes = [
        complexity(bodies[node.text]) if _is_let(node, bodies) else 1  # type: ignore[union-attr]
        for node in walk(expr)
    ]
    if sum(sizes) > MAX_NODES:
        raise InputError("E811", f"the formula has more than {MAX_NODES} nodes with its lets "
                         "put in their places", "simplify its parts one by one")  # fmt: skip
    return transform(
        expr,
        lambda node: (
            bodies[node.text] if isinstance(node, Name) and _is_let(node, bodies) else node
        ),
    )


def _is_let(node: Expr, bodies: Mapping[str, Expr]) -> bool:
    return isinstance(node, Name) and not node.prefix and node.text in bodies


def fold_lets(expr: Expr, lets: Lets) -> tuple[Lets, Expr]:
    """The lets whose bodies still occur, and the formula that uses them.

    A let whose body was simplified away is dropped.
    """
    kept: list[tuple[str, Expr]] = []
    bodies: dict[str, Expr] = {}
    known: dict[Expr, Name] = {}
    for name, body in lets:
        bodies[name] = _put(body, bodies)
        if complexity(bodies[name]) > 1:
            known.setdefault(bodies[name], Name(name))
    for body, symbol in known.items():
        if any(node == body for node in walk(expr)):
            inner = {b: n for b, n in known.items() if complexity(b) < complexity(body)}
            kept.append((symbol.text, _take(body, inner)))
    return tuple(kept), _take(expr, known)


def _take(expr: Expr, known: Mapping[Expr, Name]) -> Expr:
    """Replace known parts by their names, the largest first."""
    if expr in known:
        return known[expr]
    parts = tuple(_take(part, known) for part in children(expr))
    return with_children(expr, parts) if parts != children(expr) else expr

"""Paths in trees: child numbers from the root."""

from __future__ import annotations

from collections.abc import Iterator

from autodas_dsl.language.tree import Expr, children, with_children

Path = tuple[int, ...]


def positions(expr: Expr) -> Iterator[tuple[Path, Expr]]:
    """Every subtree with its path (child numbers from the root), parents first, left to right."""
    stack: list[tuple[Path, Expr]] = [((), expr)]
    while stack:
        path, node = stack.pop()
        yield path, node
        inner = children(node)
        stack.extend(((*path, i), inner[i]) for i in range(len(inner) - 1, -1, -1))


def at(expr: Expr, path: Path) -> Expr:
    """The subtree at a path."""
    for i in path:
        expr = children(expr)[i]
    return expr


def put(expr: Expr, path: Path, new: Expr) -> Expr:
    """The tree with the subtree at a path replaced."""
    if not path:
        return new
    inner = list(children(expr))
    inner[path[0]] = put(inner[path[0]], path[1:], new)
    return with_children(expr, tuple(inner))

"""Kinds of surface trees, fast enough to ask about every node of every offspring.

The rules are the checker's own (`language.check.apply_kinds`); only their answers are kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from autodas_dsl.language.check import AnyKind, apply_kinds
from autodas_dsl.language.inputs import kind_of
from autodas_dsl.language.kinds import NUMBER, Kind, KindError, Pair, Requirement
from autodas_dsl.language.operators import OPERATORS, Attrs
from autodas_dsl.language.resolve import Fault, operator_values, statistic_named
from autodas_dsl.language.spans import Span
from autodas_dsl.language.tree import Call, Expr, Name, Number, children, with_children

Path = tuple[int, ...]
Allowed = Callable[[Requirement], bool]
Signature = tuple[object, ...]

_NOWHERE = Span(0, 0)


def never(requirement: Requirement) -> bool:
    """No requirement is known to hold."""
    return False


def signature(kind: AnyKind) -> Signature:
    """A kind without its sizes: what may stand where."""
    if isinstance(kind, Pair):
        return ("pair", signature(kind.first), signature(kind.second))
    return (kind.layers, kind.names)


class Typing:
    """Kinds of trees whose requirements all hold.

    Parameters
    ----------
    allowed : callable
        Whether a requirement such as ``C_s = C_t`` holds for the networks at hand.
    """

    def __init__(self, allowed: Allowed = never) -> None:
        self._allowed = allowed
        self._calls: dict[tuple[str, Attrs, tuple[AnyKind, ...]], AnyKind | None] = {}
        self._names: dict[Name, Kind | None] = {}

    def call(self, op: str, attrs: Attrs, kinds: tuple[AnyKind, ...]) -> AnyKind | None:
        """The kind of a call, or None when it does not check or needs what does not hold."""
        key = (op, attrs, kinds)
        if key not in self._calls:
            self._calls[key] = self._apply(op, attrs, kinds)
        return self._calls[key]

    def _apply(self, op: str, attrs: Attrs, kinds: tuple[AnyKind, ...]) -> AnyKind | None:
        needed: list[Requirement] = []
        entry = OPERATORS[op]
        try:
            values = operator_values(entry, attrs, _NOWHERE)
            found = apply_kinds(entry, list(kinds), values, needed.append, _NOWHERE)
        except (Fault, KindError):
            return None
        return found if all(map(self._allowed, needed)) else None

    def name(self, name: Name) -> Kind | None:
        """The kind of a statistic, or None when the name denotes none."""
        if name not in self._names:
            try:
                statistic = statistic_named(name)
            except Fault:
                statistic = None
            self._names[name] = None if statistic is None else kind_of(statistic)
        return self._names[name]

    def kind(self, expr: Expr) -> AnyKind | None:
        """The kind of a tree, or None when it does not check."""
        return self.kinds(expr).get(())

    def kinds(self, expr: Expr) -> dict[Path, AnyKind]:
        """The kind of every subtree by its path; those that do not check are missing."""
        found: dict[Path, AnyKind] = {}
        for path, node in reversed(list(positions(expr))):
            kind = self._node(node, path, found)
            if kind is not None:
                found[path] = kind
        return found

    def _node(self, node: Expr, path: Path, found: dict[Path, AnyKind]) -> AnyKind | None:
        if isinstance(node, Number):
            return NUMBER
        if isinstance(node, Name):
            return self.name(node)
        inner = [found.get((*path, i)) for i in range(len(children(node)))]
        known = tuple(kind for kind in inner if kind is not None)
        if len(known) < len(inner):
            return None
        if isinstance(node, Call):
            return self.call(node.op, node.attrs, known)
        first, second = known
        if isinstance(first, Pair) or isinstance(second, Pair):
            return None
        return Pair(first, second)


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

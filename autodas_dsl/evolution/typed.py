"""Kinds of surface trees, fast enough to ask about every node of every offspring.

The rules are the checker's own (`language.check.apply_kinds`); only their answers are kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from autodas_dsl.language.check import AnyKind, apply_kinds
from autodas_dsl.language.inputs import kind_of
from autodas_dsl.language.kinds import NUMBER, KindError, Pair, Requirement, Size, product
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

    Equal kinds that it gives out are one object, so that its tables are keyed by identity: hashing
    a kind means hashing all its symbolic sizes.

    Parameters
    ----------
    allowed : callable
        Whether a requirement such as ``C_s = C_t`` holds for the networks at hand.
    """

    def __init__(self, allowed: Allowed = never) -> None:
        self._allowed = allowed
        self._kinds: dict[AnyKind, AnyKind] = {}
        self._calls: dict[tuple[str, Attrs, tuple[int, ...]], AnyKind | None] = {}
        self._misfits: set[tuple[str, Attrs, tuple[Signature, ...]]] = set()
        self._names: dict[Name, AnyKind | None] = {}
        self._pairs: dict[tuple[int, int], AnyKind] = {}
        self._holds: dict[Requirement, bool] = {}
        self.number = self.one(NUMBER)

    def one(self, kind: AnyKind) -> AnyKind:
        """The one object that stands for all kinds equal to this one."""
        return self._kinds.setdefault(kind, kind)

    def call(self, op: str, attrs: Attrs, kinds: tuple[AnyKind, ...]) -> AnyKind | None:
        """The kind of a call, or None when it does not check or needs what does not hold.

        Parameters
        ----------
        kinds : kinds that this object gave out
        """
        key = (op, attrs, tuple(map(id, kinds)))
        if key not in self._calls:
            found = self._apply(op, attrs, kinds)
            self._calls[key] = None if found is None else self.one(found)
        return self._calls[key]

    def _apply(self, op: str, attrs: Attrs, kinds: tuple[AnyKind, ...]) -> AnyKind | None:
        shape = (op, attrs, tuple(map(signature, kinds)))
        if shape in self._misfits:
            return None
        needed: list[Requirement] = []
        entry = OPERATORS[op]
        try:
            values = operator_values(entry, attrs, _NOWHERE)
            found = apply_kinds(entry, list(kinds), values, needed.append, _NOWHERE)
        except (Fault, KindError):
            self._misfits.add(shape)  # sizes alone never decide this: they give requirements
            return None
        needed += _divisible(found)
        return found if all(map(self._hold, needed)) else None

    def _hold(self, requirement: Requirement) -> bool:
        if requirement not in self._holds:
            self._holds[requirement] = self._allowed(requirement)
        return self._holds[requirement]

    def name(self, name: Name) -> AnyKind | None:
        """The kind of a statistic, or None when the name denotes none."""
        if name not in self._names:
            try:
                statistic = statistic_named(name)
            except Fault:
                statistic = None
            self._names[name] = None if statistic is None else self.one(kind_of(statistic))
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
            return self.number
        if isinstance(node, Name):
            return self.name(node)
        inner = [found.get((*path, i)) for i in range(len(children(node)))]
        known = tuple(kind for kind in inner if kind is not None)
        if len(known) < len(inner):
            return None
        if isinstance(node, Call):
            return self.call(node.op, node.attrs, known)
        return self._pair(known[0], known[1])

    def _pair(self, first: AnyKind, second: AnyKind) -> AnyKind | None:
        if isinstance(first, Pair) or isinstance(second, Pair):
            return None
        key = (id(first), id(second))
        if key not in self._pairs:
            self._pairs[key] = self.one(Pair(first, second))
        return self._pairs[key]


def _divisible(kind: AnyKind) -> list[Requirement]:
    """What must hold so that no size was rounded down, perhaps to nothing."""
    if isinstance(kind, Pair):
        return _divisible(kind.first) + _divisible(kind.second)
    return [
        Requirement(product([size, divisor]), whole, kind.layers)
        for axis in kind.axes
        for size in _quotients(axis.size)
        for whole, divisor in [[part for part in size.args if isinstance(part, Size)]]
    ]


def _quotients(size: Size) -> list[Size]:
    inner = [found for arg in size.args if isinstance(arg, Size) for found in _quotients(arg)]
    return [size, *inner] if size.op == "div" else inner


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

"""Variation: from one or two formulas a new one that checks.

Each operator of variation is a function of a `Varier`, a stream and a tree; it returns None when
it found nothing to change. What it returns is one number, within the size limit, plausible, and
its pairs are in step.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from autodas_dsl.evolution.generate import Generator, Value
from autodas_dsl.evolution.identity import settled
from autodas_dsl.evolution.pairs import is_leaf_pair
from autodas_dsl.evolution.paths import Path, at, positions, put
from autodas_dsl.evolution.plausible import plausible, risky
from autodas_dsl.evolution.vocabulary import CONSTANTS, attributes
from autodas_dsl.execution.randomness import Stream
from autodas_dsl.language.infer import signature
from autodas_dsl.language.kinds import NUMBER, AnyKind
from autodas_dsl.language.operators import OPERATORS
from autodas_dsl.language.tree import Call, Expr, Number, children, complexity
from autodas_dsl.language.typed import Typed

_TRIES = 8
_PART = (1, 6)
_STEP = 0.3


class Varier:
    """Everything that variation needs to know."""

    def __init__(self, generator: Generator) -> None:
        self.generator = generator
        self.typing = generator.typing
        self.max_complexity = generator.max_complexity

    def valid(self, expr: Expr) -> bool:
        """Whether a tree is a formula that this search may hold."""
        return (
            complexity(expr) <= self.max_complexity
            and plausible(expr)
            and self.typing.kind(expr) == NUMBER
        )

    def kinds(self, expr: Expr) -> dict[Path, AnyKind]:
        """The kind of every subtree by its path; empty when the tree does not check."""
        root = self.typing.typed(expr)
        found: dict[Path, AnyKind] = {}
        stack: list[tuple[Path, Typed]] = [((), root)] if root is not None else []
        while stack:
            path, node = stack.pop()
            found[path] = node.kind
            stack.extend(((*path, i), child) for i, child in enumerate(node.children))
        return found

    def mutated(self, stream: Stream, expr: Expr) -> Expr:
        """A formula one mutation away; a fresh one where no mutation applies."""
        names = list(MUTATIONS)
        weights = [weight for _, weight in MUTATIONS.values()]
        for _ in range(4 * _TRIES):
            mutate = MUTATIONS[stream.weighted(names, weights)][0]
            found = mutate(self, stream, expr)
            if found is not None and found != expr:
                return found
        return self.generator.formula(stream)

    def crossed(self, stream: Stream, first: Expr, second: Expr) -> Expr:
        """The first formula with a part of the second; mutated where no part fits."""
        found = crossover(self, stream, first, second)
        return found if found is not None else self.mutated(stream, first)

    def settled(self, expr: Expr) -> Expr | None:
        """The tree in step, or None when it is no formula for this search."""
        found = settled(expr)
        return found if self.valid(found) else None


def places(expr: Expr) -> list[tuple[Path, Expr]]:
    """The subtrees that variation may touch: leaf pairs as a whole."""
    found = []
    inside: set[Path] = set()
    for path, node in positions(expr):
        if path and path[:-1] in inside:
            continue
        if is_leaf_pair(node):
            inside.add(path)
        found.append((path, node))
    return found


def crossover(vary: Varier, stream: Stream, first: Expr, second: Expr) -> Expr | None:
    """A subtree of the first formula replaced by one of the second of the same signature."""
    kinds, donor_kinds = vary.kinds(first), vary.kinds(second)
    donors = places(second)
    for path, node in stream.sample(places(first), _TRIES):
        wanted = signature(kinds[path])
        fitting = [d for p, d in donors if d != node and signature(donor_kinds[p]) == wanted]
        if fitting:
            found = vary.settled(put(first, path, stream.pick(fitting)))
            if found is not None and found not in (first, second):
                return found
    return None


def redraw_part(vary: Varier, stream: Stream, expr: Expr) -> Expr | None:
    """A subtree replaced by a random one of the same signature."""
    path, node = stream.pick(places(expr))
    room = vary.max_complexity - complexity(expr) + complexity(node)
    low, high = _PART
    size = min(room, complexity(node) + stream.between(low, high) - 2)
    wanted = signature(vary.kinds(expr)[path])
    part = vary.generator.part(stream, wanted, max(1, size))
    return None if part is None else vary.settled(put(expr, path, part))


def change_node(vary: Varier, stream: Stream, expr: Expr) -> Expr | None:
    """An operator replaced by another over the same arguments."""
    calls = [(p, n) for p, n in places(expr) if isinstance(n, Call)]
    if not calls:
        return None
    path, call = stream.pick(calls)
    if len(call.args) == 1:
        below = (*path, 0)
        inner = vary.kinds(expr)[below]
        taken = vary.generator.redrawn(stream, call, inner)
        return None if taken is None else vary.settled(put(expr, path, taken))
    others = [op.name for op in vary.generator.vocabulary.binary if op.name != call.op]
    if not others or call.attrs:
        return None
    return vary.settled(put(expr, path, replace(call, op=stream.pick(others))))


def change_leaf(vary: Varier, stream: Stream, expr: Expr) -> Expr | None:
    """A statistic, or a pair of them, replaced by another of the same signature."""
    kinds = vary.kinds(expr)
    leaves = vary.generator.vocabulary.leaves
    ends = [(p, n) for p, n in places(expr) if n in leaves or not children(n)]
    path, node = stream.pick(ends)
    wanted = signature(kinds[path])
    fitting = [
        leaf for leaf in leaves if leaf != node and signature(vary.generator.kind(leaf)) == wanted
    ]
    return vary.settled(put(expr, path, stream.pick(fitting))) if fitting else None


def change_attribute(vary: Varier, stream: Stream, expr: Expr) -> Expr | None:
    """An axis, a temperature or another attribute redrawn."""
    calls = [
        (p, n) for p, n in places(expr) if isinstance(n, Call) and len(attributes(OPERATORS[n.op])) > 1
    ]  # fmt: skip
    if not calls:
        return None
    path, call = stream.pick(calls)
    options = [attrs for attrs in attributes(OPERATORS[call.op]) if attrs != call.attrs]
    return vary.settled(put(expr, path, replace(call, attrs=stream.pick(options))))


def change_constant(vary: Varier, stream: Stream, expr: Expr) -> Expr | None:
    """A literal replaced by a usual one, halved, doubled, or moved by about a third."""
    literals = [(p, n) for p, n in places(expr) if isinstance(n, Number)]
    if not literals:
        return None
    path, number = stream.pick(literals)
    moved = number.value * 2.0 ** (_STEP * stream.normal())
    value = stream.pick((stream.pick(CONSTANTS), number.value * 2, number.value / 2, moved))
    return vary.settled(put(expr, path, Number(float(f"{value:.3g}"))))


def insert(vary: Varier, stream: Stream, expr: Expr) -> Expr | None:
    """An operator put around a subtree, whose signature it keeps."""
    path, node = stream.pick(places(expr))
    kind = vary.kinds(expr)[path]
    if stream.chance(0.4):
        joined = vary.generator.with_partner(stream, Value(node, kind))
        return None if joined is None else vary.settled(put(expr, path, joined.expr))
    options = [
        move for move in vary.generator.moves(kind) if move.keeps and not risky(move.op.name, node)
    ]
    if not options:
        return None
    return vary.settled(put(expr, path, stream.pick(options).to(node)))


def delete(vary: Varier, stream: Stream, expr: Expr) -> Expr | None:
    """An operator taken away: one of its arguments in its place."""
    calls = [(p, n) for p, n in places(expr) if isinstance(n, Call)]
    if not calls:
        return None
    path, call = stream.pick(calls)
    return vary.settled(put(expr, path, stream.pick(call.args)))


def hoist(vary: Varier, stream: Stream, expr: Expr) -> Expr | None:
    """A part that is a number of its own, alone."""
    kinds = vary.kinds(expr)
    parts = [
        node
        for path, node in places(expr)
        if path and kinds[path] == NUMBER and not isinstance(node, Number)
    ]
    return vary.settled(stream.pick(parts)) if parts else None


def join(vary: Varier, stream: Stream, expr: Expr) -> Expr | None:
    """Another term added to the formula, or multiplied with it."""
    room = vary.max_complexity - complexity(expr) - 1
    joins = [op for op in ("add", "mul") if op in vary.generator.vocabulary.operators]
    if room < 2 or not joins:
        return None
    term = vary.generator.term(stream, min(room, stream.between(3, 9)))
    return None if term is None else vary.settled(Call(stream.pick(joins), (expr, term)))


def shift(vary: Varier, stream: Stream, expr: Expr) -> Expr | None:
    """Two parts of the formula of one signature exchanged."""
    kinds = vary.kinds(expr)
    path, node = stream.pick(places(expr))
    others = [
        (p, n)
        for p, n in places(expr)
        if n != node
        and signature(kinds[p]) == signature(kinds[path])
        and not _within(p, path)
        and not _within(path, p)
    ]
    if not others:
        return None
    other, part = stream.pick(others)
    return vary.settled(put(put(expr, path, part), other, at(expr, path)))


def _within(inner: Path, outer: Path) -> bool:
    return inner[: len(outer)] == outer


Mutation = Callable[[Varier, Stream, Expr], "Expr | None"]

MUTATIONS: dict[str, tuple[Mutation, float]] = {
    "redraw": (redraw_part, 2.0),
    "node": (change_node, 3.0),
    "leaf": (change_leaf, 2.0),
    "attribute": (change_attribute, 1.0),
    "constant": (change_constant, 1.0),
    "insert": (insert, 2.0),
    "delete": (delete, 2.0),
    "hoist": (hoist, 0.5),
    "join": (join, 1.0),
    "shift": (shift, 0.5),
}

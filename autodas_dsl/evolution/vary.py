"""Variation: from one or two formulas a new one that checks.

Each operator of variation is a function of a `Varier`, a stream and a tree; it returns None when
it found nothing to change. What it returns is one number, within the size limit, plausible, and
its pairs are in step.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from autodas_dsl.evolution.generate import Generator, Value
from autodas_dsl.evolution.identity import is_leaf_pair, settled
from autodas_dsl.evolution.plausible import plausible, risky
from autodas_dsl.evolution.vocabulary import CONSTANTS, attributes
from autodas_dsl.execution.randomness import Stream
from autodas_dsl.language.infer import Signature, signature
from autodas_dsl.language.kinds import NUMBER, AnyKind
from autodas_dsl.language.operators import OPERATORS
from autodas_dsl.language.resolve import statistic_of
from autodas_dsl.language.tree import Call, Expr, Number, Path, children, complexity, put
from autodas_dsl.language.typed import Typed

_TRIES = 8
_PART = (1, 6)
_STEP = 0.3


@dataclass(frozen=True, slots=True)
class Place:
    """A part of a formula: the child numbers from the root, the part, and its kind."""

    path: Path
    expr: Expr
    kind: AnyKind

    @property
    def signature(self) -> Signature:
        return signature(self.kind)

    def overlaps(self, other: Place) -> bool:
        """Whether one of the two holds the other."""
        return all(a == b for a, b in zip(self.path, other.path, strict=False))


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

    def places(self, expr: Expr) -> list[Place]:
        """The parts that variation may touch, parents first: leaves as a whole."""
        root = self.typing.typed(expr)
        found: list[Place] = []
        stack: list[tuple[Path, Typed]] = [((), root)] if root is not None else []
        while stack:
            path, node = stack.pop()
            found.append(Place(path, node.expr, node.kind))
            if not _is_leaf(node.expr):
                inner = [((*path, i), child) for i, child in enumerate(node.children)]
                stack.extend(reversed(inner))
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

    def put(self, expr: Expr, place: Place, new: Expr | None) -> Expr | None:
        """The formula with another part at a place, or None where there is none or it is none."""
        return None if new is None else self.settled(put(expr, place.path, new))


def crossover(vary: Varier, stream: Stream, first: Expr, second: Expr) -> Expr | None:
    """A subtree of the first formula replaced by one of the second of the same signature."""
    donors = vary.places(second)
    for place in stream.sample(vary.places(first), _TRIES):
        fitting = [
            d.expr for d in donors if d.expr != place.expr and d.signature == place.signature
        ]
        if fitting:
            found = vary.put(first, place, stream.pick(fitting))
            if found is not None and found not in (first, second):
                return found
    return None


def redraw_part(vary: Varier, stream: Stream, expr: Expr) -> Expr | None:
    """A subtree replaced by a random one of the same signature."""
    place = stream.pick(vary.places(expr))
    size = complexity(place.expr)
    room = vary.max_complexity - complexity(expr) + size
    low, high = _PART
    size = min(room, size + stream.between(low, high) - 2)
    return vary.put(expr, place, vary.generator.part(stream, place.signature, max(1, size)))


def change_node(vary: Varier, stream: Stream, expr: Expr) -> Expr | None:
    """An operator replaced by another over the same arguments."""
    found = _call(vary, stream, expr)
    if found is None:
        return None
    place, call = found
    if len(call.args) == 1:
        kind = vary.typing.kind(call.args[0])
        assert kind is not None  # the formula checks
        return vary.put(expr, place, vary.generator.redrawn(stream, call, kind))
    others = [op.name for op in vary.generator.vocabulary.binary if op.name != call.op]
    if not others or call.attrs:
        return None
    return vary.put(expr, place, replace(call, op=stream.pick(others)))


def _call(vary: Varier, stream: Stream, expr: Expr, choices: int = 1) -> tuple[Place, Call] | None:
    """One of the calls that can have at least so many different attributes."""
    calls = [
        (place, place.expr)
        for place in vary.places(expr)
        if isinstance(place.expr, Call)
        and not _is_leaf(place.expr)
        and len(attributes(OPERATORS[place.expr.op])) >= choices
    ]
    return stream.pick(calls) if calls else None


def _is_leaf(expr: Expr) -> bool:
    """Whether it is collected as one thing, or a pair of such: what is inside may not be."""
    return is_leaf_pair(expr) or statistic_of(expr) is not None


def change_leaf(vary: Varier, stream: Stream, expr: Expr) -> Expr | None:
    """A statistic, or a pair of them, replaced by another of the same signature."""
    leaves = vary.generator.vocabulary.leaves
    place = stream.pick([p for p in vary.places(expr) if _is_leaf(p.expr) or not children(p.expr)])
    fitting = [
        leaf
        for leaf in leaves
        if leaf != place.expr and signature(vary.generator.kind(leaf)) == place.signature
    ]
    return vary.put(expr, place, stream.pick(fitting)) if fitting else None


def change_attribute(vary: Varier, stream: Stream, expr: Expr) -> Expr | None:
    """An axis, a temperature or another attribute redrawn."""
    found = _call(vary, stream, expr, choices=2)
    if found is None:
        return None
    place, call = found
    options = [attrs for attrs in attributes(OPERATORS[call.op]) if attrs != call.attrs]
    return vary.put(expr, place, replace(call, attrs=stream.pick(options)))


def change_constant(vary: Varier, stream: Stream, expr: Expr) -> Expr | None:
    """A literal replaced by a usual one, halved, doubled, or moved by about a third."""
    literals = [(p, p.expr.value) for p in vary.places(expr) if isinstance(p.expr, Number)]
    if not literals:
        return None
    place, now = stream.pick(literals)
    moved = now * 2.0 ** (_STEP * stream.normal())
    value = stream.pick((stream.pick(CONSTANTS), now * 2, now / 2, moved))
    return vary.put(expr, place, Number(float(f"{value:.3g}")))


def insert(vary: Varier, stream: Stream, expr: Expr) -> Expr | None:
    """An operator put around a subtree, whose signature it keeps."""
    place = stream.pick(vary.places(expr))
    if stream.chance(0.4):
        joined = vary.generator.with_partner(stream, Value(place.expr, place.kind))
        return vary.put(expr, place, joined.expr if joined else None)
    options = [
        move
        for move in vary.generator.moves(place.kind)
        if move.keeps and not risky(move.op.name, place.expr)
    ]
    return vary.put(expr, place, stream.pick(options).to(place.expr)) if options else None


def delete(vary: Varier, stream: Stream, expr: Expr) -> Expr | None:
    """An operator taken away: one of its arguments in its place."""
    found = _call(vary, stream, expr)
    return None if found is None else vary.put(expr, found[0], stream.pick(found[1].args))


def hoist(vary: Varier, stream: Stream, expr: Expr) -> Expr | None:
    """A part that is a number of its own, alone."""
    parts = [
        place.expr
        for place in vary.places(expr)
        if place.path and place.kind == NUMBER and not isinstance(place.expr, Number)
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
    places = vary.places(expr)
    place = stream.pick(places)
    others = [
        other
        for other in places
        if other.expr != place.expr
        and other.signature == place.signature
        and not other.overlaps(place)
    ]
    if not others:
        return None
    other = stream.pick(others)
    return vary.put(put(expr, place.path, other.expr), other, place.expr)


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

"""Random formulas: typed terms about the student, typed comparisons with the teacher.

A term starts from a leaf and takes operators that its kind allows until it is one number. *Instinct*
terms start from a statistic of the student, ``mean(|logsoftmax(grad W)|_F)``; *interaction* terms
from a pair, ``KL(sigmoid([F_s, F_t]))``. Terms are joined by ``+`` and ``*``.
"""

from __future__ import annotations

from dataclasses import dataclass

from autodas_dsl.evolution.plausible import nested, plausible, redundant, risky
from autodas_dsl.evolution.vocabulary import CONSTANTS, Vocabulary, takes_constant
from autodas_dsl.execution.randomness import Stream
from autodas_dsl.language.infer import Signature, signature
from autodas_dsl.language.kinds import NUMBER, AnyKind, Kind, Pair
from autodas_dsl.language.operators import Attrs, Operator
from autodas_dsl.language.tree import Call, Expr, Number, complexity

ATTEMPTS = 200
_GROUP_WEIGHTS = {
    "elementwise": 1.0, "arithmetic": 1.0, "normalise": 1.2, "transform": 1.0, "spectral": 1.0,
    "distance": 1.5, "norm": 1.5, "reduction": 1.0,
}  # fmt: skip
_OPERATOR_WEIGHTS = {
    "median": 0.3, "patterns": 0.3, "angles": 0.3,  # slow
    "sum": 2.0, "mean": 2.0,
}  # fmt: skip
_LAYER_LIST = 2.0
_JOIN = 0.6
_COMPARISONS = 0.4
_PARTNER = 0.2
_KEEP = 0.6
_DEFAULT_AXIS = 0.6


@dataclass(frozen=True, slots=True)
class Move:
    """One operator of one argument, applied to a value of a known kind."""

    op: Operator
    attrs: Attrs
    result: AnyKind
    keeps: bool  # the signature of the value

    def to(self, value: Expr) -> Call:
        return Call(self.op.name, (value,), self.attrs)


@dataclass(frozen=True, slots=True)
class Value:
    """A tree on its way to being a term."""

    expr: Expr
    kind: AnyKind

    @property
    def op(self) -> str:
        return self.expr.op if isinstance(self.expr, Call) else ""


class Generator:
    """Random trees over a vocabulary; every tree it returns checks.

    Parameters
    ----------
    vocabulary : Vocabulary
    max_complexity : int
        Nodes that a formula may have.
    """

    def __init__(self, vocabulary: Vocabulary, max_complexity: int = 20) -> None:
        self.vocabulary = vocabulary
        self.typing = vocabulary.typing
        self.max_complexity = max_complexity
        self._moves: dict[int, tuple[Move, ...]] = {}  # by the identity of kinds, see `Typing`
        self._ways: dict[int, tuple[tuple[Move, int], ...]] = {}
        self._steps: dict[int, int | None] = {}

    # --- what can follow a value

    def moves(self, kind: AnyKind) -> tuple[Move, ...]:
        """Every operator of one argument that a value of this kind can take."""
        if id(kind) not in self._moves:
            found = (
                Move(op, attrs, result, signature(result) == signature(kind))
                for op, choices in self.vocabulary.unary
                if not _costly(op.name, kind)
                for attrs in choices
                if (result := self.typing.call(op.name, attrs, (kind,))) is not None
            )
            self._moves[id(kind)] = tuple(found)
        return self._moves[id(kind)]

    def steps(self, kind: AnyKind) -> int | None:
        """The fewest moves from a kind to one number, or None when no comparison fits a pair."""
        if isinstance(kind, Kind):
            return (1 if kind.axes else 0) + (1 if kind.layers else 0)
        if id(kind) not in self._steps:
            self._steps[id(kind)] = self._steps_of_pair(kind)
        return self._steps[id(kind)]

    def _steps_of_pair(self, kind: Pair) -> int | None:
        """One comparison, or something that makes the members comparable and a comparison."""
        here = self._after_comparison(kind)
        if here is not None:
            return 1 + here
        changed = {id(m.result): m.result for m in self.moves(kind)}.values()
        known = [self._after_comparison(result) for result in changed]
        return min((2 + n for n in known if n is not None), default=None)

    def _after_comparison(self, kind: AnyKind) -> int | None:
        """The steps that remain when a pair has been compared, or None when nothing compares it."""
        results = (
            self.typing.call(op.name, (), (kind,))
            for op, _ in self.vocabulary.unary
            if op.is_distance and isinstance(kind, Pair)
        )
        return next((self.steps(found) for found in results if found is not None), None)

    def _useful(self, kind: AnyKind) -> tuple[tuple[Move, int], ...]:
        """The moves from which a number can be reached, with the steps that remain after each."""
        if id(kind) not in self._ways:
            pairs = ((move, self.steps(move.result)) for move in self.moves(kind))
            self._ways[id(kind)] = tuple((move, n) for move, n in pairs if n is not None)
        return self._ways[id(kind)]

    # --- formulas

    def formula(self, stream: Stream, size: int | None = None) -> Expr:
        """A random formula: one number, no larger than the limit.

        Parameters
        ----------
        stream : Stream
        size : int, optional
            Nodes to aim for; drawn when not given.
        """
        for _ in range(ATTEMPTS):
            aim = size or self._size(stream)
            expr = self._sum(stream, aim)
            if expr is not None and complexity(expr) <= self.max_complexity and plausible(expr):
                return expr
        return self._smallest(stream)

    def _size(self, stream: Stream) -> int:
        """Nodes to aim for: the smaller of two draws."""
        low = min(4, self.max_complexity)
        return min(stream.between(low, self.max_complexity) for _ in range(2))

    def _smallest(self, stream: Stream) -> Expr:
        """The shortest way from a random leaf to a number."""
        for leaf in stream.shuffled(self.vocabulary.leaves):
            value = Value(leaf, self.kind(leaf))
            closed = self._close(stream, value, 0)
            if closed is not None and plausible(closed):
                return closed
        raise ValueError("no leaf of the vocabulary leads to a number")

    def kind(self, leaf: Expr) -> AnyKind:
        kind = self.typing.kind(leaf)
        if kind is None:
            raise ValueError(f"{leaf} does not check")
        return kind

    def _sum(self, stream: Stream, size: int) -> Expr | None:
        joins = [op for op in ("add", "mul") if op in self.vocabulary.operators]
        if size >= 9 and joins and stream.chance(_JOIN):
            left = stream.between(4, size - 5)
            first, second = self._sum(stream, left), self._sum(stream, size - 1 - left)
            if first is None or second is None:
                return first or second
            return Call(stream.pick(joins), (first, second))
        return self.term(stream, size)

    def term(self, stream: Stream, size: int) -> Expr | None:
        """One term of about `size` nodes, or None when the walk led nowhere."""
        leaf = self._leaf(stream)
        value = self._walk(stream, Value(leaf, self.kind(leaf)), size - complexity(leaf))
        return self._close(stream, value, size - complexity(value.expr))

    def _leaf(self, stream: Stream) -> Expr:
        """A pair for a comparison, or a statistic of the student."""
        vocabulary = self.vocabulary
        if vocabulary.terms == "both" and vocabulary.pairs:
            compare = stream.chance(_COMPARISONS)
            return stream.pick(vocabulary.pairs) if compare else self._own(stream)
        if vocabulary.terms == "interaction":
            return stream.pick(vocabulary.pairs)
        return self._own(stream)

    def _own(self, stream: Stream) -> Expr:
        """A statistic of the student; layer lists more often, for there is more to do with them."""
        own = self.vocabulary.own
        weights = [
            _LAYER_LIST if isinstance(kind := self.kind(leaf), Kind) and kind.layers else 1.0
            for leaf in own
        ]
        return stream.weighted(own, weights)

    def _walk(self, stream: Stream, value: Value, room: int) -> Value:
        """Random operators while there is room to end in a number."""
        while True:
            left = room - (self.steps(value.kind) or 0)
            if left <= 0 or (value.kind == NUMBER and stream.chance(0.5)):
                return value
            grown = self._grown(stream, value, left)
            if grown is None:
                return value
            room -= complexity(grown.expr) - complexity(value.expr)
            value = grown

    def _grown(self, stream: Stream, value: Value, left: int) -> Value | None:
        if left >= 2 and stream.chance(_PARTNER):
            joined = self.with_partner(stream, value)
            if joined is not None:
                return joined
        keep = stream.chance(_KEEP)
        near = self.steps(value.kind) or 0
        options = [
            move
            for move, after in self._useful(value.kind)
            if move.keeps == keep
            and after - near + 1 <= left
            and not nested(move.op.name, value.op)
            and not risky(move.op.name, value.expr)
        ]
        return self._taken(stream, value, options)

    def _taken(self, stream: Stream, value: Value, options: list[Move]) -> Value | None:
        if not options:
            return None
        by_op: dict[str, list[Move]] = {}
        for move in options:
            by_op.setdefault(move.op.name, []).append(move)
        names = list(by_op)
        weights = [
            _OPERATOR_WEIGHTS.get(name, 1.0) * _GROUP_WEIGHTS[by_op[name][0].op.group]
            for name in names
        ]
        choices = by_op[stream.weighted(names, weights)]
        plain = choices[0] if not choices[0].attrs else None
        move = plain if plain and stream.chance(_DEFAULT_AXIS) else stream.pick(choices)
        return Value(move.to(value.expr), move.result)

    def _close(self, stream: Stream, value: Value, room: int) -> Expr | None:
        """The tree ended in one number, by the fewest moves."""
        while value.kind != NUMBER:
            near = self.steps(value.kind)
            if near is None:
                return None
            options = [move for move, after in self._useful(value.kind) if after == near - 1]
            taken = self._taken(stream, value, options)
            if taken is None:
                return None
            value = taken
        return value.expr

    # --- parts

    def with_partner(self, stream: Stream, value: Value) -> Value | None:
        """The value combined with a constant or with a leaf that fits, by a binary operator."""
        if not self.vocabulary.binary:
            return None
        entry = stream.pick(self.vocabulary.binary)
        other = self.partner(stream, entry, value.kind)
        if other is None:
            return None
        sides = (value, other) if entry.binds == "power" or stream.chance(0.5) else (other, value)
        kind = self.typing.call(entry.name, (), (sides[0].kind, sides[1].kind))
        if kind is None or self.steps(kind) is None:
            return None
        call = Call(entry.name, (sides[0].expr, sides[1].expr))
        return None if redundant(call) else Value(call, kind)

    def partner(self, stream: Stream, entry: Operator, kind: AnyKind) -> Value | None:
        """Something that an operator may combine with a value of this kind."""
        if entry.binds == "power" or (takes_constant(entry) and stream.chance(0.4)):
            return Value(Number(stream.pick(CONSTANTS)), self.typing.number)
        wanted = kind.first if isinstance(kind, Pair) and stream.chance(0.5) else kind
        fitting = [
            Value(leaf, found)
            for leaf in self.vocabulary.leaves
            if (found := self.typing.kind(leaf)) is not None and _alike(found, wanted)
        ]
        return stream.pick(fitting) if fitting else None

    def part(self, stream: Stream, wanted: Signature, size: int) -> Expr | None:
        """A random tree of a wanted signature and about `size` nodes, or None.

        Parameters
        ----------
        wanted : Signature
            As `typed.signature` gives it; that of a number asks for a term.
        """
        if wanted == signature(NUMBER):
            return self.term(stream, size)
        for _ in range(20):
            leaf = stream.pick(self.vocabulary.leaves)
            value = Value(leaf, self.kind(leaf))
            seen = [value]
            for _ in range(max(0, size - complexity(leaf))):
                grown = self._grown(stream, value, size)
                if grown is None:
                    break
                value = grown
                seen.append(value)
            fitting = [v.expr for v in seen if signature(v.kind) == wanted]
            if fitting:
                return stream.pick(fitting)
        return None

    def redrawn(self, stream: Stream, call: Call, kind: AnyKind) -> Call | None:
        """The call of one argument with another operator or attributes, over the same argument.

        Parameters
        ----------
        call : Call
        kind : kind of its argument
        """
        now = self.typing.call(call.op, call.attrs, (kind,))
        options = [
            move
            for move in self.moves(kind)
            if now is not None
            and signature(move.result) == signature(now)
            and (move.op.name, move.attrs) != (call.op, call.attrs)
            and not risky(move.op.name, call.args[0])
        ]
        taken = self._taken(stream, Value(call.args[0], kind), options)
        if taken is None or not isinstance(taken.expr, Call) or redundant(taken.expr):
            return None
        return taken.expr


def _costly(op: str, kind: AnyKind) -> bool:
    """Whether an operator takes a thousand times longer than most: triples of rows per layer."""
    return op == "angles" and isinstance(kind, Kind) and kind.layers is not None


def _alike(found: AnyKind, wanted: AnyKind) -> bool:
    """Whether two kinds have the same layer list and share the axes of one of them."""
    if isinstance(found, Pair) or isinstance(wanted, Pair):
        return signature(found) == signature(wanted)
    return _broadcasts(found, wanted) or _broadcasts(wanted, found)


def _broadcasts(narrow: Kind, wide: Kind) -> bool:
    return narrow.layers == wide.layers and set(narrow.names) <= set(wide.names)

"""Typed random formulas: every operator, attribute and statistic, of every kind that checks.

A `Grower` asks a `pick` function for each choice, so that hypothesis (which shrinks) and a seeded
generator (which is fast) explore the same language.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from functools import cache
from typing import TypeVar

from hypothesis import strategies as st

from autodas_dsl.language.check import kind_of_expression
from autodas_dsl.language.errors import Fault
from autodas_dsl.language.infer import apply
from autodas_dsl.language.kinds import NUMBER, AnyKind, Axis, Kind, Pair, symbol
from autodas_dsl.language.operators import OPERATORS, Attrs, Operator
from autodas_dsl.language.parse import parse
from autodas_dsl.language.tree import Call, Expr, Number

T = TypeVar("T")
Pick = Callable[[Sequence[T]], T]
Grown = tuple[Expr, AnyKind]

LEAVES = (
    "W", "grad W", "grad[flow] W", "grad[ones] W", "grad[split=2] W", "hess W", "A", "grad A", "X",
    "X[all]", "S", "S[noise]", "J", "NTK", "NTK[n=3]", "F_s", "F_t", "F_s[-2]", "F_t[-2]",
    "F_s[noise]", "E_s", "E_t", "P_s", "P_t", "P_s[jitter]", "V_s", "V_t", "grad V_s", "grad V_t",
    "Y", "fan_in", "index", "attn", "params", "flops", "layers",
    "[F_s, F_t]", "[E_s, E_t]", "[P_s, P_t]", "[V_s, grad V_t]", "[W, grad W]", "[params, flops]",
)  # fmt: skip
NUMBERS = (0.0, 1.0, 2.0, 0.5, 3.0, 1e-5, 1e3, 0.1)
POPULATION = tuple(name for name, entry in OPERATORS.items() if entry.sees_population)


@cache
def leaves() -> tuple[Grown, ...]:
    found = []
    for text in LEAVES:
        expr = parse(text)
        kind = kind_of_expression(expr).kind
        assert kind is not None, text
        found.append((expr, kind))
    return tuple(found)


@cache
def attributes(entry: Operator) -> tuple[Attrs, ...]:
    """Nothing, each axis, and some values of each attribute."""
    words: tuple[str, ...] = entry.axes
    found: list[Attrs] = [(), *((("", word),) for word in words)]
    for attribute in entry.attrs:
        values = {*attribute.search, *attribute.choices, attribute.low, attribute.default}
        found += [((attribute.name, float(value)),) for value in sorted(values)]
    return tuple(found)


def kind_of_call(op: str, attrs: Attrs, kinds: tuple[AnyKind, ...]) -> AnyKind | None:
    """The kind of a call, or None when it does not check."""
    try:
        return apply(op, attrs, kinds).kind
    except Fault:
        return None


@cache
def outline(kind: AnyKind) -> AnyKind:
    """A kind without its sizes: they take no part in what may be applied."""
    if isinstance(kind, Pair):
        return Pair(_outline(kind.first), _outline(kind.second))
    return _outline(kind)


def _outline(kind: Kind) -> Kind:
    return Kind(kind.layers, tuple(Axis(name, symbol(name)) for name in kind.names))


Choices = tuple[tuple[str, tuple[Attrs, ...]], ...]


def unary(kind: AnyKind) -> Choices:
    """The operators of one argument that take this kind, with the attributes that fit."""
    return _choices((outline(kind),))


def binary(first: AnyKind, second: AnyKind) -> Choices:
    """The operators that take these two kinds, with the attributes that fit."""
    return _choices((outline(first), outline(second)))


@cache
def _choices(kinds: tuple[AnyKind, ...]) -> Choices:
    found = []
    for name, entry in OPERATORS.items():
        if entry.sees_population:  # around a whole score: see `Grower.score`
            continue
        if len(kinds) != entry.arity and not entry.is_distance:
            continue
        fitting = tuple(a for a in attributes(entry) if kind_of_call(name, a, kinds) is not None)
        if fitting:
            found.append((name, fitting))
    return tuple(found)


class Grower:
    """Grows trees from leaves; `pick` makes every choice."""

    def __init__(self, pick: Pick) -> None:
        self.pick = pick

    def tree(self, steps: int) -> Grown:
        """A tree of any kind."""
        grown: Grown = self.pick(leaves())
        for _ in range(steps):
            grown = self._step(*grown)
        return grown

    def score(self, steps: int, alone: bool = False) -> Expr:
        """A tree of one number; `alone`: of one network, whatever the others are."""
        expr = self.closed(*self.tree(steps))
        around = None if alone else self.pick((None,) * 8 + POPULATION)
        return Call(around, (expr,)) if around else expr

    def _step(self, expr: Expr, kind: AnyKind) -> Grown:
        if self.pick((True, True, False)):
            return self._applied((expr,), (kind,), unary(kind))
        other, other_kind = self._partner(expr, kind)
        if self.pick((True, False)):
            return self._applied((expr, other), (kind, other_kind), binary(kind, other_kind))
        return self._applied((other, expr), (other_kind, kind), binary(other_kind, kind))

    def _applied(
        self,
        args: tuple[Expr, ...],
        kinds: tuple[AnyKind, ...],
        choices: Choices,
    ) -> Grown:
        if not choices:
            return args[0], kinds[0]
        op, fitting = self.pick(choices)
        attrs = self.pick(fitting)
        found = kind_of_call(op, attrs, kinds)
        if found is None:  # only joined layer lists are refused for their sizes
            return args[0], kinds[0]
        return Call(op, args, attrs), found

    def _partner(self, expr: Expr, kind: AnyKind) -> Grown:
        """A number, the tree itself, a leaf, or a small tree of the same kind."""
        way = self.pick(("number", "leaf", "leaf", "same", "reduced"))
        if way == "number":
            return Number(self.pick(NUMBERS)), NUMBER
        if way == "same":
            return self._applied((expr,), (kind,), unary(kind))
        if way == "reduced":
            reductions = tuple(c for c in unary(kind) if OPERATORS[c[0]].is_reduction)
            return self._applied((expr,), (kind,), reductions)
        fitting = tuple(leaf for leaf in leaves() if binary(kind, leaf[1]))
        return self.pick(fitting) if fitting else (expr, kind)

    def closed(self, expr: Expr, kind: AnyKind) -> Expr:
        """A tree of this kind made one number."""
        if isinstance(kind, Pair):
            consuming = tuple(c for c in unary(kind) if OPERATORS[c[0]].is_distance)
            if not consuming:  # nothing takes a pair of numbers or of unlike values
                return self.closed(*self.pick(_single_leaves()))
            expr, kind = self._applied((expr,), (kind,), consuming)
        while kind != NUMBER:
            expr = Call(self.pick(("sum", "mean", "norm_F", "max", "std")), (expr,))
            kind = _known(kind_of_call(expr.op, (), (kind,)))
        return expr


def _known(kind: AnyKind | None) -> AnyKind:
    assert kind is not None
    return kind


@cache
def _single_leaves() -> tuple[Grown, ...]:
    return tuple(leaf for leaf in leaves() if isinstance(leaf[1], Kind))


@st.composite
def scores(draw: st.DrawFn, steps: int = 8) -> Expr:
    """Trees of one number."""
    grower = Grower(lambda options: draw(st.sampled_from(options)))
    return grower.score(draw(st.integers(0, steps)))


@st.composite
def trees(draw: st.DrawFn, steps: int = 8) -> Expr:
    """Trees of any kind."""
    grower = Grower(lambda options: draw(st.sampled_from(options)))
    return grower.tree(draw(st.integers(0, steps)))[0]


def seeded_scores(count: int, seed: int, steps: int = 8, alone: bool = False) -> list[Expr]:
    """Distinct trees of one number from a seeded generator; `alone` as in `Grower.score`."""
    source = random.Random(seed)
    grower = Grower(source.choice)
    found: dict[Expr, None] = {}
    while len(found) < count:
        found[grower.score(source.randint(0, steps), alone)] = None
    return list(found)

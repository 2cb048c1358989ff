"""A NumPy evaluator of formulas over the meanings of `reference`, independent of the compiler.

Arithmetic is IEEE inside tensors. Where a level is removed, a value that is not finite becomes NaN;
operators that could hide a value that is not finite give NaN for that unit.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
from reference import REFERENCE

from autodas_dsl.compiler.interpret import NotFinite, ShapeMismatch, interpret
from autodas_dsl.compiler.ir import Node
from autodas_dsl.language.format import format_expression
from autodas_dsl.language.infer import aligned
from autodas_dsl.language.inputs import Statistic, kind_of
from autodas_dsl.language.kinds import Kind
from autodas_dsl.language.library import library_proxy
from autodas_dsl.language.operators import OPERATORS, Operator, Value, result_kind
from autodas_dsl.language.proxy import Proxy
from autodas_dsl.language.resolve import operator_values, statistic_named
from autodas_dsl.language.tree import Call, Expr, Name, Number, PairOf

Valued = tuple[Kind, Any]
NUMBER = Kind()
Formula = Expr | Proxy


class Statistics(Protocol):
    """The statistics of one network, as NumPy arrays, such as those of a `worlds.World`."""

    def __getitem__(self, statistic: Statistic) -> Any: ...


def interpreted(node: Node, values: object) -> float:
    try:
        return interpret(node, values)
    except (NotFinite, ShapeMismatch):
        return math.nan


def agree(mine: float, reference: float, world: Statistics, formula: Formula) -> bool:
    """Equal up to rounding, as far as rounding on the way lets the score be known."""
    if np.isclose(mine, reference, rtol=1e-9, atol=1e-12, equal_nan=True):
        return True
    moved = [score(formula, world, noise, s) for s in range(12) for noise in (1e-14, 1e-12)]
    if any(math.isnan(m) != math.isnan(reference) for m in moved):
        return True
    slack = 100 * max(abs(m - reference) for m in moved)
    return bool(slack > abs(reference) or abs(mine - reference) <= slack)


def text(formula: Formula) -> str:
    return str(formula) if isinstance(formula, Proxy) else format_expression(formula)


def score(formula: Formula, world: Statistics, noise: float = 0.0, seed: int = 0) -> float:
    """The score of a formula; NaN where it is invalid.

    With `noise`, every intermediate value is moved by about this much, relative to itself and to
    one, which shows how much rounding may change the score. With odd seeds what is as small as the
    noise becomes exactly zero, where signs and ranks turn.
    """
    evaluator = Evaluator(world, noise, seed)
    with np.errstate(all="ignore"):
        _, value = evaluator.formula(formula)
    return float(value) if np.isfinite(value) else np.nan


class Evaluator:
    def __init__(self, world: Statistics, noise: float, seed: int) -> None:
        self.world, self.noise = world, noise
        self._source = np.random.default_rng(seed)
        self._zeros = seed % 2 == 1

    def formula(self, formula: Formula) -> Any:
        if not isinstance(formula, Proxy):
            return self.value(formula, {})
        scope: dict[str, Any] = {}
        for let in formula.lets:
            scope[let.name] = self.value(let.expr, scope)
        return self.value(formula.score.expr, scope)

    def value(self, expr: Expr, scope: Mapping[str, Any]) -> Any:
        if isinstance(expr, Number):
            return NUMBER, np.float64(expr.value)
        if isinstance(expr, Name):
            return self._name(expr, scope)
        if isinstance(expr, PairOf):
            return _Two(self.value(expr.first, scope), self.value(expr.second, scope))
        return self._call(expr, [self.value(arg, scope) for arg in expr.args])

    def _name(self, name: Name, scope: Mapping[str, Any]) -> Any:
        if not name.prefix and name.text in scope:
            return scope[name.text]
        statistic = statistic_named(name)
        if statistic is None:
            return self.formula(library_proxy(name.text))
        return kind_of(statistic), self.world[statistic]

    def _call(self, call: Call, args: list[Any]) -> Any:
        entry = OPERATORS[call.op]
        values = operator_values(entry, call.attrs, call.span)
        if entry.name == "align":
            a, b = args[0].members
            return _Two(_align(a, b, values), _align(b, a, values))
        if entry.is_distance and isinstance(args[0], _Two):
            return self._noisy(_apply(entry, list(args[0].members), values))
        if not any(isinstance(arg, _Two) for arg in args):
            return self._noisy(_apply(entry, args, values))
        first, second = (
            [arg.members[m] if isinstance(arg, _Two) else arg for arg in args] for m in (0, 1)
        )
        return _Two(
            self._noisy(_apply(entry, first, values)), self._noisy(_apply(entry, second, values))
        )

    def _noisy(self, valued: Valued) -> Valued:
        kind, value = valued
        if not self.noise:
            return valued
        if isinstance(value, tuple):
            return kind, tuple(self._moved(x) for x in value)
        return kind, self._moved(value)

    def _moved(self, x: Any) -> Any:
        relative, absolute = self.noise * self._source.uniform(-1, 1, size=(2, *np.shape(x)))
        moved = x * (1 + relative) + absolute
        return np.where(np.abs(x) < self.noise, 0.0, moved) if self._zeros else moved


class _Two:
    """A pair of values."""

    def __init__(self, first: Valued, second: Valued) -> None:
        self.members = (first, second)


def _align(own: Valued, other: Valued, values: Mapping[str, Value]) -> Valued:
    (kind, x), (other_kind, y) = own, other
    result = REFERENCE["align"]([x, y], values, [kind, other_kind])
    return aligned(kind, other_kind, values), result


def _apply(entry: Operator, args: list[Valued], values: Mapping[str, Value]) -> Valued:
    kinds = [kind for kind, _ in args]
    result = result_kind(entry, kinds, values, lambda requirement: None)
    meaning = REFERENCE[entry.name]
    layers = next((kind.layers for kind in kinds if kind.layers), None)

    def unit(arrays: list[Any], unit_kinds: list[Kind]) -> Any:
        found = np.asarray(meaning(arrays, values, unit_kinds), dtype=np.float64)
        if entry.hides and not all(np.isfinite(a).all() for a in arrays):
            found = np.full_like(found, np.nan)
        return found

    flat = [Kind(None, kind.axes) for kind in kinds]
    if entry.left.startswith("list("):
        found = np.asarray(meaning([args[0][1]], values, kinds), dtype=np.float64)
        if not kinds[0].axes and not np.isfinite(args[0][1]).all():
            found = np.float64(np.nan)
    elif layers is None:
        found = unit([x for _, x in args], flat)
    elif all(not kind.axes for kind in kinds):
        return result, _numbers(entry, args, values, result)
    else:
        count = next(len(x) for kind, x in args if kind.layers)
        per_layer = [
            unit([x[layer] if kind.layers else x for kind, x in args], flat)
            for layer in range(count)
        ]
        if result.axes:
            return result, tuple(per_layer)
        found = np.stack(per_layer)
    if not result.axes and any(kind.axes or kind.layers for kind in kinds):
        found = np.where(np.isfinite(found), found, np.nan)
    return result, found


def _numbers(entry: Operator, args: list[Valued], values: Mapping[str, Value], result: Kind) -> Any:
    """One number per layer in: elementwise, or the list reduced to one number."""
    arrays = [x for _, x in args]
    found = np.asarray(REFERENCE[entry.name](arrays, values, [Kind() for _ in args]))
    finite = [np.isfinite(x) for x in arrays]
    if result.layers:
        return np.where(np.logical_and.reduce(finite), found, np.nan) if entry.hides else found
    if entry.hides and not all(f.all() for f in finite):
        return np.float64(np.nan)
    return found if np.isfinite(found) else np.float64(np.nan)

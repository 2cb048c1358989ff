"""Every law that an operator entry claims holds numerically, in NumPy and in torch."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest
import torch
from evaluation import Evaluator
from numpy.typing import NDArray
from worlds import World, collected, shapes

from autodas_dsl.compiler.interpret import evaluate
from autodas_dsl.compiler.pipeline import to_ir
from autodas_dsl.language.check import kind_of_expression
from autodas_dsl.language.examples import example_of
from autodas_dsl.language.operators import LAWS, OPERATORS
from autodas_dsl.language.parse import parse
from autodas_dsl.language.tree import Call, Expr, Number, walk

Array = NDArray[np.float64]
WORLD = World(shapes(), seed=11)
CLAIMS = [
    pytest.param(name, law, id=f"{name}-{law}")
    for name, entry in OPERATORS.items()
    if not entry.sees_population  # those are about several networks: test_population.py
    for law in sorted(entry.laws)
]


def by_numpy(expr: Expr) -> list[Array]:
    with np.errstate(all="ignore"):
        _, value = Evaluator(WORLD, 0.0, 0).value(expr, {})
    return [np.asarray(v) for v in (value if isinstance(value, tuple) else (value,))]


def by_torch(expr: Expr) -> list[Array]:
    values = collected(WORLD, kind_of_expression(expr).statistics)
    found = evaluate(to_ir(expr), values)
    entries: Sequence[torch.Tensor] = found if isinstance(found, tuple) else (found,)
    return [entry.numpy() for entry in entries]


def call(op: str, *args: Expr) -> Call:
    return Call(op, tuple(args))


def times(factor: float, x: Expr) -> Expr:
    value: Expr = Number(abs(factor))
    return call("mul", value if factor >= 0 else call("neg", value), x)


class Claim:
    """An operator applied as in its example, and to other arguments of the same kinds."""

    def __init__(self, name: str) -> None:
        example = next(n for n in walk(parse(example_of(OPERATORS[name]))) if _is(n, name))
        assert isinstance(example, Call)
        self.example = example
        self.x = example.args[0]
        self.y = call("sub", call("mul", self.x, self.x), Number(0.25))

    def __call__(self, *args: Expr) -> Expr:
        return Call(self.example.op, args, self.example.attrs)

    def again(self, *args: Expr) -> Expr:
        """The operator with its first argument replaced, the others as in the example."""
        return self(args[0], *self.example.args[1:])


def _is(node: Expr, name: str) -> bool:
    return isinstance(node, Call) and node.op == name


Sides = tuple[Expr, Expr]
EQUALITIES: dict[str, Callable[[Claim], Sides]] = {
    "commutative": lambda f: (f(*f.example.args), f(*reversed(f.example.args))),
    "symmetric": lambda f: (f(*f.example.args), f(*reversed(f.example.args))),
    "associative": lambda f: (
        f(f(*f.example.args), f.y), f(f.example.args[0], f(f.example.args[1], f.y))
    ),
    "idempotent": lambda f: (f(f(f.x)), f(f.x)),
    "involution": lambda f: (f(f(f.x)), f.x),
    "even": lambda f: (f.again(call("neg", f.x)), f.again(f.x)),
    "odd": lambda f: (f(call("neg", f.x)), call("neg", f(f.x))),
    "shift-invariant": lambda f: (f(call("add", f.x, Number(1.75))), f(f.x)),
    "scale-invariant": lambda f: (f(times(2.5, f.x)), f(f.x)),
    "homogeneous": lambda f: (f(times(-2.5, f.x)), times(2.5, f(f.x))),
    "linear": lambda f: (
        f(call("add", times(-2.5, f.x), f.y)), call("add", times(-2.5, f(f.x)), f(f.y))
    ),
    "zero-on-equal": lambda f: (f(f.x, f.x), times(0.0, f(f.x, f.x))),
}  # fmt: skip
ORDERS: dict[str, Callable[[Claim], Sides]] = {
    "increasing": lambda f: (f(f.x), f(call("add", f.x, call("abs", f.y)))),
    "nonnegative": lambda f: (times(0.0, f(*f.example.args)), f(*f.example.args)),
}


def test_every_law_is_tested() -> None:
    assert set(EQUALITIES) | set(ORDERS) == set(LAWS)


@pytest.mark.parametrize(("name", "law"), CLAIMS)
@pytest.mark.parametrize("values", [by_numpy, by_torch])
def test_law(name: str, law: str, values: Callable[[Expr], list[Array]]) -> None:
    claim = Claim(name)
    sides = (EQUALITIES | ORDERS)[law](claim)
    left, right = (values(side) for side in sides)
    assert len(left) == len(right)
    for a, b in zip(left, right, strict=True):
        if law in EQUALITIES:
            np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-9)
        else:
            assert (a <= b + 1e-12).all()


def test_a_law_that_does_not_hold_is_found() -> None:
    claim = Claim("exp")
    left, right = (by_numpy(side) for side in EQUALITIES["even"](claim))
    assert not np.allclose(left[0], right[0])

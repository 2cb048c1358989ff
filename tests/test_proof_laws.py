"""Every law that an operator declares, on numbers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from autodas_dsl.language.check import kind_of_expression
from autodas_dsl.language.examples import example_of
from autodas_dsl.language.operators import LAWS, OPERATORS
from autodas_dsl.language.parse import parse
from autodas_dsl.language.tree import Call, Expr, Name, Number, PairOf, transform, walk
from autodas_dsl.simplify.proof import Proof

PROOF = Proof(profiles=("normal", "positive", "negative", "zeros"))
DECLARED = [
    (n, law)
    for n, op in OPERATORS.items()
    for law in LAWS
    if law in op.laws
    and not op.sees_population  # those are about one population: test_population.py
]


def call(op: str, *args: Expr) -> Expr:
    return Call(op, args)


def other(expr: Expr) -> Expr:
    """A value of the same kind made of other statistics, or of the same ones scrambled."""
    swaps = {"W": ("grad", "W"), "E_s": ("", "P_s"), "F_s": ("", "F_t"), "P_s": ("", "P_t")}

    def change(node: Expr) -> Expr:
        if isinstance(node, Name) and node.text in swaps and not node.prefix:
            prefix, text = swaps[node.text]
            return replace(node, text=text, prefix=prefix)
        return node

    changed = transform(expr, change)
    return changed if changed != expr else call("tanh", expr)


def nothing(expr: Expr) -> Expr:
    return call("mul", expr, Number(0.0))


Sides = tuple[Expr, Expr]
F = Callable[..., Expr]


def zero(value: Expr) -> Sides:
    return value, nothing(value)


SIDES: dict[str, Callable[[F, Expr, Expr], Sides]] = {
    "commutative": lambda f, x, y: (f(x, y), f(y, x)),
    "symmetric": lambda f, x, y: (f(x, y), f(y, x)),
    "associative": lambda f, x, y: (f(f(x, y), x), f(x, f(y, x))),
    "idempotent": lambda f, x, y: (f(f(x)), f(x)),
    "involution": lambda f, x, y: (f(f(x)), x),
    "even": lambda f, x, y: (f(call("neg", x)), f(x)),
    "odd": lambda f, x, y: (f(call("neg", x)), call("neg", f(x))),
    "shift-invariant": lambda f, x, y: (f(call("add", x, Number(1.5))), f(x)),
    "scale-invariant": lambda f, x, y: (f(call("mul", Number(2.0), x)), f(x)),
    "homogeneous": lambda f, x, y: (
        f(call("mul", call("neg", Number(2.0)), x)), call("mul", Number(2.0), f(x))
    ),
    "linear": lambda f, x, y: (
        f(call("add", call("mul", Number(3.0), x), y)),
        call("add", call("mul", Number(3.0), f(x)), f(y)),
    ),
    "zero-on-equal": lambda f, x, y: zero(f(x, x)),
    "nonnegative": lambda f, x, y: zero(call("relu", call("neg", f(x, y)))),
    "increasing": lambda f, x, y: zero(
        call("relu", call("sub", f(x), f(call("add", x, call("abs", y)))))
    ),
}  # fmt: skip


def test_every_law_has_a_test() -> None:
    assert set(SIDES) == set(LAWS)


def judged(name: str, law: str) -> str:
    op = OPERATORS[name]
    example = parse(example_of(op))
    used = next(n for n in walk(example) if isinstance(n, Call) and n.op == name)
    first = used.args[0].first if isinstance(used.args[0], PairOf) else used.args[0]
    second = used.args[1] if len(used.args) > 1 else other(first)

    def f(*args: Expr) -> Expr:
        return Call(name, args[: len(used.args)], used.attrs)

    left, right = SIDES[law](f, first, second)
    assert kind_of_expression(left).ok, kind_of_expression(left).diagnostics
    return PROOF.unequal(left, right)


@pytest.mark.parametrize(("name", "law"), DECLARED)
def test_declared_laws_hold(name: str, law: str) -> None:
    assert judged(name, law) == ""


@pytest.mark.parametrize(
    ("name", "law"),
    [
        ("sub", "commutative"), ("div", "associative"), ("KL", "symmetric"), ("tanh", "idempotent"),
        ("relu", "even"), ("sigmoid", "odd"), ("sum", "shift-invariant"), ("std", "scale-invariant"),
        ("var", "homogeneous"), ("norm_F", "linear"), ("log", "nonnegative"), ("mish", "increasing"),
        ("invert", "involution"), ("hard", "zero-on-equal"),
    ],
)  # fmt: skip
def test_laws_that_do_not_hold_are_told(name: str, law: str) -> None:
    assert law not in OPERATORS[name].laws
    assert judged(name, law)

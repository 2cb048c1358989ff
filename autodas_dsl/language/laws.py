"""The table of laws, one line each: what a part of a formula equals, and where that is true.

``pattern => replacement``
    bit for bit, whatever the values: the compiler rewrites by it, unasked;
``pattern -> replacement``
    over the reals, perhaps not where something overflows or is zero: a proposal of the simplifier,
    which keeps it only when it is proven on numbers;
``pattern ~> replacement``
    for a ranking only, at the root of a score.

A law may end in ``if x >= 0``, or begin with what the entry of an operator must declare of it, which
is then written ``f``. `simplify.matching` says what other letters stand for. To add a law, add one
line.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

from autodas_dsl.language.parse import parse
from autodas_dsl.language.tree import Expr

_TABLE = """
    -(-x) => x
    x + -y => x - y
    x - -y => x + y
    -(x - y) -> y - x
    -x * y -> -(x * y)
    -x / y -> -(x / y)
    x / -y -> -(x / y)
    0 - x -> -x
    x + 0 -> x
    x - 0 -> x
    x * 1 => x
    x / 1 => x
    x^1 => x
    x^0 -> 1
    x^0.5 -> sqrt(x)
    x^-1 -> 1 / x
    0 * x -> 0
    0 / x -> 0
    x - x -> 0
    x / x -> 1
    x + x -> 2 * x
    x * x -> x^2
    x^c * x -> x^(c + 1)
    x^c * x^d -> x^(c + d)
    (x^c)^d -> x^(c * d)
    x * (1 / y) -> x / y
    x / (1 / y) -> x * y
    1 / (x / y) -> y / x
    x / y * y -> x
    x * y / y -> x
    x + y - y -> x
    x - y + y -> x
    x * z + y * z -> (x + y) * z
    x * z - y * z -> (x - y) * z
    x / z + y / z -> (x + y) / z
    x / z - y / z -> (x - y) / z
    sqrt(x)^2 -> x
    sqrt(x^2) -> |x|
    |x|^2 -> x^2
    |x|^4 -> x^4
    |x| * |y| -> |x * y|
    |x| / |y| -> |x / y|
    |x| -> x if x >= 0
    relu(x) -> x if x >= 0
    sqrt(|x|) -> abssqrt(x)
    log(|x|) -> abslog(x)
    abslog(|x|) -> abslog(x)
    abssqrt(|x|) -> abssqrt(x)
    exp(log(x)) -> x
    log(exp(x)) -> x
    exp(x) * exp(y) -> exp(x + y)
    exp(x) / exp(y) -> exp(x - y)
    1 / exp(x) -> exp(-x)
    1 / (1 + exp(-x)) -> sigmoid(x)
    1 - sigmoid(x) -> sigmoid(-x)
    log(softmax(x)) -> logsoftmax(x)
    exp(logsoftmax(x)) -> softmax(x)
    logsoftmax(softmax(x)) -> logsoftmax(x)
    max(x, x) -> x
    min(x, x) -> x
    max(x, 0) -> relu(x)
    sum(|x|) -> |x|_1
    |abs(x)|_F => |x|_F
    |abs(x)|_1 => |x|_1
    |abs(x)|_inf => |x|_inf
    max(|x|) -> |x|_inf
    sum(x * y) -> dot(x, y)
    sqrt(sum(x^2)) -> |x|_F
    sqrt(dot(x, x)) -> |x|_F
    dot(x, x) -> |x|_F^2
    std(x)^2 -> var(x)
    sqrt(var(x)) -> std(x)
    mean(x) * numel(x) -> sum(x)
    sum(x) / numel(x) -> mean(x)
    mean(|x - y|) -> L1(x, y)
    mean((x - y)^2) -> L2(x, y)
    p * x ~> x
    x / p ~> x
    x + c ~> x
    x - c ~> x
    c - x ~> -x
    p / x ~> 1 / x
    1 / x ~> -x if x >= 0
    exp(x) ~> x
    log(x) ~> x
    sqrt(x) ~> x
    symlog(x) ~> x
    sigmoid(x) ~> x
    tanh(x) ~> x
    softplus(x) ~> x
    leaky_relu(x) ~> x
    scale(x) ~> x
    x^p ~> x if x >= 0
    |x| ~> x if x >= 0
"""

_OF_OPERATORS = """
    idempotent: f(f(x)) -> f(x)
    even: f(-x) -> f(x)
    odd: f(-x) -> -f(x)
    shift-invariant: f(x + m) -> f(x)
    shift-invariant: f(x - m) -> f(x)
    shift-invariant: f(m - x) -> f(-x)
    scale-invariant: f(p * x) -> f(x)
    scale-invariant: f(x / p) -> f(x)
    homogeneous: f(c * x) -> |c| * f(x)
    homogeneous: f(x / c) -> f(x) / |c|
    homogeneous: f(-x) -> f(x)
    linear: f(c * x) -> c * f(x)
    linear: f(x / c) -> f(x) / c
    linear: f(-x) -> -f(x)
    linear: f(x) + f(y) -> f(x + y)
    linear: f(x) - f(y) -> f(x - y)
    zero-on-equal: f(x, x) -> 0
"""

_EXACT = """
    |-x| => |x|
    |abs(x)| => |x|
    |-x|_F => |x|_F
    |-x|_1 => |x|_1
    |-x|_inf => |x|_inf
    |x|_2 => |x|_F
"""
"""What is declared of these operators anyway, and holds bit for bit: for the compiler alone."""


@dataclass(frozen=True, slots=True)
class Law:
    """A pattern and its replacement; the letter that must not be negative, and what an operator
    must declare, if anything."""

    pattern: Expr
    replacement: Expr
    text: str
    nonnegative: str = ""
    declared: str = ""


def _laws(table: str, arrows: str) -> tuple[Law, ...]:
    """The laws of a table that have one of the arrows, by their first characters."""
    line = rf"(?:(\S+): )?(.+) [{arrows}]> (.+?)(?: if (\w) >= 0)?"
    return tuple(
        Law(parse(found[2]), parse(found[3]), re.sub("[=~]>", "->", found[0].strip()),
            found[4] or "", found[1] or "")
        for found in re.finditer(rf"^ *{line}$", table, re.MULTILINE)
    )  # fmt: skip


@cache
def bitwise_laws() -> tuple[Law, ...]:
    """Those that hold bit for bit."""
    return _laws(_TABLE + _EXACT, "=")


@cache
def real_laws() -> tuple[Law, ...]:
    """Those of any part of a formula that hold over the reals, bit for bit or not."""
    return _laws(_TABLE, "=-")


@cache
def operator_laws() -> tuple[Law, ...]:
    """Those that entries of operators declare."""
    return _laws(_OF_OPERATORS, "-")


@cache
def ranking_laws() -> tuple[Law, ...]:
    """Those of a score whose ranking alone matters."""
    return _laws(_TABLE, "~")


# --- constants --------------------------------------------------------------------------------

_FOLDS: dict[str, Callable[..., float]] = {
    "add": lambda a, b: a + b, "sub": lambda a, b: a - b, "mul": lambda a, b: a * b,
    "neg": lambda a: -a, "abs": abs,
    "div": lambda a, b: a / b, "pow": math.pow, "sqrt": math.sqrt, "exp": math.exp,
    "log": math.log, "maximum": max, "minimum": min, "tanh": math.tanh,
}  # fmt: skip
BITWISE_FOLDS = frozenset({"add", "sub", "mul", "neg", "abs"})
"""Operators whose value over literals is, to the last bit, what would be computed."""


def fold(op: str, values: Sequence[float]) -> float | None:
    """The value of an operator over literals; None where there is no finite one."""
    if op not in _FOLDS:
        return None
    try:
        result = _FOLDS[op](*values)
    except (ValueError, OverflowError, ZeroDivisionError):
        return None
    return result if math.isfinite(result) else None

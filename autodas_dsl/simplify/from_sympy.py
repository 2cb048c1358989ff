"""sympy to surface tree: products with negative powers become quotients, and so on."""

from __future__ import annotations

from fractions import Fraction

import sympy
from sympy.core.function import AppliedUndef

from autodas_dsl.language.errors import InputError
from autodas_dsl.language.parse import named_call, parse
from autodas_dsl.language.tree import Call, Expr, Name, Number, PairOf, signed
from autodas_dsl.printing.sympy_form import PAIR

_FUNCTIONS = {
    sympy.exp: "exp", sympy.log: "log", sympy.Abs: "abs", sympy.sign: "sign", sympy.tanh: "tanh",
    sympy.Max: "maximum", sympy.Min: "minimum",
}  # fmt: skip


def from_sympy(value: sympy.Basic) -> Expr:
    """The surface tree of a sympy expression.

    Raises
    ------
    InputError
        E810 for what the language has no word for, such as a complex number.
    """
    if isinstance(value, sympy.Rational):
        return _number(value)
    if isinstance(value, sympy.Float):
        return signed(float(value))
    if isinstance(value, sympy.Symbol):
        return parse(value.name)
    if isinstance(value, sympy.Add):
        return _sum(value)
    if isinstance(value, sympy.Mul):
        return _product(value)
    if isinstance(value, sympy.Pow):
        return _power(value)
    if isinstance(value, AppliedUndef):
        return _opaque(value)
    if value.func in _FUNCTIONS:
        return _folded(_FUNCTIONS[value.func], [from_sympy(arg) for arg in value.args])
    raise InputError("E810", f"there is no formula for {value!s} in sympy's answer")


def _number(value: sympy.Rational) -> Expr:
    """A fraction is written as a decimal where it is one, else as a quotient."""
    exact = Fraction(int(value.p), int(value.q))
    near = float(exact)
    if exact.denominator == 1 or Fraction(repr(near)) == exact:
        return signed(near)
    quotient = Call("div", (Number(float(abs(exact.numerator))), Number(float(exact.denominator))))
    return Call("neg", (quotient,)) if exact < 0 else quotient


def _folded(op: str, args: list[Expr]) -> Expr:
    """An operator over one argument or two; more are nested from the left."""
    if len(args) <= 2:
        return Call(op, tuple(args))
    return Call(op, (_folded(op, args[:-1]), args[-1]))


def _negative(value: sympy.Basic) -> bool:
    return isinstance(value, sympy.Mul) and _is_negative_number(value.args[0])


def _sum(value: sympy.Add) -> Expr:
    """Positive terms first, so that the sum starts without a minus where it can."""
    terms = sorted(value.args, key=lambda t: (_negative(t) or bool(t.is_Number), t.sort_key()))
    result: Expr | None = None
    for term in terms:
        tree = from_sympy(term)
        minus = isinstance(tree, Call) and tree.op == "neg"
        if result is None:
            result = tree
        elif minus:
            assert isinstance(tree, Call)
            result = Call("sub", (result, tree.args[0]))
        else:
            result = Call("add", (result, tree))
    assert result is not None
    return result


def _product(value: sympy.Mul) -> Expr:
    """Numerator over denominator, the number first and a minus outside."""
    number = sympy.Integer(1)
    above: list[sympy.Basic] = []
    below: list[sympy.Basic] = []
    for factor in value.args:
        if isinstance(factor, sympy.Rational):
            number = number * factor
        elif isinstance(factor, sympy.Pow) and _is_negative_number(factor.exp):
            below.append(sympy.Pow(factor.base, -factor.exp, evaluate=factor.exp == -1))
        else:
            above.append(factor)
    numerator, denominator = _coefficient(abs(number), bool(below))
    top = [*numerator, *(from_sympy(factor) for factor in above)]
    bottom = [*denominator, *(from_sympy(factor) for factor in below)]
    tree = _chain(top) if top else Number(1.0)
    if bottom:
        tree = Call("div", (tree, _chain(bottom)))
    return Call("neg", (tree,)) if number < 0 else tree


def _is_negative_number(value: sympy.Basic) -> bool:
    return isinstance(value, sympy.Rational) and bool(value < 0)


def _coefficient(number: sympy.Rational, quotient: bool) -> tuple[list[Expr], list[Expr]]:
    """Where a coefficient goes: ``x / 3`` and ``2 * x / 3`` read better than ``0.333 * x``."""
    if number == 1:
        return [], []
    if number.q == 1:
        return [Number(float(number))], []
    decimal = Fraction(repr(float(number))) == Fraction(int(number.p), int(number.q))
    if decimal and not (number.p == 1 and number.q <= 1000):
        return [Number(float(number))], []
    top: list[Expr] = [] if number.p == 1 else [Number(float(number.p))]
    return top, [Number(float(number.q))]


def _chain(factors: list[Expr]) -> Expr:
    result = factors[0]
    for factor in factors[1:]:
        result = Call("mul", (result, factor))
    return result


def _power(value: sympy.Pow) -> Expr:
    base, exponent = value.args
    if exponent == sympy.Rational(1, 2):
        return Call("sqrt", (from_sympy(base),))
    if _is_negative_number(exponent):
        return _reciprocal(base, -exponent)
    return Call("pow", (from_sympy(base), from_sympy(exponent)))


def _reciprocal(base: sympy.Basic, exponent: sympy.Rational) -> Expr:
    """``1 / x^n``, and ``sigmoid(x)`` where it is ``1 / (1 + exp(-x))``."""
    if exponent == 1 and isinstance(base, sympy.Add) and len(base.args) == 2:
        rest = [term for term in base.args if term != 1]
        if len(rest) == 1 and isinstance(rest[0], sympy.exp):
            inner = from_sympy(rest[0].args[0])
            if isinstance(inner, Call) and inner.op == "neg":
                return Call("sigmoid", (inner.args[0],))
    below = base if exponent == 1 else sympy.Pow(base, exponent, evaluate=False)
    return Call("div", (Number(1.0), from_sympy(below)))


def _opaque(value: AppliedUndef) -> Expr:
    args = tuple(from_sympy(arg) for arg in value.args)
    name = value.func.__name__
    if name == PAIR:
        return PairOf(args[0], args[1])
    head = parse(name)
    assert isinstance(head, Name)  # the name was made by `function_name`
    return named_call(head.text, args, head.attrs, head.span, head.span)

"""Surface tree to sympy, built without any automatic rewriting.

An operator becomes the function in its `sympy` template only where it *is* that function; all
others become opaque functions, named like ``mean[HW]``. Values are elementwise: axes and layer
lists do not appear, so a rewrite that sympy proposes must still be checked and proven.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from functools import cache

import sympy
from sympy.core.function import UndefinedFunction

from autodas_dsl.language.format import format_attrs, format_expression, format_number
from autodas_dsl.language.operators import OPERATORS, Attrs
from autodas_dsl.language.proxy import Proxy
from autodas_dsl.language.tree import Call, Expr, Number, PairOf

PAIR = "pair"
_FUNCTIONS: dict[str, Callable[..., sympy.Expr]] = {
    "exp": sympy.exp, "log": sympy.log, "sqrt": sympy.sqrt, "Abs": sympy.Abs, "sign": sympy.sign,
    "tanh": sympy.tanh, "Max": sympy.Max, "Min": sympy.Min,
}  # fmt: skip


def to_sympy(expr: Expr) -> sympy.Expr:
    """The sympy expression of a surface tree, every node as it was written.

    Parameters
    ----------
    expr : Expr
        Names, also let names, become real symbols.

    Returns
    -------
    sympy.Expr
    """
    if isinstance(expr, Number):
        return number_to_sympy(expr.value)
    if isinstance(expr, Call):
        return _call(expr, [to_sympy(arg) for arg in expr.args])
    if isinstance(expr, PairOf):
        return _opaque(PAIR)(to_sympy(expr.first), to_sympy(expr.second), evaluate=False)
    return sympy.Symbol(format_expression(expr), real=True)


def sympy_form(proxy: Proxy) -> str:
    """Constructors that rebuild the formula in sympy, lets first, one line each.

    Raises
    ------
    FormulaError
        When the proxy does not check.
    """
    proxy.typed()
    lines = [f"{let.name} = {sympy.srepr(to_sympy(let.expr))}" for let in proxy.lets]
    return "\n".join([*lines, sympy.srepr(to_sympy(proxy.score.expr))])


def number_to_sympy(value: float) -> sympy.Rational:
    """The shortest decimal that reads back as the number, as an exact fraction."""
    return sympy.Rational(format_number(value))


def function_name(op: str, attrs: Attrs) -> str:
    """``mean[HW]``: what an opaque function is called."""
    return op + format_attrs(attrs)


@cache
def _opaque(name: str) -> UndefinedFunction:
    return sympy.Function(name, real=True)


def _call(call: Call, args: list[sympy.Expr]) -> sympy.Expr:
    entry = OPERATORS.get(call.op)
    if entry is not None and entry.sympy and not call.attrs and len(args) == entry.arity:
        return _template(entry.sympy)(args)
    return _opaque(function_name(call.op, call.attrs))(*args, evaluate=False)


@cache
def _template(text: str) -> Callable[[list[sympy.Expr]], sympy.Expr]:
    """A `sympy` template as a function of the arguments; only arithmetic and known functions."""
    body = ast.parse(text.format(*(f"x{at}" for at in range(2))), mode="eval").body

    def build(node: ast.expr, args: list[sympy.Expr]) -> sympy.Expr:
        if isinstance(node, ast.Name):
            return args[int(node.id[1:])]
        if isinstance(node, ast.Constant):
            return number_to_sympy(float(str(node.value)))
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            return sympy.Mul(-1, build(node.operand, args), evaluate=False)
        if isinstance(node, ast.BinOp):
            return _binary(node.op, build(node.left, args), build(node.right, args))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            inner = [build(arg, args) for arg in node.args]
            return _FUNCTIONS[node.func.id](*inner, evaluate=False)
        raise ValueError(f"sympy template {text!r} is more than arithmetic and functions")

    return lambda args: build(body, args)


def _binary(op: ast.operator, left: sympy.Expr, right: sympy.Expr) -> sympy.Expr:
    if isinstance(op, ast.Add):
        return sympy.Add(left, right, evaluate=False)
    if isinstance(op, ast.Sub):
        return sympy.Add(left, sympy.Mul(-1, right, evaluate=False), evaluate=False)
    if isinstance(op, ast.Mult):
        return sympy.Mul(left, right, evaluate=False)
    if isinstance(op, ast.Div):
        return sympy.Mul(left, sympy.Pow(right, -1, evaluate=False), evaluate=False)
    return sympy.Pow(left, right, evaluate=False)

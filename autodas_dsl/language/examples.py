"""A working example of every operator, for the reference page and for tests."""

from __future__ import annotations

from autodas_dsl.language.check import kind_of_expression
from autodas_dsl.language.format import format_expression
from autodas_dsl.language.operators import Attrs, Operator
from autodas_dsl.language.parse import parse
from autodas_dsl.language.tree import Call, Expr

_ONE = ("W", "F_s", "P_s", "|W|_F", "mm(F_s)", "X", "[F_s, F_t]")
_TWO = (("W", "grad W"), ("mm(F_s)", "mm(F_t)"), ("F_s", "F_t"))
_COMPARED = (("P_s", "P_t"), ("F_s", "F_t"), ("W", "grad W"))


def example_of(operator: Operator) -> str:
    """A formula that uses the operator: its own `example`, else one that fits its signature.

    Parameters
    ----------
    operator : Operator

    Returns
    -------
    str
        Canonical text of an expression that checks; empty when no usual argument fits.
    """
    if operator.example:
        return operator.example
    for args in _arguments(operator):
        tree = Call(operator.name, args, _attributes(operator))
        checked = kind_of_expression(tree)
        if checked.ok and (operator.is_distance or not checked.requirements):
            return format_expression(tree)
    return ""


def _arguments(operator: Operator) -> list[tuple[Expr, ...]]:
    if operator.is_distance:
        return [(parse(a), parse(b)) for a, b in _COMPARED]
    if operator.arity == 2:
        return [(parse(a), parse(b)) for a, b in _TWO]
    return [(parse(text),) for text in _ONE]


def _attributes(operator: Operator) -> Attrs:
    """Attributes with a telling value: the last of those that a search would try."""
    return tuple((a.name, float(a.search[-1])) for a in operator.attrs if a.search)

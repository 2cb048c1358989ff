"""``reference:`` lines: the population of a document, frozen, so that one network can be scored.

``reference: percentile(sum(W)) = 1, 2.5, 4`` are values of the argument, ascending, which later ones
are placed among. ``reference: standardise(sum(W)) = 2.5, 1.2`` are their mean and standard deviation.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from autodas_dsl.language.errors import Diagnostic, Fault
from autodas_dsl.language.format import format_expression
from autodas_dsl.language.operators import OPERATORS, format_number
from autodas_dsl.language.parse import parse_expression
from autodas_dsl.language.spans import Span
from autodas_dsl.language.tree import Call, Expr, walk

MAX_VALUES = 1001
"""Values of one line; a larger population is frozen as so many of its quantiles."""

_FORM = "write `reference: percentile(x) = 1, 2, 3` or `reference: standardise(x) = mean, std`"


@dataclass(frozen=True)
class Reference:
    """What the networks of a frozen population have for one term.

    Parameters
    ----------
    call : Call
        As the formula writes it, lets by their names.
    values : tuple of float
        Ascending for ``percentile``; mean and standard deviation for ``standardise``.
    """

    call: Call
    values: tuple[float, ...]
    span: Span = field(default=Span(0, 0), compare=False, repr=False)

    @property
    def term(self) -> str:
        """Canonical text of the call."""
        return format_expression(self.call)

    def __str__(self) -> str:
        return f"{self.term} = {', '.join(map(format_number, self.values))}"


def read_reference(text: str, span: Span) -> Reference:
    """The reference of a line, after its key.

    Raises
    ------
    Fault
        E322 when it is no call of a population operator with its numbers.
    """
    term, equals, numbers = text.rpartition("=")
    if not equals:
        raise Fault("E322", "a reference gives a term and its numbers", span, _FORM)
    try:
        call = parse_expression(term)
        values = tuple(float(word) for word in numbers.split(","))
    except Fault as fault:
        said = f"the term of the reference does not parse: {fault.diagnostic.message}"
        raise Fault("E322", said, span, _FORM) from None
    except ValueError:
        raise Fault("E322", "a reference is a list of numbers", span, _FORM) from None
    if not isinstance(call, Call) or not is_population(call):
        raise Fault("E322", "a reference is of a percentile or of a standardise", span, _FORM)
    reference = Reference(call, values, span)
    wrong = _wrong_values(reference)
    if wrong:
        raise Fault("E323", wrong, span, _FORM)
    return reference


def _wrong_values(reference: Reference) -> str:
    values = reference.values
    if not all(map(math.isfinite, values)):
        return "a number of the reference is not finite"
    if len(values) > MAX_VALUES:
        return f"the reference has {len(values)} numbers, at most {MAX_VALUES} are read"
    if reference.call.op == "standardise":
        if len(values) != 2 or values[1] < 0:
            return "the reference of a standardise is a mean and a standard deviation, not negative"
    elif any(a > b for a, b in pairwise(values)):
        return "the numbers of the reference are not ascending"
    return ""


def is_population(expr: Expr) -> bool:
    """Whether an expression is a call of a population operator."""
    if not isinstance(expr, Call) or expr.op not in OPERATORS or len(expr.args) != 1:
        return False
    return OPERATORS[expr.op].sees_population


def population_calls(formulas: Iterable[Expr]) -> list[Call]:
    """The population terms of formulas, each once, in the order of reading."""
    found = (node for expr in formulas for node in walk(expr) if is_population(node))
    return list(dict.fromkeys(node for node in found if isinstance(node, Call)))


def reference_faults(references: Sequence[Reference], formulas: Sequence[Expr]) -> list[Diagnostic]:
    """What does not fit between the references of a document and its formulas."""
    if not references:
        return []
    terms = population_calls(formulas)
    known = [reference.call for reference in references]
    missing = [call for call in terms if call not in known]
    faults: list[Diagnostic] = []
    for place, one in enumerate(references):
        if one.call not in terms:
            said = f"the formula has no term `{one.term}`"
            help = "delete the line, or write the term as the formula does"
            faults.append(Diagnostic("E324", said, one.span, help))
        elif one.call in known[:place]:
            said = f"the reference of `{one.term}` is given twice"
            faults.append(Diagnostic("E311", said, one.span))
    if missing:
        said = f"`{format_expression(missing[0])}` has no reference"
        help = "give one for every term, or for none"
        faults.append(Diagnostic("E325", said, references[-1].span, help))
    return faults

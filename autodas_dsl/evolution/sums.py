"""Sums as formulas: ``percentile(a) + percentile(b) - 2 * percentile(c)``."""

from __future__ import annotations

from collections.abc import Sequence

from autodas_dsl.evolution.combiner import Sum
from autodas_dsl.language.tree import Call, Expr, Number


def expression(found: Sum, terms: Sequence[Expr], transform: str = "percentile") -> Expr:
    """The formula of a sum, what is taken off at its end.

    Parameters
    ----------
    found : Sum
        Of at least one term.
    terms : sequence of Expr
        All terms of the archive, in the order of its scores.
    transform : str
        That of the settings.
    """
    whole: Expr | None = None
    pairs = zip(found.terms, found.weights, strict=True)
    for term, weight in sorted(pairs, key=lambda pair: pair[1] < 0):
        part = _placed(terms[term], transform)
        if abs(weight) != 1.0:
            part = Call("mul", (Number(abs(weight)), part))
        if whole is None:
            whole = part if weight > 0 else Call("neg", (part,))
        else:
            whole = Call("add" if weight > 0 else "sub", (whole, part))
    if whole is None:
        raise ValueError("a sum without terms is no formula")
    return whole


def _placed(term: Expr, transform: str) -> Expr:
    inner = term if transform == "percentile" else Call("symlog", (term,))
    return Call(transform, (inner,))

"""Sums as formulas: ``percentile(a) + percentile(b) - percentile(c)``."""

from __future__ import annotations

from collections.abc import Sequence

from autodas_dsl.evolution.combiner import Sum
from autodas_dsl.evolution.identity import oriented
from autodas_dsl.language.tree import Call, Expr


def expression(found: Sum, terms: Sequence[Expr]) -> Expr:
    """The formula of a sum, what is taken off at its end.

    Parameters
    ----------
    found : Sum
        Of at least one term.
    terms : sequence of Expr
        All terms of the archive, in the order of its scores.
    """
    pairs = sorted(zip(found.signs, found.terms, strict=True), key=lambda pair: pair[0] < 0)
    parts = [(sign, Call("percentile", (terms[term],))) for sign, term in pairs]
    whole = oriented(parts[0][1], parts[0][0])
    for sign, part in parts[1:]:
        whole = Call("add" if sign > 0 else "sub", (whole, part))
    return whole

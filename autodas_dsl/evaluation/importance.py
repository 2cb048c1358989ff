"""How much each term of a sum matters for the ranking: often one term does all the work."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from autodas_dsl.evaluation.agreement import agreement
from autodas_dsl.language.errors import InputError
from autodas_dsl.language.format import format_expression, terms
from autodas_dsl.language.tree import Call, Expr, negated
from autodas_dsl.simplify.proof import reordered


@dataclass(frozen=True, slots=True)
class Term:
    """One term of the score and what happens without it, and with it alone.

    Parameters
    ----------
    text : str
        The term with its sign.
    share : float
        Spread (standard deviation over the architectures) of this term, as a share of the sum of
        the spreads of all terms; NaN where a term is invalid on an architecture.
    kept : float or None
        Kendall tau between the ranking without the term and the full ranking.
    changes_ranking : bool
        False where leaving the term out changes no rank: it does nothing on these architectures.
    alone : float or None
        Kendall tau with the accuracies of the term alone.
    without : float or None
        Kendall tau with the accuracies of the rest.
    """

    text: str
    share: float
    kept: float | None
    changes_ranking: bool
    alone: float | None
    without: float | None


def term_importance(
    expr: Expr, scores: Callable[[Expr], Sequence[float]], accuracies: Sequence[float]
) -> list[Term]:
    """How much each term of the sum at the root matters, the most important first.

    Parameters
    ----------
    expr : Expr
        The score, lets inlined; a leading minus and a common structure of sums is taken apart.
    scores : callable
        Scores of a formula on the architectures, NaN where invalid.
    accuracies : sequence of float
        One per architecture.

    Returns
    -------
    list of Term

    Raises
    ------
    InputError
        E814 when the score is no sum.
    """
    parts = signed_terms(expr)
    if len(parts) < 2:
        raise InputError("E814", "the score is no sum of terms", "there is nothing to leave out")
    full = scores(expr)
    alone = [scores(part) for part in parts]
    spreads = [float(np.std(values)) for values in alone]
    total = sum(spreads)
    found: list[Term] = []
    for number, part in enumerate(parts):
        rest = scores(_sum([p for at, p in enumerate(parts) if at != number]))
        share = spreads[number] / total if total else 0.0
        found.append(
            Term(format_expression(part), share, _tau(rest, full),
                 bool(reordered(rest, full)), _tau(alone[number], accuracies),
                 _tau(rest, accuracies))
        )  # fmt: skip
    # a term without which the ranking is lost comes first
    return sorted(found, key=lambda term: -math.inf if term.kept is None else term.kept)


def signed_terms(expr: Expr) -> list[Expr]:
    """The terms of a sum, those subtracted with a minus; also below a minus and inside brackets."""
    found: list[Expr] = []
    for sign, part in terms(expr):
        inner = [part]
        if isinstance(part, Call) and part.op == "neg":
            inner = [negated(term) for term in signed_terms(part.args[0])]
        elif isinstance(part, Call) and part.op in ("add", "sub"):
            inner = signed_terms(part)
        found += inner if sign == "+" else [negated(term) for term in inner]
    return found


def _sum(parts: Sequence[Expr]) -> Expr:
    total = parts[0]
    for part in parts[1:]:
        minus = isinstance(part, Call) and part.op == "neg"
        total = Call("sub" if minus else "add", (total, negated(part) if minus else part))
    return total


def _tau(scores: Sequence[float], other: Sequence[float]) -> float | None:
    """Kendall tau-b over the architectures where `other` is valid; None where not defined."""
    pairs = [(a, b) for a, b in zip(scores, other, strict=True) if math.isfinite(b)]
    if not pairs:
        return None
    left, right = zip(*pairs, strict=True)
    return agreement(left, right).kendall

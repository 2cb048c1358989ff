"""Who decides whether two formulas are the same: seeded random statistics, and a run's networks."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np
import torch

from autodas_dsl.compiler.interpret import Entry, NotFinite, ShapeMismatch, evaluate
from autodas_dsl.compiler.ir import Node, statistics_of
from autodas_dsl.compiler.outcome import Outcome
from autodas_dsl.compiler.pipeline import to_ir
from autodas_dsl.compiler.populated import combined, is_populated, parts
from autodas_dsl.compiler.population import Floats
from autodas_dsl.language.kinds import Requirement
from autodas_dsl.language.library import typed
from autodas_dsl.language.tree import Expr
from autodas_dsl.simplify.laws import unshifted
from autodas_dsl.simplify.random_statistics import PROFILES, RandomNetwork, networks
from autodas_dsl.simplify.simplify import Judge, Judges

Scores = Callable[[Expr], Sequence[float]]

RELATIVE = 1e-8
ROUNDING = 1e-12
SCORES_RELATIVE = 1e-6
_TIE = 1e-9


class Proof:
    """Judges on seeded random statistics, in float64.

    Parameters
    ----------
    seed : int
    profiles : sequence of str
        Keys of `random_statistics.PROFILES`; all of them unless a law is about ordinary values.
    """

    def __init__(self, seed: int = 0, profiles: Sequence[str] = tuple(PROFILES)) -> None:
        self.seed = seed
        self.profiles = profiles

    def unequal(self, first: Expr, second: Expr) -> str:
        """What tells the values of two expressions of one kind apart, not finite in the same places.

        Equal means within 1e-8 of the larger value, or within 1e-12 of the largest statistic: what
        rounding leaves where the exact result is zero.
        """
        a, b, needed = _lowered(first, second)
        if a is b:
            return ""
        if is_populated(a) or is_populated(b):
            return self._unequal_in_population(a, b, needed)
        finite = 0
        for network in self._networks(a, b, needed, repeats=1):
            left, right = _value(a, network), _value(b, network)
            difference = _difference(left, right, ROUNDING * max(1.0, network.largest))
            if difference:
                return f"{difference} ({network.label} values)"
            finite += _is_finite(left)
        if not finite:
            return "neither is finite on any random statistics"
        return ""

    def reordered(self, first: Expr, second: Expr) -> str:
        """Why two scores, of which a higher one is better, do not rank random networks alike.

        A constant added to a score keeps its order but, next to a tiny score, not all of its
        digits: scores that differ by rounding are compared without such constants.
        """
        a, b, needed = _lowered(first, second)
        if a is b:
            return ""
        drawn = self._networks(a, b, needed, repeats=3)
        left, right = (_numbers(node, drawn).tolist() for node in (a, b))
        found = reordered(left, right)
        plain = [to_ir(unshifted(expr)) for expr in (first, second)]
        if not found or plain == [a, b]:
            return found
        before, after = (_numbers(node, drawn).tolist() for node in plain)
        if _swallowed(left, before) or _swallowed(right, after):
            return found
        return reordered(before, after)

    def _unequal_in_population(self, a: Node, b: Node, needed: Sequence[Requirement]) -> str:
        """What tells two scores that see a population apart, over one of random networks."""
        drawn = self._networks(a, b, needed, repeats=3)
        left, right = _numbers(a, drawn), _numbers(b, drawn)
        if not np.isfinite(left).any():
            return "neither is finite on any random statistics"
        if not np.allclose(left, right, rtol=RELATIVE, atol=ROUNDING, equal_nan=True):
            return "the values differ in a population of random networks"
        return ""

    def _networks(
        self, a: Node, b: Node, needed: Sequence[Requirement], repeats: int
    ) -> list[RandomNetwork]:
        statistics = set(statistics_of([a])) | set(statistics_of([b]))
        found = networks(statistics, needed, self.seed, repeats if statistics else 1)
        drawn = [network for network in found if network.label in self.profiles]
        return drawn if statistics else drawn[:1]


def judges(scores: Scores | None = None, seed: int = 0) -> Judges:
    """Everyone who decides on a simplification.

    Parameters
    ----------
    scores : callable, optional
        The scores of a formula on the architectures of a run, NaN where invalid.
    seed : int
        Of the random statistics.
    """
    proof = Proof(seed)
    if scores is None:
        return Judges(proof.unequal, None, proof.reordered)
    return Judges(
        proof.unequal,
        on_architectures(scores),
        both(proof.reordered, on_architectures(scores, values=False)),
    )


def _lowered(first: Expr, second: Expr) -> tuple[Node, Node, tuple[Requirement, ...]]:
    """Two expressions of any kind, and what both ask of the networks."""
    a, b = typed(first), typed(second)
    return to_ir(a.score), to_ir(b.score), (*a.requirements, *b.requirements)


def _value(node: Node, network: RandomNetwork) -> Entry | None:
    """The value, or None where the formula is invalid."""
    try:
        return evaluate(node, network)
    except (NotFinite, ShapeMismatch):
        return None


def _number(value: Entry | None) -> float:
    if value is None or isinstance(value, tuple):
        return math.nan
    return float(value)


def _numbers(root: Node, drawn: Sequence[RandomNetwork]) -> Floats:
    """Scores of a formula on networks, together where it sees a population; NaN where invalid."""
    if not is_populated(root):
        return np.array([_number(_value(root, network)) for network in drawn])
    outcomes = {
        part: Outcome(
            np.array([_number(_value(part, network)) for network in drawn]), ("",) * len(drawn)
        )
        for part in parts(root)
    }
    return combined(root, outcomes, {}, len(drawn)).scores


def _swallowed(shifted: Sequence[float], plain: Sequence[float]) -> bool:
    """Whether a constant made scores infinite, or left nothing of what told them apart."""
    if [math.isfinite(score) for score in shifted] != [math.isfinite(score) for score in plain]:
        return True
    return _all_tied(shifted) and not _all_tied(plain)


def _all_tied(scores: Sequence[float]) -> bool:
    valid = sorted(filter(math.isfinite, scores))
    return not valid or _sign(valid[0], valid[-1]) == 0


def _parts(value: Entry) -> tuple[torch.Tensor, ...]:
    return value if isinstance(value, tuple) else (value,)


def _is_finite(value: Entry | None) -> bool:
    return value is not None and any(bool(torch.isfinite(part).all()) for part in _parts(value))


def _difference(left: Entry | None, right: Entry | None, rounding: float) -> str:
    """Where two values differ; the empty text when they agree."""
    if left is None or right is None:
        return "" if left is right else "one is valid where the other is not"
    for one, other in zip(_parts(left), _parts(right), strict=True):
        if one.shape != other.shape:
            return "the shapes differ"
        if not torch.equal(torch.isfinite(one), torch.isfinite(other)):
            return "one is finite where the other is not"
        wild = ~torch.isfinite(one)
        if not torch.equal(torch.nan_to_num(one[wild]), torch.nan_to_num(other[wild])):
            return "they are not finite in different ways"
        one, other = one[~wild], other[~wild]
        allowed = (RELATIVE * torch.maximum(one.abs(), other.abs())).clamp(min=rounding)
        if bool(((one - other).abs() > allowed).any()):
            return "the values differ"
    return ""


def reordered(first: Sequence[float], second: Sequence[float]) -> str:
    """Why two score lists do not rank alike, empty where they do; higher is better.

    An invalid score stands below every valid one, all of them tied, as in correlations. Scores
    within 1e-9 of each other are a tie, and ties must be the same.
    """
    pairs = sorted(zip(map(_placed, first), map(_placed, second), strict=True))
    if not any(math.isfinite(score) for score in first):
        return "neither is valid anywhere"
    for (a, b), (c, d) in pairwise(pairs):  # neighbours in the first order decide about all
        if _sign(a, c) != _sign(b, d):
            return "the ranking differs"
    return ""


def _placed(score: float) -> float:
    return score if math.isfinite(score) else -math.inf


def _sign(a: float, b: float) -> int:
    if a == b or math.isinf(a) or math.isinf(b):
        return (a > b) - (a < b)
    if abs(a - b) <= _TIE * max(abs(a), abs(b)):
        return 0
    return 1 if a > b else -1


def on_architectures(scores: Scores, values: bool = True) -> Judge:
    """A judge on the architectures of a run.

    Parameters
    ----------
    scores : callable
        The scores of a formula on all of them, NaN where invalid.
    values : bool
        The scores must be the same, to 1e-6 relative, and not only the ranking.
    """

    def judge(first: Expr, second: Expr) -> str:
        left, right = scores(first), scores(second)
        if values and not all(_close(a, b) for a, b in zip(left, right, strict=True)):
            return "the scores differ on the architectures"
        found = reordered(left, right)
        return found and f"{found} on the architectures"

    return judge


def _close(a: float, b: float) -> bool:
    """Equal to 1e-6, or both invalid."""
    if not (math.isfinite(a) and math.isfinite(b)):
        return math.isfinite(a) == math.isfinite(b)
    return math.isclose(a, b, rel_tol=SCORES_RELATIVE)


def both(*judges: Judge) -> Judge:
    """A judge that agrees when all do; the first that does not gives the reason."""

    def judge(first: Expr, second: Expr) -> str:
        return next((found for each in judges if (found := each(first, second))), "")

    return judge

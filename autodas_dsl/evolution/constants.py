"""Constants of the best formulas fitted by bracketed steps, when the generations are over.

A literal is doubled and halved, the best of the three values is bracketed by half the step in the
logarithm, and that once more. What was found is taken only where the fitness rises by more than
the jackknife standard error of its rise; one whose doubling and halving change no ranking is left.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from autodas_dsl.evolution.config import Config
from autodas_dsl.evolution.evaluator import FitnessEvaluator
from autodas_dsl.evolution.individual import Individual
from autodas_dsl.evolution.vary import Place, Varier
from autodas_dsl.language.tree import Expr, Number

CONSTANTS = 3
"""Constants of a formula that are fitted, in the order in which they are written."""
STEPS = (1.0, 0.5, 0.25)
"""Steps of the binary logarithm by which each is moved, up and down."""


class ConstantFitter:
    """Fits constants of as many formulas as one generation makes, those with the best fitness.

    Parameters
    ----------
    varier : Varier
    evaluator : FitnessEvaluator
        Every formula tried is one of its evaluations.
    config : Config
        Its `max_evaluations` hold.
    """

    def __init__(self, varier: Varier, evaluator: FitnessEvaluator, config: Config) -> None:
        self._varier = varier
        self._evaluator = evaluator
        self._formulas = 2 * config.brood
        self._most = config.max_evaluations or math.inf

    def needed(self, individuals: Sequence[Individual]) -> int:
        """The evaluations that fitting the best of some formulas may take."""
        counts = (len(self._literals(one.expr)) for one in self._chosen(individuals))
        return sum(2 * len(STEPS) * min(CONSTANTS, count) for count in counts)

    def fitted(self, individuals: Sequence[Individual]) -> list[Individual]:
        """The best of some formulas that hold constants, each with those that are better.

        Formulas tried in vain stay out of `FitnessEvaluator.rankable`.
        """
        before = self._evaluator.counts.evaluations
        found = [self._fit(individual) for individual in self._chosen(individuals)]
        self._evaluator.set_aside(before, found)
        return found

    def _chosen(self, individuals: Sequence[Individual]) -> list[Individual]:
        ordered = sorted(individuals, key=lambda individual: individual.order)
        return [one for one in ordered if self._literals(one.expr)][: self._formulas]

    def _fit(self, individual: Individual) -> Individual:
        for number in range(min(CONSTANTS, len(self._literals(individual.expr)))):
            best = self._bracketed(individual, number)
            if self._evaluator.rises(individual, best):
                individual = best
        return individual

    def _bracketed(self, start: Individual, number: int) -> Individual:
        """The best formula that the steps of one constant lead to."""
        best = start
        for step in STEPS:
            both = [self._scaled(best.expr, number, 2.0**power) for power in (step, -step)]
            tried = [expr for expr in both if expr is not None]
            if self._evaluator.counts.evaluations + len(tried) > self._most:
                break
            found = self._evaluator.evaluate(tried)
            if best is start and all(one.ranks == start.ranks for one in found):
                break
            best = min([best, *found], key=lambda individual: individual.order)
        return best

    def _scaled(self, expr: Expr, number: int, factor: float) -> Expr | None:
        """The formula with one constant multiplied, to three digits; None where it is none."""
        places = self._literals(expr)
        if number >= len(places):  # what changed made two sides alike, which are written once
            return None
        place, value = places[number]
        return self._varier.put(expr, place, Number(float(f"{value * factor:.3g}")))

    def _literals(self, expr: Expr) -> list[tuple[Place, float]]:
        return [
            (place, place.expr.value)
            for place in self._varier.places(expr)
            if isinstance(place.expr, Number) and place.expr.value
        ]

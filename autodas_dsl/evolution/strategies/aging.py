"""Regularised evolution (Real et al., 2019): the oldest leaves, not the worst."""

from __future__ import annotations

from collections.abc import Sequence

from autodas_dsl.evolution.individual import Individual
from autodas_dsl.evolution.strategies.base import Maker, Population, Strategy, ranked
from autodas_dsl.execution.randomness import Purpose
from autodas_dsl.language.tree import Expr

_SAMPLE = 0.25


class Aging(Strategy):
    """The best of a random quarter is the parent; the child is youngest, the oldest leaves."""

    def propose(self, population: Population, make: Maker) -> list[Expr]:
        return [self._child(population, make, slot) for slot in range(2 * self.config.brood)]

    def _child(self, population: Population, make: Maker, slot: int) -> Expr:
        if not population:
            return make.fresh(slot)
        stream = make.stream(slot, Purpose.PARENTS)
        size = max(2, round(_SAMPLE * len(population)))
        best, *others = ranked(stream.sample(population, size))
        mate = others[:1] if stream.chance(self.config.crossover) else []
        return make.child(slot, [best, *mate])

    def select(self, population: Population, offspring: Sequence[Individual]) -> Population:
        here = set(population)
        entering = [i for i in dict.fromkeys(offspring) if i.valid and i not in here]
        return [*population, *entering][-self.config.population :]

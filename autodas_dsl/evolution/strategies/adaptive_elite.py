"""Algorithm 1 of Auto-DAS: tournaments among elites, and a fresh formula against each child."""

from __future__ import annotations

from collections.abc import Sequence

from autodas_dsl.evolution.individual import Individual
from autodas_dsl.evolution.strategies.base import (
    Maker,
    Population,
    Strategy,
    distinct,
    parents,
    ranked,
    tournament,
)
from autodas_dsl.execution.randomness import Purpose
from autodas_dsl.language.tree import Expr


class AdaptiveElite(Strategy):
    """A random share r of the population, of it the best k, of them the parents of a child.

    A fresh random formula competes with the child; the better of the two enters, the worst of the
    population leaves. Formulas that rank alike are one formula: the simpler stays.
    """

    def propose(self, population: Population, make: Maker) -> list[Expr]:
        proposed: list[Expr] = []
        for pair in range(self.config.brood):
            stream = make.stream(2 * pair, Purpose.PARENTS)
            pool = tournament(population, stream, self.config)
            child = make.child(2 * pair, parents(pool, stream, self.config)) if pool else None
            proposed.append(child if child is not None else make.fresh(2 * pair))
            proposed.append(make.fresh(2 * pair + 1))
        return proposed

    def select(self, population: Population, offspring: Sequence[Individual]) -> Population:
        winners = [ranked(offspring[i : i + 2])[0] for i in range(0, len(offspring), 2)]
        return distinct([*population, *winners])[: self.config.population]

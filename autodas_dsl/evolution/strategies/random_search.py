"""Random search: the baseline that every strategy has to beat at equal evaluations."""

from __future__ import annotations

from collections.abc import Sequence

from autodas_dsl.evolution.individual import Individual
from autodas_dsl.evolution.strategies.base import Maker, Population, Strategy, distinct
from autodas_dsl.language.tree import Expr


class RandomSearch(Strategy):
    """Fresh formulas only; the population is the best seen."""

    def propose(self, population: Population, make: Maker) -> list[Expr]:
        return [make.fresh(slot) for slot in range(2 * self.config.brood)]

    def select(self, population: Population, offspring: Sequence[Individual]) -> Population:
        return distinct([*population, *offspring])[: self.config.population]

"""NSGA-II (Deb et al., 2002): agreement with accuracy against complexity."""

from __future__ import annotations

from collections.abc import Sequence

from autodas_dsl.evolution.individual import Individual
from autodas_dsl.evolution.strategies.base import Maker, Population, Strategy, unlike
from autodas_dsl.execution.randomness import Purpose
from autodas_dsl.language.tree import Expr


class Nsga2(Strategy):
    """Fronts of formulas that none is both simpler and better than; crowded ones give way.

    A formula that ranks networks nearly as a better one does is not in any.
    """

    def propose(self, population: Population, make: Maker) -> list[Expr]:
        places = _places(population)
        return [self._child(population, places, make, s) for s in range(2 * self.config.brood)]

    def _child(
        self, population: Population, places: dict[Individual, int], make: Maker, slot: int
    ) -> Expr:
        if not population:
            return make.fresh(slot)
        stream = make.stream(slot, Purpose.PARENTS)
        count = 2 if stream.chance(self.config.crossover) else 1
        pairs = (stream.sample(population, 2) for _ in range(count))
        chosen = dict.fromkeys(min(pair, key=places.__getitem__) for pair in pairs)
        return make.child(slot, list(chosen))

    def select(self, population: Population, offspring: Sequence[Individual]) -> Population:
        candidates = unlike([*population, *offspring])
        places = _places(candidates)
        return sorted(candidates, key=places.__getitem__)[: self.config.population]


def _places(population: Population) -> dict[Individual, int]:
    """Every member's place: by front, within a front the least crowded first."""
    ordered = [i for front in fronts(population) for i in _by_crowding(front)]
    return {individual: place for place, individual in enumerate(ordered)}


def fronts(population: Sequence[Individual]) -> list[Population]:
    """Members parted by how many peels it takes until nothing left dominates them."""
    left = sorted(population, key=lambda i: (i.complexity, *i.order))
    found: list[Population] = []
    while left:
        front: Population = []
        rest: Population = []
        best = float("-inf")
        for individual in left:
            if individual.tau > best:
                best = individual.tau
                front.append(individual)
            else:
                rest.append(individual)
        found.append(front)
        left = rest
    return found


def _by_crowding(front: Population) -> Population:
    """The two ends of a front first, then those with the most room between their neighbours.

    A front is sorted by complexity and so by tau.
    """
    if len(front) < 3:
        return front[::-1]
    wide = max(1, front[-1].complexity - front[0].complexity)
    high = max(front[-1].tau - front[0].tau, 1e-12)
    room = {front[0]: float("inf"), front[-1]: float("inf")}
    for before, member, after in zip(front, front[1:], front[2:], strict=False):
        room[member] = (
            (after.complexity - before.complexity) / wide + (after.tau - before.tau) / high
        )  # fmt: skip
    return sorted(front, key=lambda i: (-room[i], *i.order))

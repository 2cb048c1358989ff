"""The hall of fame: the best formula of every complexity."""

from __future__ import annotations

from collections.abc import Iterable

from autodas_dsl.evolution.individual import Individual


class HallOfFame:
    """The best individual of each complexity seen so far; among equals the one seen first."""

    def __init__(self) -> None:
        self._best: dict[int, Individual] = {}

    def add(self, individuals: Iterable[Individual]) -> None:
        for individual in individuals:
            if not individual.valid:
                continue
            here = self._best.get(individual.complexity)
            if here is None or individual.order < here.order:
                self._best[individual.complexity] = individual

    @property
    def members(self) -> list[Individual]:
        """Simplest first."""
        return [self._best[size] for size in sorted(self._best)]

    @property
    def best(self) -> Individual | None:
        """The fittest of all; None while no formula could be ranked."""
        return min(self._best.values(), key=lambda i: i.order, default=None)

    @property
    def pareto(self) -> list[Individual]:
        """Members that are better than every simpler one, simplest first."""
        front: list[Individual] = []
        for member in self.members:
            if not front or member.tau > front[-1].tau:
                front.append(member)
        return front

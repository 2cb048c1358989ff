"""What a strategy decides: which formulas to try next, and which individuals stay."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from autodas_dsl.evolution.config import Config
from autodas_dsl.evolution.evaluator import FitnessEvaluator
from autodas_dsl.evolution.fitness import likeness
from autodas_dsl.evolution.individual import Individual
from autodas_dsl.evolution.vary import Varier
from autodas_dsl.execution.randomness import Purpose, Stream
from autodas_dsl.language.tree import Expr

Population = list[Individual]

_RETRIES = 8
_NEARLY = 0.95
"""The correlation from which on two rankings of the selection are one to `unlike`."""


class Maker:
    """Makes the formulas of one generation; each slot has its own random streams.

    A formula that is known already is made again, up to a few times, before it is proposed.
    """

    def __init__(
        self, varier: Varier, evaluator: FitnessEvaluator, config: Config, generation: int
    ) -> None:
        self.config = config
        self._varier = varier
        self._evaluator = evaluator
        self._generation = generation
        self._pending: set[str] = set()

    def stream(self, slot: int, purpose: Purpose) -> Stream:
        return Stream(self.config.seed, self._generation, slot, purpose)

    def fresh(self, slot: int) -> Expr:
        """A random formula."""
        stream = self.stream(slot, Purpose.FRESH)
        generator = self._varier.generator
        for _ in range(_RETRIES):
            found = self._varier.settled(generator.formula(stream))
            if found is not None and self._is_new(found):
                return found
        return found if found is not None else generator.formula(stream)

    def child(self, slot: int, parents: Sequence[Individual]) -> Expr:
        """A formula made from one parent by mutation, from two by crossover."""
        stream = self.stream(slot, Purpose.VARY)
        for _ in range(_RETRIES):
            if len(parents) == 1:
                found = self._varier.mutated(stream, parents[0].expr)
            else:
                found = self._varier.crossed(stream, parents[0].expr, parents[1].expr)
            if self._is_new(found):
                break
        return found

    def _is_new(self, expr: Expr) -> bool:
        key = self._evaluator.key(expr)
        if self._evaluator.knows(expr) or key in self._pending:
            self._evaluator.count_duplicate()
            return False
        self._pending.add(key)
        return True


class Strategy(ABC):
    """A search strategy; it keeps nothing between generations but the population.

    One generation proposes ``2 * brood`` formulas whatever
    the strategy, so that strategies compare at equal evaluations.
    """

    def __init__(self, config: Config) -> None:
        self.config = config

    @abstractmethod
    def propose(self, population: Population, make: Maker) -> list[Expr]:
        """The formulas to look at in this generation."""

    @abstractmethod
    def select(self, population: Population, offspring: Sequence[Individual]) -> Population:
        """The next population, from the last one and what its proposals turned out to be."""


def ranked(individuals: Sequence[Individual]) -> Population:
    """Best first: fitness, then simplicity, then age."""
    return sorted(individuals, key=lambda individual: individual.order)


def distinct(individuals: Sequence[Individual]) -> Population:
    """Best first, valid, and of those that rank networks alike only the best."""
    kept: dict[bytes, Individual] = {}
    for individual in ranked(individuals):
        if individual.valid:
            kept.setdefault(individual.ranks, individual)
    return list(kept.values())


def unlike(individuals: Sequence[Individual]) -> Population:
    """Best first, valid, and of those that rank networks nearly alike only the best.

    Sums are made of terms that differ: what they gain is lost where a population breeds one ranking.
    """
    kept: Population = []
    for individual in distinct(individuals):
        alike = likeness(individual.ranks, [other.ranks for other in kept]) if kept else ()
        if all(value < _NEARLY for value in alike):
            kept.append(individual)
    return kept


def tournament(population: Population, stream: Stream, config: Config) -> Population:
    """The `elite` best of a random share of the population, best first."""
    size = max(1, round(config.tournament * len(population)))
    return ranked(stream.sample(population, size))[: config.elite]


def parents(pool: Population, stream: Stream, config: Config) -> Population:
    """One parent, or two different ones for crossover."""
    two = len(pool) > 1 and stream.chance(config.crossover)
    return stream.sample(pool, 2 if two else 1)

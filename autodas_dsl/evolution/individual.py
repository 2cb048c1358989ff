"""A formula that a search has looked at, and the hall of fame: the best of every complexity."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from autodas_dsl.evolution.identity import oriented
from autodas_dsl.language.tree import Expr


@dataclass(frozen=True, eq=False, slots=True)
class Individual:
    """A formula and what is known about it; compared by identity.

    Attributes
    ----------
    expr : Expr
        Surface tree, without a sign at its root.
    key : str
        Canonical text of its core tree.
    complexity : int
        Nodes of `formula`.
    number : int
        When it was first seen, counted from 0.
    tau, value : float
        Objective over the tables, and what selection compares; minus infinity when rejected.
    sign : int
        -1 when lower scores are better.
    taus : tuple of float
        Per table.
    ranks : bytes
        See `fitness.Fitness`.
    reason : str
        Why it was rejected, else empty.
    """

    expr: Expr
    key: str
    complexity: int
    number: int
    tau: float = float("-inf")
    value: float = float("-inf")
    sign: int = 1
    taus: tuple[float, ...] = ()
    ranks: bytes = b""
    reason: str = ""

    @property
    def valid(self) -> bool:
        return not self.reason

    @property
    def formula(self) -> Expr:
        """The formula whose higher score promises a better network."""
        return oriented(self.expr, self.sign)

    @property
    def order(self) -> tuple[float, int, int]:
        """Sort key, best first: fitness, then simplicity, then age."""
        return (-self.value, self.complexity, self.number)


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

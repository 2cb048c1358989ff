"""A formula that a search has looked at."""

from __future__ import annotations

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

"""What determines a search, and what only stops it."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from autodas_dsl.evolution.fitness import OBJECTIVES
from autodas_dsl.evolution.vocabulary import DEFAULT_INPUTS, TERMS
from autodas_dsl.language.errors import InputError
from autodas_dsl.language.resolve import suggest

STRATEGIES = ("adaptive-elite", "aging", "nsga2", "random")


@dataclass(frozen=True)
class Config:
    """Everything but the tables that the result of a search depends on.

    Parameters
    ----------
    population, iterations, tournament, elite : int, int, float, int
        P, T, r and k of Algorithm 1.
    strategy : str
        One of `STRATEGIES`.
    brood : int
        Pairs of a child and a fresh formula that one iteration makes; Algorithm 1 makes one.
    crossover : float
        Share of the children that have two parents.
    seed : int
    max_complexity : int
        Nodes that a formula may have.
    parsimony : float
        Taken off the fitness for each node.
    folds : int
        0, or the parts of the jackknife (see `fitness.Objective`).
    objective : str
        ``mean`` or ``min`` over several tables.
    margin : float
        A formula is screened out when its tau on the screen falls this far below the worst of the
        population.
    terms : str
        ``both``, ``instinct`` or ``interaction``.
    inputs, operators : tuple of str
        What formulas may be made of; no operators: all that evolution may draw.
    gradient_free : bool
        No statistic that is a gradient.
    seeds : tuple of str
        Library names, files or expressions that the first population starts with.
    null : bool
        Shuffle the accuracies first: the tau one gets from nothing.
    max_evaluations, patience : int
        Stop after so many formulas, or so many iterations without progress; 0: never.
    target : float
        Stop at this tau; 0: never.
    """

    population: int = 20
    iterations: int = 100
    tournament: float = 0.9
    elite: int = 5
    strategy: str = "adaptive-elite"
    brood: int = 1
    crossover: float = 0.5
    seed: int = 0
    max_complexity: int = 20
    parsimony: float = 0.001
    folds: int = 0
    objective: str = "mean"
    margin: float = 0.15
    terms: str = "both"
    inputs: tuple[str, ...] = DEFAULT_INPUTS
    operators: tuple[str, ...] = ()
    gradient_free: bool = False
    seeds: tuple[str, ...] = ()
    null: bool = False
    max_evaluations: int = 0
    patience: int = 0
    target: float = 0.0

    def __post_init__(self) -> None:
        for name, allowed in _CHOICES.items():
            value = getattr(self, name)
            if value not in allowed:
                raise InputError(
                    "E630", f"{name} is one of {', '.join(allowed)}, not {value}",
                    suggest(value, allowed),
                )  # fmt: skip
        for name, (low, high) in _RANGES.items():
            value = getattr(self, name)
            if not low <= value <= high:
                raise InputError(
                    "E631", f"{name.replace('_', '-')} must be from {low} to {high}, not {value}"
                )
        if self.elite > self.population:
            raise InputError(
                "E632", f"elite {self.elite} is more than the population {self.population}",
                "choose a smaller elite",
            )  # fmt: skip
        if self.folds == 1:
            raise InputError("E631", "folds must be 0 or at least 2, not 1")

    def as_json(self) -> dict[str, Any]:
        """Every field, in order; tuples as lists."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        return {k: list(v) if isinstance(v, tuple) else v for k, v in values.items()}


_CHOICES = {"strategy": STRATEGIES, "objective": OBJECTIVES, "terms": TERMS}
_RANGES: dict[str, tuple[float, float]] = {
    "population": (2, 100_000),
    "iterations": (0, 10_000_000),
    "tournament": (0.0, 1.0),
    "elite": (1, 100_000),
    "brood": (1, 100_000),
    "crossover": (0.0, 1.0),
    "seed": (0, 2**63 - 1),
    "max_complexity": (2, 150),
    "parsimony": (0.0, 1.0),
    "folds": (0, 100),
    "margin": (0.0, 2.0),
    "max_evaluations": (0, 10**12),
    "patience": (0, 10**12),
    "target": (0.0, 1.0),
}

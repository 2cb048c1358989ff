"""What a user may put into a search: a function that proposes formulas, a strategy that chooses.

Both are plain entries of a file that ``--with`` names; a search takes only those that its options
name, ``--proposer NAME`` and ``--strategy NAME``.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Answer:
    """What became of one proposed text.

    Attributes
    ----------
    text : str
    tau : float or None
        On the selection architectures, the objective over the tables; None where it was not
        evaluated or cannot be ranked.
    reason : str
        Why the text did not enter, or why its scores cannot be ranked: a diagnostic with its help.
    """

    text: str
    tau: float | None = None
    reason: str = ""


@dataclass(frozen=True)
class SearchState:
    """What a proposer is told.

    Attributes
    ----------
    generation : int
        From 1.
    wanted : int
        Texts that are looked at; what is returned beyond them is not.
    statistics, operators : tuple of str
        What formulas may be made of.
    max_complexity : int
        Nodes that a formula may have.
    archive : tuple of (str, float)
        The fittest formulas with their tau, at most 100, best first.
    answers : tuple of Answer
        What became of the texts of the last generation.
    random : random.Random
        Depends on seed and generation alone: a proposer that draws from it repeats itself.
    """

    generation: int
    wanted: int
    statistics: tuple[str, ...]
    operators: tuple[str, ...]
    max_complexity: int
    archive: tuple[tuple[str, float], ...]
    answers: tuple[Answer, ...]
    random: random.Random


@dataclass(frozen=True)
class Proposer:
    """A function that proposes formulas as text; the checker decides.

    Parameters
    ----------
    name : str
        For ``--proposer``.
    propose : callable
        Takes a `SearchState`, gives a sequence of texts.
    doc : str
        What it does.
    definition : str
        A hash of the file behind it, set when it is registered.
    """

    name: str
    propose: Callable[[SearchState], Sequence[str]]
    doc: str
    definition: str = ""


@dataclass(frozen=True)
class OwnStrategy:
    """A search strategy of one's own.

    Parameters
    ----------
    name : str
        For ``--strategy``.
    make : callable
        Takes a `Config`, gives a `strategies.base.Strategy`.
    doc : str
        What it does.
    definition : str
        A hash of the file behind it, set when it is registered.
    """

    name: str
    make: Callable[[Any], Any]
    doc: str
    definition: str = ""


STRATEGIES = {
    "adaptive-elite": "adaptive_elite:AdaptiveElite",
    "aging": "aging:Aging",
    "nsga2": "nsga2:Nsga2",
    "random": "random_search:RandomSearch",
}
"""Those of this package, and where each is in `evolution.strategies`."""

PROPOSERS: dict[str, Proposer] = {}
OWN_STRATEGIES: dict[str, OwnStrategy] = {}

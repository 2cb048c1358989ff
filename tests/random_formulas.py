"""Random formulas from the generator of the search, so that tests and search meet the same ones."""

from __future__ import annotations

from functools import cache

from autodas_dsl.evolution.generate import Generator
from autodas_dsl.evolution.vary import Varier
from autodas_dsl.evolution.vocabulary import Vocabulary, chosen_operators, chosen_statistics
from autodas_dsl.execution.randomness import Purpose, Stream
from autodas_dsl.language.inputs import INPUTS
from autodas_dsl.language.tree import Expr


@cache
def _varier() -> Varier:
    statistics = chosen_statistics(tuple(INPUTS))
    vocabulary = Vocabulary(statistics, chosen_operators(), "both", lambda requirement: True)
    return Varier(Generator(vocabulary, 20))


def random_formula(slot: int) -> Expr:
    """A formula, mutated up to three times."""
    varier = _varier()
    expr = varier.generator.formula(Stream(21, 0, slot, Purpose.FRESH))
    for turn in range(slot % 4):
        expr = varier.mutated(Stream(22, turn, slot, Purpose.FRESH), expr)
    return expr

"""Distinct random formulas, as a search makes them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from s0 import OF_TEACHER, OWN

from autodas_dsl.compiler.ir import Node
from autodas_dsl.compiler.pipeline import to_ir
from autodas_dsl.evolution.generate import Generator
from autodas_dsl.evolution.vocabulary import Vocabulary, chosen_operators, chosen_statistics
from autodas_dsl.execution.randomness import Purpose, Stream
from autodas_dsl.language.format import format_expression
from autodas_dsl.language.kinds import Requirement
from autodas_dsl.scoring.bind import sizes_of, unmet
from autodas_dsl.statistics.collect import Collected


def population(count: int, networks: Sequence[Collected], seed: int = 0) -> dict[str, Node]:
    """Formula text to core tree, no two trees alike, in the order of drawing.

    Only formulas whose requirements the networks meet: a search draws no others.
    """
    sizes = [sizes_of(network) for network in networks]

    @cache
    def holds(requirement: Requirement) -> bool:
        return not any(unmet([requirement], own) for own in sizes)

    vocabulary = Vocabulary(
        chosen_statistics((*OWN, *OF_TEACHER)), chosen_operators(), allowed=holds
    )
    generator = Generator(vocabulary)
    found: dict[Node, str] = {}
    slot = 0
    while len(found) < count:
        expr = generator.formula(Stream(seed, 0, slot, Purpose.FRESH))
        found.setdefault(to_ir(expr), format_expression(expr))
        slot += 1
    return {text: root for root, text in found.items()}

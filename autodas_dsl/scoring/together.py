"""Formulas that see a population, scored over networks that are scored one after the other."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from autodas_dsl.compiler.ir import Node, requirements_of
from autodas_dsl.compiler.outcome import Outcome
from autodas_dsl.compiler.populated import alone, combined, is_populated, open_terms, parts
from autodas_dsl.compiler.reading import needed
from autodas_dsl.scoring.scorer import Bound, Score


class Together:
    """Formulas, those that see a population replaced by their parts.

    Parameters
    ----------
    formulas : sequence of Bound
    networks : int
        How many are scored together.

    Raises
    ------
    InputError
        E463 when there is one network and a formula needs others.
    """

    def __init__(self, formulas: Sequence[Bound], networks: int) -> None:
        self._formulas = tuple(formulas)
        flat: dict[Node, Bound] = {}
        for formula in self._formulas:
            open_ = open_terms(formula.node, formula.references)
            if open_ and networks < 2:
                raise alone(formula.name, open_[0].op)
            if not is_populated(formula.node):
                flat.setdefault(formula.node, formula)
                continue
            for node in parts(formula.node):
                flat.setdefault(node, _part(formula, node))
        self.flat = tuple(flat.values())
        """What to score each network with."""
        self._places = {node: place for place, node in enumerate(flat)}

    def assemble(self, scores: Sequence[Sequence[Score]]) -> list[list[Score]]:
        """From scores ``[network][flat]`` those of the formulas, ``[network][formula]``."""
        columns = [self._column(formula, scores) for formula in self._formulas]
        return [list(row) for row in zip(*columns, strict=True)]

    def _column(self, formula: Bound, scores: Sequence[Sequence[Score]]) -> list[Score]:
        if formula.node in self._places:
            return [row[self._places[formula.node]] for row in scores]
        own = {
            node: [row[self._places[node]] for row in scores] for node in parts(formula.node)
        }  # fmt: skip
        found = combined(
            formula.node,
            {
                node: Outcome(
                    np.array([one.value for one in column]), tuple(one.reason for one in column)
                )
                for node, column in own.items()
            },
            formula.references,
            len(scores),
        )
        misfits = [
            next((column[network] for column in own.values() if column[network].unmet), None)
            for network in range(len(scores))
        ]
        return [
            misfit or Score(float(value) if not reason else math.nan, reason)
            for value, reason, misfit in zip(found.scores, found.reasons, misfits, strict=True)
        ]


def _part(formula: Bound, node: Node) -> Bound:
    """One part of a formula, as a formula of its own."""
    return replace(
        formula, node=node, statistics=frozenset(needed([node])),
        requirements=tuple(requirements_of(node)), references={},
    )  # fmt: skip

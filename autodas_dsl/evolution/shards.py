"""Architectures in fixed shards: the same scores, bit for bit, for any number of workers.

Where a float sum starts inside a buffer can change its last bit, so that the networks which share
a buffer must not depend on the number of workers. A shard is evaluated alone, here or elsewhere.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from autodas_dsl.compiler.ir import Node
from autodas_dsl.compiler.outcome import Outcome
from autodas_dsl.evolution.task import Evaluator

_PER_SHARD = 32
_MOST = 8


def shards(architectures: int) -> list[range]:
    """Consecutive parts of nearly equal size; how many depends on the number alone."""
    count = max(1, min(_MOST, architectures // _PER_SHARD))
    edges = [architectures * number // count for number in range(count + 1)]
    return [range(edges[number], edges[number + 1]) for number in range(count)]


def joined(parts: Sequence[Sequence[Outcome]]) -> list[Outcome]:
    """Outcomes on all architectures from those on every shard.

    Parameters
    ----------
    parts : per shard, one outcome per formula
    """
    return [
        Outcome(
            np.concatenate([one.scores for one in outcomes]),
            tuple(reason for one in outcomes for reason in one.reasons),
        )
        for outcomes in zip(*parts, strict=True)
    ]


class Sharded:
    """An evaluator over several shards, one after the other."""

    def __init__(self, evaluators: Sequence[Evaluator]) -> None:
        self._evaluators = evaluators

    def __call__(self, nodes: Sequence[Node]) -> list[Outcome]:
        return joined([evaluate(nodes) for evaluate in self._evaluators])

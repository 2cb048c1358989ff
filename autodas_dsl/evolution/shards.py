"""Architectures in fixed shards: the same scores, bit for bit, for any number of workers.

Where a float sum starts inside a buffer can change its last bit, so that the networks which share
a buffer must not depend on the number of workers. A shard is evaluated alone, here or elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from autodas_dsl.compiler.ir import Node
from autodas_dsl.compiler.outcome import Outcome
from autodas_dsl.execution.jobs import DEADLY, Executor, Job, Lost

_PER_SHARD = 32
_USUAL = 8
_LARGEST = 128


def shards(architectures: int) -> list[range]:
    """Consecutive parts of nearly equal size; how many depends on nothing else.

    At most `_USUAL` of at least `_PER_SHARD` architectures, more where they would pass `_LARGEST`.
    """
    count = max(1, min(_USUAL, architectures // _PER_SHARD), architectures // _LARGEST)
    edges = [architectures * number // count for number in range(count + 1)]
    return [range(edges[number], edges[number + 1]) for number in range(count)]


def sharing(workers: int, shards: int) -> int:
    """How many workers share the formulas of one shard."""
    return max(1, workers // shards)


@dataclass(frozen=True, eq=False)
class Shard:
    """A part of the architectures of one evaluator.

    Parameters
    ----------
    state : callable
        Of the jobs that evaluate formulas on it.
    architectures : int
    ask : callable
        The argument of such a job, made of formulas.
    """

    state: Callable[[], Callable[[Any], list[Outcome]]]
    architectures: int
    ask: Callable[[list[Node]], Any] = list


@dataclass(frozen=True)
class _Deal:
    """Formulas, by their place in a batch, that are evaluated on one shard by one worker."""

    shard: int
    worker: int
    formulas: range

    def one_by_one(self) -> list[_Deal]:
        return [replace(self, formulas=range(place, place + 1)) for place in self.formulas]


class Sharded:
    """An evaluator over several shards.

    A formula that ends its worker, and then another one alone, is invalid; the others that died
    with it are not.

    Parameters
    ----------
    executor : Executor
    shards : sequence of Shard
    """

    def __init__(self, executor: Executor, shards: Sequence[Shard]) -> None:
        self._executor, self._shards = executor, shards

    def __call__(self, nodes: Sequence[Node]) -> list[Outcome]:
        found: list[dict[int, Outcome]] = [{} for _ in self._shards]
        dealt = self._dealt(len(nodes))
        left = [
            alone for deal in self._evaluated(dealt, nodes, found) for alone in deal.one_by_one()
        ]
        for deal in self._evaluated(left, nodes, found):
            n = self._shards[deal.shard].architectures
            deadly = Outcome(np.full(n, np.nan), (DEADLY,) * n)
            found[deal.shard].update(dict.fromkeys(deal.formulas, deadly))
        return [
            Outcome(
                np.concatenate([outcomes[place].scores for outcomes in found]),
                tuple(reason for outcomes in found for reason in outcomes[place].reasons),
            )
            for place in range(len(nodes))
        ]

    def _dealt(self, formulas: int) -> list[_Deal]:
        hands = sharing(self._executor.workers, len(self._shards))
        deals = [
            _Deal(shard, shard * hands + hand, range(hand, formulas, hands))
            for shard in range(len(self._shards))
            for hand in range(hands)
        ]
        return [deal for deal in deals if deal.formulas]

    def _evaluated(
        self, deals: Sequence[_Deal], nodes: Sequence[Node], found: Sequence[dict[int, Outcome]]
    ) -> list[_Deal]:
        """Add the outcomes of all deals to what was found; returns those that were lost."""
        lost: list[_Deal] = []
        jobs = (self._job(one, [nodes[i] for i in one.formulas]) for one in deals)
        for number, outcomes in self._executor.run(jobs):
            deal = deals[number]
            if isinstance(outcomes, Lost):
                lost.append(deal)
            else:
                found[deal.shard].update(zip(deal.formulas, outcomes, strict=True))
        return lost

    def _job(self, deal: _Deal, nodes: list[Node]) -> Job[Any, list[Outcome]]:
        shard = self._shards[deal.shard]
        return Job(shard.state, shard.ask(nodes), deal.worker)

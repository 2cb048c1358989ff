"""The statistics of all architectures of a table, collected once for a search."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import cache, cached_property, partial
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import nn

from autodas_dsl.compiler.allocation import return_freed_memory
from autodas_dsl.compiler.engine import MEMORY, Engine
from autodas_dsl.compiler.ir import Node, requirements_of
from autodas_dsl.compiler.outcome import Outcome
from autodas_dsl.language.inputs import Statistic, definition_of
from autodas_dsl.language.kinds import Requirement
from autodas_dsl.scoring.bind import Sizes, sizes_of, unmet
from autodas_dsl.scoring.populated import is_populated
from autodas_dsl.scoring.rank import Setting, source_of, table_batch
from autodas_dsl.scoring.scorebook import setting_key
from autodas_dsl.scoring.thinning import LADDER, WHOLE, Sample, size_of, thinned, within
from autodas_dsl.spaces.base import Space
from autodas_dsl.statistics.batches import Batch
from autodas_dsl.statistics.collect import (
    Collected,
    belongs_to_teacher,
    collect,
    collect_teacher,
)
from autodas_dsl.statistics.errors import StatisticError, of_network
from autodas_dsl.statistics.fingerprint import fingerprint
from autodas_dsl.statistics.store import Store

Progress = Callable[[int, str], None]

_TRIMMED_EVERY = 8
"""Networks after which freed memory is returned: what is kept of each lies scattered between
activations that are gone, which took gigabytes after a hundred networks."""


def _silent(done: int, label: str) -> None:
    """No progress shown."""


@dataclass(frozen=True, eq=False)
class Stored:
    """Statistics of architectures, in order, and what they were collected from.

    Parameters
    ----------
    architectures : tuple of str
    collected : tuple of Collected
        One per architecture; the teacher's tensors are one object in all of them.
    fingerprint : str
        Of everything the values depend on.
    notes : tuple of str
    sample : Sample
        What the statistics were thinned to.
    """

    architectures: tuple[str, ...]
    collected: tuple[Collected, ...]
    fingerprint: str
    notes: tuple[str, ...]
    sample: Sample = WHOLE

    def evaluator(
        self, rows: Sequence[int] | npt.NDArray[Any], memory: int = MEMORY
    ) -> Callable[[Sequence[Node]], list[Outcome]]:
        """Scores of formulas on some of the architectures.

        A formula whose requirements do not hold for all architectures is invalid on each of them,
        with the requirement as the reason; so is one that is far too much work for a search.

        Parameters
        ----------
        rows : sequence of int
        memory : int
            Bytes for an `Engine` to keep beside the statistics.
        """
        engine = Engine([self.collected[row] for row in rows], memory=memory)
        misfits: dict[Node, str] = {}

        def evaluate(roots: Sequence[Node]) -> list[Outcome]:
            for root in roots:
                if root not in misfits:
                    misfits[root] = self._misfit(root) or engine.excess(root)
            scored = iter(engine.evaluate([root for root in roots if not misfits[root]]))
            return [
                _invalid(misfits[root], len(rows)) if misfits[root] else next(scored)
                for root in roots
            ]

        return evaluate

    def _misfit(self, root: Node) -> str:
        if is_populated(root):
            return "it sees a network against others: searches build such sums themselves"
        reasons = map(self._unmet, requirements_of(root))
        return next(filter(None, reasons), "")

    @cached_property
    def _unmet(self) -> Callable[[Requirement], str]:
        """Why a requirement does not hold for some architecture; formulas share most of them."""

        @cache
        def reason(requirement: Requirement) -> str:
            found = (unmet([requirement], sizes) for sizes in self._sizes)
            return next(filter(None, found), "")

        return reason

    @cached_property
    def _sizes(self) -> list[Sizes]:
        return [sizes_of(one) for one in self.collected]

    def allowed(self, requirement: Requirement) -> bool:
        """Whether a requirement holds for every architecture."""
        return not self._unmet(requirement)


def _invalid(reason: str, networks: int) -> Outcome:
    return Outcome(np.full(networks, np.nan), (reason,) * networks)


def collect_table(
    architectures: Sequence[str],
    space: Space[Any],
    statistics: Collection[Statistic],
    setting: Setting,
    *,
    seed: int = 0,
    store: Store | None = None,
    memory: int | None = None,
    progress: Progress = _silent,
) -> Stored:
    """Build and run every architecture once.

    Parameters
    ----------
    architectures : sequence of str
    space : Space
    statistics : collection of Statistic
        Those of the teacher are collected once.
    setting : Setting
    store : Store, optional
        Serves what was collected before, and keeps what was not.
    memory : int, optional
        Bytes that all statistics may take together; activations are thinned until they fit.

    Raises
    ------
    StatisticError
        When a statistic cannot be collected, or the teacher is missing.
    """
    batch = table_batch(space, setting, setting.data.size, seed)
    of_teacher = sorted(str(s) for s in statistics if belongs_to_teacher(s))
    teacher = setting.teacher
    if of_teacher and teacher is None:
        raise StatisticError("E444", "there is no teacher to take it from", "add --teacher MODEL",
                             of_teacher[0])  # fmt: skip
    network = teacher.build(seed).to(setting.device) if of_teacher and teacher else None
    size = teacher.size if teacher else None
    found: list[Collected] = []  # the teacher's first, so that they are thinned like the others
    if network is not None:
        found.append(_of_teacher(network, batch, statistics, setting, seed, size, store))
    own = [s for s in statistics if not belongs_to_teacher(s)]
    level, bytes_at_most = 0, size_of(found)
    for architecture in architectures:
        source = source_of(space, architecture, setting.classes)
        with of_network(source.name):
            student = source.build(seed).to(setting.device)
            make = partial(collect, student, batch, own, seed=seed, dtype=setting.dtype)
            if store is None:
                one = make()
            else:
                named = fingerprint(
                    source.name, student, batch, own, seed=seed, dtype=setting.dtype
                )
                one = store.fetch(named, make)
        if len(found) % _TRIMMED_EVERY == 0:
            return_freed_memory()
        found += thinned([one], LADDER[level])
        bytes_at_most += size_of(found[-1:])
        if memory is not None and bytes_at_most > memory:
            level = within(found, level, memory)
            bytes_at_most = size_of(found)
        progress(1, architecture)
    if network is not None:
        from_teacher, *students = found
        found = [one.merged(from_teacher) for one in students]
    key = setting_key(batch, network, size, setting.dtype, seed)
    defined = sorted(map(definition_of, statistics))
    facts = [space.name, key, *defined, *architectures, str(LADDER[level])]
    digest = hashlib.blake2b("\n".join(facts).encode(), digest_size=12).hexdigest()
    notes = [f"data: {batch.source}"]
    if level:
        notes.append(f"memory: activations thinned to {LADDER[level]} of each layer")
    return Stored(tuple(architectures), tuple(found), digest, tuple(notes), LADDER[level])


def _of_teacher(
    network: nn.Module, batch: Batch, statistics: Collection[Statistic], setting: Setting,
    seed: int, size: int | None, store: Store | None,
) -> Collected:  # fmt: skip
    make = partial(
        collect_teacher, network, batch, statistics, seed=seed, dtype=setting.dtype, size=size
    )
    if store is None:
        return make()
    wanted = [s for s in statistics if belongs_to_teacher(s)]
    name = f"teacher at {size}"
    return store.fetch(
        fingerprint(name, network, batch, wanted, seed=seed, dtype=setting.dtype), make
    )

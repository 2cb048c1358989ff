"""The statistics of all architectures of a table, collected once for a search."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property, partial
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import nn

from autodas_dsl.compiler.engine import MEMORY, Engine
from autodas_dsl.compiler.ir import Node, requirements_of
from autodas_dsl.compiler.outcome import Outcome
from autodas_dsl.compiler.populated import is_populated
from autodas_dsl.compiler.reading import needed
from autodas_dsl.data.batches import Batch
from autodas_dsl.execution.memory import return_freed_memory
from autodas_dsl.execution.progress import Progress, silent
from autodas_dsl.language.inputs import Statistic, definition_of
from autodas_dsl.language.kinds import Requirement
from autodas_dsl.models.spaces import space_source
from autodas_dsl.scoring.bind import Sizes, sizes_of, unmet
from autodas_dsl.scoring.scorebook import setting_key
from autodas_dsl.scoring.setting import Setting
from autodas_dsl.scoring.table import table_batch
from autodas_dsl.scoring.thinning import LADDER, WHOLE, Sample, size_of, thinned, within
from autodas_dsl.spaces.base import Space
from autodas_dsl.statistics.collect import (
    Collected,
    belongs_to_teacher,
    collect,
    collect_teacher,
    no_teacher,
)
from autodas_dsl.statistics.errors import of_network
from autodas_dsl.statistics.fingerprint import fingerprint
from autodas_dsl.statistics.store import Store

_TRIMMED_EVERY = 8
"""Networks after which freed memory is returned: what is kept of each lies scattered between
activations that are gone, which took gigabytes after a hundred networks."""


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
    absent : mapping of Statistic to str
        Statistics that could be done without and that some network lacks, and why.
    """

    architectures: tuple[str, ...]
    collected: tuple[Collected, ...]
    fingerprint: str
    notes: tuple[str, ...]
    sample: Sample = WHOLE
    absent: Mapping[Statistic, str] = field(default_factory=dict)

    def evaluator(
        self, rows: Sequence[int] | npt.NDArray[Any], memory: int = MEMORY
    ) -> Callable[[Sequence[Node]], list[Outcome]]:
        """Scores of formulas on some of the architectures.

        A formula whose requirements do not hold for all architectures, or that reads a statistic
        which some of them lack, is invalid on each of them, with that as the reason; so is one that
        is far too much work for a search.

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
                Outcome(np.full(len(rows), np.nan), (misfits[root],) * len(rows))
                if misfits[root]
                else next(scored)
                for root in roots
            ]

        return evaluate

    def _misfit(self, root: Node) -> str:
        if is_populated(root):
            return "it sees a network against others: searches build such sums themselves"
        if self.absent:
            read = [one for s in needed([root]) for one in (s, s.whole)]
            lacking = [s for s in read if s in self.absent]
            if lacking:
                return self.absent[lacking[0]]
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


def collect_table(
    architectures: Sequence[str],
    space: Space[Any],
    statistics: Collection[Statistic],
    setting: Setting,
    *,
    optional: Collection[Statistic] = (),
    seed: int = 0,
    store: Store | None = None,
    memory: int | None = None,
    progress: Progress = silent,
) -> Stored:
    """Build and run every architecture once.

    Parameters
    ----------
    architectures : sequence of str
    space : Space
    statistics : collection of Statistic
        Those of the teacher are collected once.
    setting : Setting
    optional : collection of Statistic
        Collected too; what a network or the teacher does not have is told in `Stored.absent`.
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
    collecting = _Collecting(statistics, optional, batch, setting, seed, store)
    teacher = setting.teacher
    network: nn.Module | None = None
    size = teacher.size if teacher else None
    found: list[Collected] = []  # the teacher's first, so that they are thinned like the others
    if teacher is None:
        collecting.without_teacher()
    elif any(map(belongs_to_teacher, collecting.wanted)):
        network = teacher.build(seed).to(setting.device)
        found.append(collecting.of_teacher(network, size))
    level, bytes_at_most = 0, size_of(found)
    for architecture in architectures:
        source = space_source(space, architecture, setting.classes)
        with of_network(source.name):
            student = source.build(seed).to(setting.device)
            one = collecting.of_student(source.name, student)
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
    defined = sorted(map(definition_of, collecting.wanted))
    facts = [space.name + space.source, key, *defined, *architectures, str(LADDER[level])]
    digest = hashlib.blake2b("\n".join(facts).encode(), digest_size=12).hexdigest()
    notes = [f"data: {batch.source}"]
    if level:
        notes.append(f"memory: activations thinned to {LADDER[level]} of each layer")
    return Stored(
        tuple(architectures), tuple(found), digest, tuple(notes), LADDER[level], collecting.absent
    )


class _Collecting:
    """Collects from one network after the other, as far as possible from a store."""

    def __init__(
        self, statistics: Collection[Statistic], optional: Collection[Statistic], batch: Batch,
        setting: Setting, seed: int, store: Store | None,
    ) -> None:  # fmt: skip
        self._needed = frozenset(statistics)
        self.wanted = [*statistics, *(s for s in optional if s not in self._needed)]
        self.absent: dict[Statistic, str] = {}
        self._batch, self._store = batch, store
        self._how: dict[str, Any] = {"seed": seed, "dtype": setting.dtype}

    def without_teacher(self) -> None:
        """Do without everything about a teacher.

        Raises
        ------
        StatisticError
            E444 when that cannot be done.
        """
        for statistic in sorted(filter(belongs_to_teacher, self.wanted)):
            if statistic in self._needed:
                raise no_teacher(statistic)
            self.absent[statistic] = no_teacher(statistic).told

    def of_teacher(self, network: nn.Module, size: int | None) -> Collected:
        own = [s for s in self.wanted if belongs_to_teacher(s)]
        collector = partial(collect_teacher, network, self._batch, size=size, **self._how)
        return self._collected(f"teacher at {size}", network, own, collector)

    def of_student(self, name: str, network: nn.Module) -> Collected:
        """Statistics that an earlier network lacked are not looked for any more."""
        own = [s for s in self.wanted if not belongs_to_teacher(s) and s not in self.absent]
        return self._collected(
            name, network, own, partial(collect, network, self._batch, **self._how)
        )

    def _collected(
        self, name: str, network: nn.Module, own: list[Statistic], collector: Callable[..., Collected]
    ) -> Collected:  # fmt: skip
        make = partial(collector, own, absent={})
        if self._store is None:
            found = make()
        else:
            named = fingerprint(name, network, self._batch, own, **self._how)
            found = self._store.fetch(named, make)
        lacking = [s for s in own if s not in found.values]
        needed = [s for s in lacking if s in self._needed]
        if needed:
            collector(needed)  # the error that says what is wrong with the first of them
        if lacking:  # a store does not keep why
            collector(lacking, absent=self.absent)
        return found

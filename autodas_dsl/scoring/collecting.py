"""How the statistics of a space's networks are collected, one after the other, by whoever does it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any

from torch import nn

from autodas_dsl.data.batches import Batch
from autodas_dsl.language.inputs import Statistic, definition_of
from autodas_dsl.models.spaces import space_source
from autodas_dsl.scoring.scorebook import setting_key
from autodas_dsl.scoring.setting import Setting, Teacher
from autodas_dsl.scoring.table import table_batch
from autodas_dsl.scoring.thinning import Sample
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
from autodas_dsl.statistics.store import Store, user_store

Absent = Mapping[Statistic, str]
"""Statistics that a network does not have, and why."""


@dataclass(frozen=True, eq=False)
class Collecting:
    """What is collected, and from what; picklable.

    Parameters
    ----------
    space : Space
    needed : tuple of Statistic
    optional : tuple of Statistic
        Others that a network may lack.
    setting : Setting
        Its teacher is None where no statistic reads it.
    batch : Batch
    seed : int
    store : Store, optional
        Serves what was collected before, and keeps what was not.
    """

    space: Space[Any]
    needed: tuple[Statistic, ...]
    optional: tuple[Statistic, ...]
    setting: Setting
    batch: Batch
    seed: int
    store: Store | None

    @property
    def wanted(self) -> list[Statistic]:
        return [*self.needed, *(s for s in self.optional if s not in self.needed)]

    @property
    def teacher(self) -> Teacher | None:
        return self.setting.teacher

    @cached_property
    def network(self) -> nn.Module | None:
        """The teacher's."""
        device = self.setting.device
        return self.teacher.build(self.seed).to(device) if self.teacher else None

    def __reduce__(self) -> tuple[Any, ...]:
        """Without the teacher's network, which every worker builds itself, and with the store that
        a worker has: it may be on another machine."""
        return _collecting, (
            self.space, self.needed, self.optional, self.setting, self.batch, self.seed,
            self.store is not None,
        )  # fmt: skip

    def of_teacher(self) -> tuple[Collected, Absent]:
        """The statistics of the teacher, none where there is no teacher.

        Raises
        ------
        StatisticError
            When one that is needed cannot be collected.
        """
        if self.network is None or self.teacher is None:
            return Collected(), {}
        own = [s for s in self.wanted if belongs_to_teacher(s)]
        size = self.teacher.size
        collector = partial(collect_teacher, self.network, self.batch, size=size, **self._how)
        return self._collected(f"teacher at {size}", self.network, own, collector)

    def of_student(self, architecture: str) -> tuple[Collected, Absent]:
        """The statistics of one network; what it lacks does not depend on other networks.

        Raises
        ------
        StatisticError
            When one that is needed cannot be collected; it names the network.
        """
        source = space_source(self.space, architecture, self.setting.classes)
        own = [s for s in self.wanted if not belongs_to_teacher(s)]
        with of_network(source.name):
            network = source.build(self.seed).to(self.setting.device)
            collector = partial(collect, network, self.batch, **self._how)
            return self._collected(source.name, network, own, collector)

    @property
    def _how(self) -> dict[str, Any]:
        return {"seed": self.seed, "dtype": self.setting.dtype}

    def _collected(
        self, name: str, network: nn.Module, own: Sequence[Statistic],
        collector: Callable[..., Collected],
    ) -> tuple[Collected, Absent]:  # fmt: skip
        absent: dict[Statistic, str] = {}
        make = partial(collector, own, absent=absent)
        if self.store is None:
            found = make()
        else:
            named = fingerprint(name, network, self.batch, own, **self._how)
            found = self.store.fetch(named, make).to(self.setting.device)
        lacking = [s for s in own if s not in found.values]
        needed = [s for s in lacking if s in self.needed]
        if needed:
            collector(needed)  # the error that says what is wrong with the first of them
        unexplained = [s for s in lacking if s not in absent]  # a store does not keep why
        if unexplained:
            collector(unexplained, absent=absent)
        return found, absent

    def fingerprint(self, architectures: Sequence[str], sample: Sample) -> str:
        """Of everything that the values of these architectures depend on, thinned to a sample."""
        size = self.teacher.size if self.teacher else None
        key = setting_key(self.batch, self.network, size, self.setting, self.seed)
        defined = sorted(map(definition_of, self.wanted))
        facts = [self.space.name + self.space.source, key, *defined, *architectures, str(sample)]
        return hashlib.blake2b("\n".join(facts).encode(), digest_size=12).hexdigest()


def _collecting(
    space: Space[Any], needed: tuple[Statistic, ...], optional: tuple[Statistic, ...],
    setting: Setting, batch: Batch, seed: int, stored: bool,
) -> Collecting:  # fmt: skip
    store = user_store() if stored else None
    return Collecting(space, needed, optional, setting, batch, seed, store)


def collecting(
    space: Space[Any], needed: Collection[Statistic], optional: Collection[Statistic],
    setting: Setting, seed: int, store: Store | None,
) -> tuple[Collecting, Absent]:  # fmt: skip
    """What is to be collected, and what is not, for want of a teacher.

    Raises
    ------
    StatisticError
        E444 when a statistic of the teacher is needed and there is none.
    """
    batch = table_batch(space, setting, setting.data.size, seed)
    read = sorted(filter(belongs_to_teacher, {*needed, *optional}))
    missing = read if setting.teacher is None else []
    for statistic in missing:
        if statistic in needed:
            raise no_teacher(statistic)
    if not read:
        setting = replace(setting, teacher=None)
    described = Collecting(
        space, tuple(needed), tuple(s for s in optional if s not in missing), setting, batch, seed,
        store,
    )  # fmt: skip
    return described, {statistic: no_teacher(statistic).told for statistic in missing}

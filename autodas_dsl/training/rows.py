"""One row of a table: an architecture, and the accuracy of every seed, trained alone and taught.

Rows become a table, and come back from the table of a build that was interrupted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from autodas_dsl.execution.randomness import seeded
from autodas_dsl.language.errors import InputError
from autodas_dsl.language.foreign import foreign
from autodas_dsl.language.spans import Source
from autodas_dsl.models.spaces import space_source
from autodas_dsl.scoring.setting import Teacher
from autodas_dsl.spaces.base import Space
from autodas_dsl.statistics.counts import multiply_adds
from autodas_dsl.statistics.forward import failure
from autodas_dsl.statistics.network import Network
from autodas_dsl.tables.read import read_table
from autodas_dsl.tables.table import Floats, Table, assemble
from autodas_dsl.training.distillation import distill
from autodas_dsl.training.lessons import Lessons
from autodas_dsl.training.recipe import Recipe
from autodas_dsl.training.replicas import Apart
from autodas_dsl.training.together import accuracies, train

DECIMALS = 6

KD = "kd"
"""The loss of which the teacher's part is computed once for all replicas of a table."""


@dataclass(frozen=True, slots=True)
class Row:
    """An architecture's text and its test accuracies, one for each seed.

    Attributes
    ----------
    arch : str
    vanilla, kd : tuple of float
        Shares of the test images, seed 0 first, to `DECIMALS` places as the file holds them.
    """

    arch: str
    vanilla: tuple[float, ...]
    kd: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Untrainable:
    """In place of a row: why a network cannot be built or trained."""

    arch: str
    reason: str


@dataclass(frozen=True, eq=False)
class Training:
    """How the rows of a table are trained; what a worker makes of it trains one.

    Parameters
    ----------
    space : Space
    recipe : Recipe
    seeds : tuple of int
        How many replicas learn alone, and how many are taught.
    lessons : Lessons
    teacher : Teacher, optional
        Of those that are taught.
    logits : Tensor, optional
        [V, n, K], the teacher's, where `loss` is `KD`.
    loss : str
    device : str
        Where networks are trained.
    """

    space: Space[Any]
    recipe: Recipe
    seeds: tuple[int, int]
    lessons: Lessons
    teacher: Teacher | None = None
    logits: Tensor | None = None
    loss: str = KD
    device: str = "cpu"

    def __getstate__(self) -> dict[str, Any]:
        """Without what lies on the device."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @cached_property
    def _here(self) -> tuple[Lessons, Tensor | None]:
        """Lessons and logits on the device."""
        logits = None if self.logits is None else self.logits.to(self.device)
        return self.lessons.to(self.device), logits

    def __call__(self) -> Callable[[str], Row | Untrainable]:
        return self.row

    def row(self, arch: str) -> Row | Untrainable:
        """Train all replicas of one architecture and test them.

        Seed s starts from the same weights in both columns, and for `KD` sees the same batches;
        other losses look into the networks, which `distill` therefore trains one by one.
        """
        first = self.lessons.views[0, :1]
        try:
            with seeded(0, torch.device(self.device)), foreign(lambda error: failure(error, first)):
                return self._trained(arch)
        except InputError as error:
            said = error.diagnostics[0]
            return Untrainable(arch, f"{said.code} {said.message}")

    def _trained(self, arch: str) -> Row:
        alone, taught = self.seeds
        source = space_source(self.space, arch)
        if self.loss == KD or not taught:
            both = [*range(alone), *range(taught)]
            networks = [source.build(seed) for seed in both]
            found = self._together(networks, both, [False] * alone + [True] * taught)
        else:
            networks = [source.build(seed) for seed in range(alone)]
            found = self._together(networks, range(alone), [False] * alone) if alone else []
            found += [self._distilled(source.build(seed), seed) for seed in range(taught)]
        return Row(arch, tuple(found[:alone]), tuple(found[alone:]))

    def _together(
        self, networks: Sequence[nn.Module], seeds: Sequence[int], taught: Sequence[bool]
    ) -> list[float]:
        lessons, logits = self._here
        whole = train(
            networks, lessons, self.recipe, seeds=seeds, taught=taught, teacher_logits=logits
        )
        return self._tested(whole, len(networks))

    def _distilled(self, network: nn.Module, seed: int) -> float:
        assert self.teacher is not None, "the taught need one"
        views = self.lessons.views
        every = (views.flatten(0, 1), self.lessons.labels.repeat(len(views)))
        trained = distill(
            network.to(self.device), self.teacher.build().to(self.device), every, loss=self.loss,
            recipe=self.recipe, seed=seed,
        )  # fmt: skip
        return self._tested(Apart([trained.network]).eval(), 1)[0]

    def _tested(self, whole: nn.Module, replicas: int) -> list[float]:
        found = accuracies(whole, replicas, self._here[0].test)
        return [round(one, DECIMALS) for one in found]


def size(space: Space[Any], arch: str) -> tuple[int, int]:
    """Parameters, and multiply-adds of one input."""
    network = Network.of(space_source(space, arch).build())
    x = torch.zeros(1, *space.input_shape)
    return sum(p.numel() for p in network.parameters.values()), int(multiply_adds(network, x))


TARGETS = ("vanilla", "kd")
"""Trained alone, and distilled; also the names of a row's accuracies."""


def table_of(space: Space[Any], rows: Sequence[Row], provenance: Mapping[str, str]) -> Table:
    """The table of the rows: mean, spread and count of each target, and every seed.

    A space of a user's file is not named as one, which nothing that reads the table would run.
    """
    numbers: dict[str, Floats] = {}
    for target in TARGETS:
        seeds = np.array([getattr(row, target) for row in rows])
        if not seeds.size:
            continue
        numbers[target] = seeds.mean(1)
        numbers[f"{target}_std"] = seeds.std(1, ddof=1)
        numbers[f"{target}_seeds"] = np.full(len(rows), float(seeds.shape[1]))
        numbers |= {f"{target}_{seed}": column for seed, column in enumerate(seeds.T)}
    named = None if space.file else space.name
    return assemble(space.name, named, [row.arch for row in rows], numbers, provenance)


def begun(
    path: Path, space: Space[Any], provenance: Mapping[str, str], seeds: tuple[int, int]
) -> dict[str, Row]:
    """Rows of an unfinished table, by architecture; none if the file does not exist yet.

    Raises
    ------
    InputError
        The file is no table, or not one that the same build began (E720).
    """
    if not path.exists():
        return {}
    source = Source(str(path), path.read_text(encoding="utf-8"))
    table = read_table(source, name=path.stem, space=space)
    differing = [key for key, text in provenance.items() if table.provenance.get(key) != text]
    found = [table.seeds[target].shape[1] if target in table.seeds else 0 for target in TARGETS]
    if differing or found != list(seeds):
        raise InputError(
            "E720",
            f"{path} was not begun by this build: {', '.join(differing) or 'columns'} differ",
            "choose another output file",
        )
    none = np.empty((len(table), 0))
    rows = zip(table.architectures, *(table.seeds.get(one, none) for one in TARGETS), strict=True)
    return {
        arch: Row(arch, tuple(vanilla.tolist()), tuple(kd.tolist())) for arch, vanilla, kd in rows
    }

"""One row of a table: an architecture, and the accuracy of every seed, trained alone and taught."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from autodas_dsl.execution.randomness import seeded
from autodas_dsl.language.errors import InputError
from autodas_dsl.language.foreign import foreign
from autodas_dsl.models.spaces import space_source
from autodas_dsl.scoring.setting import Teacher
from autodas_dsl.spaces.base import Space
from autodas_dsl.statistics.counts import multiply_adds
from autodas_dsl.statistics.forward import failure
from autodas_dsl.statistics.network import Network
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
    """

    space: Space[Any]
    recipe: Recipe
    seeds: tuple[int, int]
    lessons: Lessons
    teacher: Teacher | None = None
    logits: Tensor | None = None
    loss: str = KD

    def __call__(self) -> Callable[[str], Row | Untrainable]:
        return self.row

    def row(self, arch: str) -> Row | Untrainable:
        """Train all replicas of one architecture and test them.

        Seed s starts from the same weights in both columns, and for `KD` sees the same batches;
        other losses look into the networks, which `distill` therefore trains one by one.
        """
        first = self.lessons.views[0, :1]
        try:
            with seeded(0), foreign(lambda error: failure(error, first)):
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
        whole = train(
            networks, self.lessons, self.recipe, seeds=seeds, taught=taught,
            teacher_logits=self.logits,
        )  # fmt: skip
        return self._tested(whole, len(networks))

    def _distilled(self, network: nn.Module, seed: int) -> float:
        assert self.teacher is not None, "the taught need one"
        views = self.lessons.views
        every = (views.flatten(0, 1), self.lessons.labels.repeat(len(views)))
        trained = distill(
            network, self.teacher.build(), every, loss=self.loss, recipe=self.recipe, seed=seed
        )
        return self._tested(Apart([trained.network]).eval(), 1)[0]

    def _tested(self, whole: nn.Module, replicas: int) -> list[float]:
        found = accuracies(whole, replicas, self.lessons.test)
        return [round(one, DECIMALS) for one in found]


def size(space: Space[Any], arch: str) -> tuple[int, int]:
    """Parameters, and multiply-adds of one input."""
    network = Network.of(space_source(space, arch).build())
    x = torch.zeros(1, *space.input_shape)
    return sum(p.numel() for p in network.parameters.values()), int(multiply_adds(network, x))

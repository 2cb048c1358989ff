"""Which architectures are scored: all of a small space, else what regularised evolution tries."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from autodas_dsl.language.errors import InputError
from autodas_dsl.spaces.base import Space
from autodas_dsl.students.sizes import Sizes

LISTED = 1000
"""Spaces of up to so many architectures are listed whole, to see which of them fit the limits."""

FRESH_TRIES = 30
MUTATION_TRIES = 50
STEPS = 60
CLIMB = 200

Judge = Callable[[str], None]
Merits = Callable[[Sequence[str]], Sequence[float]]


class Candidates:
    """Architectures of a space that fit the limits, isomorphic ones once.

    Parameters
    ----------
    space : Space
    sizes : Sizes
    seed : int
    """

    def __init__(self, space: Space[Any], sizes: Sizes, seed: int) -> None:
        self.space, self.sizes = space, sizes
        self._rng = np.random.default_rng([seed, 0])
        self._climbing = np.random.default_rng([seed, 1])
        self._seen: set[str] = set()
        self._listed: list[str] = []

    def everything(self, budget: int) -> list[str] | None:
        """All that fit, where the space is small enough to list; None where it is not.

        Raises
        ------
        InputError
            E750 when none fits; what is wrong with the first where none can be built.
        """
        count = self.space.count()
        few = count is not None and count <= max(LISTED, budget)
        members = self.space.enumerate() if few else None
        if members is None:
            return None
        # from the last to the first: of isomorphic architectures the first in order stays
        backwards = list(members)[::-1]
        found = {self.space.canonical(arch): self.space.format(arch) for arch in backwards}
        fitting = [text for text in reversed(found.values()) if self.sizes.fits(text)]
        if not fitting:
            raise self._too_tight()
        self._listed = fitting
        return fitting

    def evolve(self, judge: Judge, merits: Merits, budget: int) -> None:
        """Judge up to `budget` architectures, by regularised evolution (Real et al., AAAI 2019).

        The oldest of the population dies; the best of a random sample of it has a child, a
        mutation of it that fits and is new.

        Parameters
        ----------
        judge : callable
            Looks at an architecture; called once for each.
        merits : callable
            How good some of those are beside each other, the higher the better.

        Raises
        ------
        InputError
            E750 when none is found that fits.
        """
        size = max(5, min(50, budget // 4))
        population: deque[Any] = deque(maxlen=size)
        for number in range(budget):
            arch = self._child(population, merits) if len(population) == size else None
            arch = arch if arch is not None else self._fresh()
            if arch is None:
                if number == 0:
                    raise self._too_tight()
                return
            self._seen.add(self.space.canonical(arch))
            judge(self.space.format(arch))
            population.append(arch)

    def largest(self, known: Sequence[str]) -> str:
        """The most parameters under the limits: exactly where the space was listed, elsewhere by
        climbing from the largest of those known."""
        ordered = sorted(
            self._listed or known, key=lambda text: (self.sizes.params(text), text), reverse=True
        )
        best = next(filter(self.sizes.runs, ordered))
        for _ in range(0 if self._listed else CLIMB):
            neighbour = self.space.mutate(self.space.parse(best), self._climbing)
            text = self.space.format(neighbour)
            if not self.sizes.fits(text) or self.sizes.params(text) <= self.sizes.params(best):
                continue
            if self.sizes.runs(text):
                best = text
        return best

    def _child(self, population: Sequence[Any], merits: Merits) -> Any | None:
        drawn = self._rng.choice(len(population), max(2, len(population) // 5), replace=False)
        found = merits([self.space.format(population[place]) for place in drawn])
        arch = population[drawn[int(np.argmax(found))]]
        for _ in range(MUTATION_TRIES):
            child = self.space.mutate(arch, self._rng)
            if self._new(child) and self.sizes.fits(self.space.format(child)):
                return child
        return None

    def _fresh(self) -> Any | None:
        """A random architecture, walked into the limits where it is outside."""
        for _ in range(FRESH_TRIES):
            arch = self._walked_in(self.space.sample(self._rng))
            if arch is not None and self._new(arch):
                return arch
        return None

    def _walked_in(self, arch: Any) -> Any | None:
        over = self.sizes.excess(self.space.format(arch))
        for _ in range(STEPS):
            if over <= 1:
                return arch
            neighbour = self.space.mutate(arch, self._rng)
            there = self.sizes.excess(self.space.format(neighbour))
            if there < over:
                arch, over = neighbour, there
        return arch if over <= 1 else None

    def _new(self, arch: Any) -> bool:
        return self.space.canonical(arch) not in self._seen

    def _too_tight(self) -> InputError:
        if self.sizes.all_broken():
            return next(iter(self.sizes.broken.values()))
        return InputError(
            "E750", f"no architecture of {self.space.name} has {self.sizes.limits}",
            f"the nearest miss is {self.sizes.nearest_miss()}",
        )  # fmt: skip

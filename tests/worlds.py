"""Made-up statistics of a few networks, for tests that need values but no network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from autodas_dsl.language.inputs import Statistic, kind_of
from autodas_dsl.language.kinds import Kind, Requirement

Array = NDArray[np.float64]
Entry = Array | tuple[Array, ...]


@dataclass(frozen=True)
class Shapes:
    """Sizes behind the symbols of kinds: of single tensors, and per layer of lists."""

    single: Mapping[str, int]
    lists: Mapping[str, tuple[Mapping[str, int], ...]]

    def of(self, kind: Kind, layer: int = 0) -> tuple[int, ...]:
        known = self.known(kind.layers, layer)
        return tuple(axis.size.evaluate(known) for axis in kind.axes)

    def known(self, layers: str | None, layer: int) -> dict[str, int]:
        inner = self.lists[layers][layer] if layers else {}
        return {**self.single, **inner}

    def count(self, layers: str) -> int:
        return len(self.lists[layers])

    def meet(self, requirement: Requirement) -> bool:
        layers = requirement.layers
        each = range(self.count(layers)) if layers else (0,)
        known = [self.known(layers, layer) for layer in each]
        left, right = requirement.left, requirement.right
        return all(left.evaluate(k, self.layered) == right.evaluate(k, self.layered) for k in known)

    @property
    def layered(self) -> dict[str, list[int]]:
        """The sizes of each symbol of a layer list, layer by layer."""
        names = {name: entries for entries in self.lists.values() for name in entries[0]}
        return {name: [entry[name] for entry in entries] for name, entries in names.items()}


def shapes(student: int = 6, teacher: int = 6, layers: int = 3) -> Shapes:
    """Maps of 4 by 4 (8 by 8 at earlier stages), `layers` weighted layers, two activations."""
    single = {"B": 4, "inputs": 12, "n": 4, "tensors": 6}
    for who, channels in (("s", student), ("t", teacher)):
        single |= {f"C_{who}": channels, f"H_{who}": 4, f"W_{who}": 4, f"D_{who}": 5, f"K_{who}": 3}
        single |= {f"C_{who}[-2]": channels, f"H_{who}[-2]": 8, f"W_{who}[-2]": 8}
    weights = ((4, 9, 16), (6, 12, 4), (3, 6, 1), (5, 5, 4))
    lin = tuple(
        {"c_W": c, "r_W": r, "c_A": c, "r_A": r if layer == 1 else p}
        for layer, (c, r, p) in enumerate(weights[:layers])
    )
    act = tuple({"c_X": c, "r_X": r, "c_X[all]": c, "r_X[all]": r} for c, r in ((4, 16), (6, 4)))
    block = tuple({"c_I": c, "r_I": 4, "c_O": o, "r_O": 4, "c_T": c} for c, o in ((3, 4), (4, 5)))
    att = ({"heads": 2, "r_H": 9}, {"heads": 3, "r_H": 4})
    mod = tuple({"c_Z": c, "r_Z": r} for c, r in ((4, 16), (6, 4), (3, 1)))
    lists = {"lin": lin, "act": act, "bn": ({}, {}), "block": block, "att": att, "mod": mod}
    return Shapes(single, lists)


@dataclass(frozen=True)
class World:
    """The statistics of one network, as NumPy arrays; made when they are first asked for."""

    shapes: Shapes
    seed: int
    poison: float = 0.0
    _made: dict[Statistic, Entry] = field(default_factory=dict)

    def __getitem__(self, statistic: Statistic) -> Entry:
        if statistic not in self._made:
            self._made[statistic] = self._make(statistic)
        return self._made[statistic]

    def _make(self, statistic: Statistic) -> Entry:
        key = [self.seed, *str(statistic).encode()]
        rng = np.random.default_rng(key)
        kind = kind_of(statistic)
        if kind.layers is None:
            return self._tensor(rng, statistic, self.shapes.of(kind))
        count = self.shapes.count(kind.layers)
        if not kind.axes:
            return self._tensor(rng, statistic, (count,))
        return tuple(
            self._tensor(rng, statistic, self.shapes.of(kind, layer)) for layer in range(count)
        )

    def _tensor(
        self, rng: np.random.Generator, statistic: Statistic, shape: tuple[int, ...]
    ) -> Array:
        values = rng.normal(size=shape)
        if statistic.name in ("params", "flops", "layers", "fan_in", "fan_out", "index", "S"):
            values = np.floor(1 + 20 * np.abs(values)) + 0.0
        elif statistic.name == "attn":
            values = (values > 0) + 0.0
        elif statistic.name == "Y":
            values = np.eye(shape[1])[rng.integers(shape[1], size=shape[0])]
        elif statistic.name in ("NTK", "FIM"):
            values = values @ values.T + np.eye(len(values))
        elif statistic.name == "X":
            values = np.where(rng.random(shape) < 0.2, 0.0, values)
        if self.poison and rng.random() < self.poison:
            flat = values.reshape(-1)
            flat[rng.integers(flat.size)] = rng.choice([np.nan, np.inf, -np.inf, 1e200, 0.0])
        return np.asarray(values, dtype=np.float64)


@dataclass(frozen=True)
class Collected:
    """The statistics of a world as the compiler reads them: float64 tensors."""

    values: dict[Statistic, Tensor | tuple[Tensor, ...]]
    layers: dict[str, tuple[str, ...]]


def collected(world: World, statistics: set[Statistic]) -> Collected:
    values: dict[Statistic, Tensor | tuple[Tensor, ...]] = {}
    for statistic in sorted(statistics):
        value = world[statistic]
        if isinstance(value, tuple):
            values[statistic] = tuple(torch.from_numpy(x.copy()) for x in value)
        else:
            values[statistic] = torch.tensor(value, dtype=torch.float64)
    layers = {
        name: tuple(f"{name}{i}" for i in range(len(entries)))
        for name, entries in world.shapes.lists.items()
    }
    return Collected(values, {**layers, "A": layers["lin"], "act[all]": layers["act"]})

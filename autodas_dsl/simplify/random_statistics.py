"""Seeded random statistics of networks that do not exist: what formulas are proven on.

They hold what breaks careless algebra: exact zeros, negative, large and tiny values, equal values,
layers of one element and lists of one layer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from autodas_dsl.language.inputs import Statistic, kind_of
from autodas_dsl.language.kinds import LISTS, Kind, Requirement

Draw = Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]


PROFILES: dict[str, Draw] = {
    "normal": lambda rng, shape: rng.standard_normal(shape),
    "positive": lambda rng, shape: np.abs(rng.standard_normal(shape)),
    "negative": lambda rng, shape: -np.abs(rng.standard_normal(shape)),
    "zeros": lambda rng, shape: rng.standard_normal(shape) * (rng.random(shape) > 0.3),
    "large": lambda rng, shape: rng.standard_normal(shape) * 1e4,
    "tiny": lambda rng, shape: rng.standard_normal(shape) * 1e-4,
    "equal": lambda rng, shape: np.full(shape, rng.standard_normal()),
    "all zero": lambda rng, shape: np.zeros(shape),
}


@dataclass(frozen=True)
class RandomNetwork:
    """The statistics of one invented network; fits where collected ones do."""

    values: Mapping[Statistic, Tensor | tuple[Tensor, ...]]
    layers: Mapping[str, tuple[str, ...]]
    label: str

    @property
    def largest(self) -> float:
        """The largest absolute value of all statistics."""
        return max((float(part.abs().max()) for part in self._parts()), default=0.0)

    def _parts(self) -> list[Tensor]:
        entries = [v if isinstance(v, tuple) else (v,) for v in self.values.values()]
        return [part for entry in entries for part in entry]


@dataclass(frozen=True)
class Sizes:
    """How large an invented network is: sizes by symbol, one per layer for symbols of a list."""

    common: Mapping[str, int]
    layers: tuple[Mapping[str, int], ...]

    def fits(self, requirements: Iterable[Requirement]) -> bool:
        """Whether every requirement holds, in every layer where it is about layers."""
        names = {name for layer in self.layers for name in layer}
        layered = {name: [_Default(layer)[name] for layer in self.layers] for name in names}
        for needed in requirements:
            places = [{**self.common, **layer} for layer in self.layers]
            for sizes in places if needed.layers else [dict(self.common)]:
                found = _Default(sizes)
                left, right = (s.evaluate(found, layered) for s in (needed.left, needed.right))
                if left != right:
                    return False
        return True


class _Default(dict[str, int]):
    """Sizes by symbol; one that is not listed is that of its letter, or 4."""

    def __missing__(self, symbol: str) -> int:
        bare = symbol.partition("[")[0]
        return self[bare] if bare in self and bare != symbol else 4


VARIED = Sizes(
    {"B": 5, "C_s": 3, "C_t": 3, "H_s": 4, "W_s": 4, "H_t": 4, "W_t": 4, "D_s": 6, "D_t": 6,
     "K_s": 3, "K_t": 3, "inputs": 7},
    ({"c_W": 3, "r_W": 2, "c_A": 3, "r_A": 4, "c_X": 3, "r_X": 2},
     {"c_W": 2, "r_W": 5, "c_A": 2, "r_A": 1, "c_X": 4, "r_X": 1},
     {"c_W": 4, "r_W": 3, "c_A": 4, "r_A": 2, "c_X": 2, "r_X": 3}),
)  # fmt: skip
UNEVEN = Sizes(
    {"B": 4, "C_s": 3, "C_t": 5, "H_s": 4, "W_s": 4, "H_t": 8, "W_t": 8, "D_s": 6, "D_t": 5,
     "K_s": 3, "K_t": 3, "inputs": 7},
    ({"c_W": 3, "r_W": 2, "c_A": 3, "r_A": 4, "c_X": 3, "r_X": 2},
     {"c_W": 2, "r_W": 5, "c_A": 2, "r_A": 1, "c_X": 4, "r_X": 1}),
)  # fmt: skip
SQUARE = Sizes(
    {"B": 4, "D_s": 4, "D_t": 4, "K_s": 4, "K_t": 4, "inputs": 4},
    ({"c_W": 4}, {"c_W": 4}),
)
ONE_LAYER = Sizes(VARIED.common, VARIED.layers[1:2])
ONE_ELEMENT = Sizes(VARIED.common, tuple({key: 1 for key in layer} for layer in VARIED.layers[:2]))
SHAPES = {"varied": VARIED, "uneven": UNEVEN, "square": SQUARE, "one layer": ONE_LAYER,
          "one element": ONE_ELEMENT}  # fmt: skip


def random_network(
    statistics: Iterable[Statistic], sizes: Sizes, profile: str, rng: np.random.Generator
) -> RandomNetwork:
    """Values in float64 for every statistic, each of its kind.

    Parameters
    ----------
    statistics : iterable of Statistic
    sizes : Sizes
    profile : str
        A key of `PROFILES`; counts, one-hot labels, variances and kernels stay what they are.
    rng : numpy Generator
    """
    names = tuple(f"layer{number}" for number in range(len(sizes.layers)))
    values = {s: _value(s, sizes, PROFILES[profile], rng) for s in sorted(statistics)}
    return RandomNetwork(values, dict.fromkeys(LISTS, names), profile)


def _value(
    statistic: Statistic, sizes: Sizes, draw: Draw, rng: np.random.Generator
) -> Tensor | tuple[Tensor, ...]:
    kind = kind_of(statistic)
    if kind.layers and kind.axes:
        shapes = [_shape(kind, {**sizes.common, **layer}) for layer in sizes.layers]
        return tuple(torch.from_numpy(draw(rng, shape)) for shape in shapes)
    count = len(sizes.layers)
    shape = (count,) if kind.layers else _shape(kind, sizes.common)
    special = _SPECIAL.get(statistic.name)
    array = special(rng, shape) if special else draw(rng, shape)
    return torch.from_numpy(np.asarray(array, dtype=np.float64))


def _shape(kind: Kind, sizes: Mapping[str, int]) -> tuple[int, ...]:
    known = _Default(sizes)
    return tuple(axis.size.evaluate(known) for axis in kind.axes)


def _kernel(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    factor = rng.standard_normal((shape[0], shape[0] + 2))
    return np.asarray(factor @ factor.T)


def _count(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    return rng.integers(1, 1000, shape).astype(np.float64)


_SPECIAL: dict[str, Draw] = {
    "Y": lambda rng, shape: np.eye(shape[1])[rng.integers(0, shape[1], shape[0])],
    "NTK": _kernel,
    "S": lambda rng, shape: np.abs(rng.standard_normal(shape)) + 1e-3,
    "attn": lambda rng, shape: rng.integers(0, 2, shape).astype(np.float64),
    "index": lambda rng, shape: np.arange(1.0, shape[0] + 1),
    "fan_in": _count,
    "fan_out": _count,
    "params": _count,
    "flops": _count,
    "layers": _count,
}


def networks(
    statistics: Iterable[Statistic], requirements: Sequence[Requirement], seed: int, repeats: int
) -> list[RandomNetwork]:
    """Networks of every profile and of every shape that meets the requirements.

    Parameters
    ----------
    statistics : iterable of Statistic
    requirements : sequence of Requirement
    seed, repeats : int
        Each profile and shape occurs `repeats` times.
    """
    wanted = sorted(statistics)
    found: list[RandomNetwork] = []
    for shape, sizes in SHAPES.items():
        if not sizes.fits(requirements):
            continue
        for number, profile in enumerate(PROFILES):
            for repeat in range(repeats):
                key = [seed, list(SHAPES).index(shape), number, repeat]
                rng = np.random.Generator(np.random.Philox(np.random.SeedSequence(key)))
                found.append(random_network(wanted, sizes, profile, rng))
    return found

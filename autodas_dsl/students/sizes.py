"""How large the networks of a space are, and how fast, without scoring them."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from autodas_dsl.language.errors import InputError
from autodas_dsl.models.spaces import space_source
from autodas_dsl.spaces.base import Space
from autodas_dsl.statistics.counts import multiply_adds
from autodas_dsl.statistics.errors import of_network
from autodas_dsl.statistics.network import Network

WARM_UP = 5
RUNS = 30


@dataclass(frozen=True, slots=True)
class Latency:
    """Seconds of one forward pass of one sample, over `RUNS` passes after `WARM_UP` others.

    Attributes
    ----------
    median : float
    low, high : float
        Quartiles.
    """

    median: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.median * 1e3:.3g} ms ({self.low * 1e3:.3g}–{self.high * 1e3:.3g})"


def measured(network: nn.Module, x: Tensor) -> Latency:
    """The latency of a network in eval mode on `x` [1, ...], both on the device that is measured."""
    network.eval()
    taken = []
    with torch.inference_mode():
        for _ in range(WARM_UP + RUNS):
            start = time.perf_counter()
            network(x)
            if x.device.type != "cpu":
                torch.get_device_module(x.device).synchronize()
            taken.append(time.perf_counter() - start)
    low, median, high = np.quantile(taken[WARM_UP:], (0.25, 0.5, 0.75))
    return Latency(float(median), float(low), float(high))


Found = TypeVar("Found")


@dataclass(frozen=True)
class Limits:
    """What a student may cost at most; None: anything.

    Parameters
    ----------
    params : int, optional
    flops : int, optional
        Multiply-adds of one sample.
    latency : float, optional
        Seconds that one sample takes, in the median.
    """

    params: int | None = None
    flops: int | None = None
    latency: float | None = None

    def __post_init__(self) -> None:
        for name, value in (("parameters", self.params), ("flops", self.flops)):
            if value is not None and value < 1:
                raise InputError("E755", f"at most {value} {name} leave no network", "allow more")
        if self.latency is not None and not self.latency > 0:
            raise InputError("E755", f"at most {self.latency:g} s leave no network", "allow more")

    def __str__(self) -> str:
        parts = [f"at most {self.params:,} parameters"] if self.params is not None else []
        parts += [f"at most {self.flops:,} flops"] if self.flops is not None else []
        parts += [f"at most {self.latency * 1e3:g} ms"] if self.latency is not None else []
        return " and ".join(parts)


class Sizes:
    """Sizes of architectures, each counted once.

    Parameters
    ----------
    space : Space
    limits : Limits
    classes : int, optional
        Of the networks, by default the space's.
    input_shape : sequence of int, optional
        Of one sample, by default the space's.
    device : str
        On which latency is measured.

    Attributes
    ----------
    broken : dict of str to InputError
        What is wrong with architectures that cannot be built, or not run on one sample.
    """

    def __init__(
        self, space: Space[Any], limits: Limits, classes: int | None = None, *,
        input_shape: Sequence[int] | None = None, device: str = "cpu",
    ) -> None:  # fmt: skip
        self.space, self.limits, self._classes, self._device = space, limits, classes, device
        self._input_shape = tuple(input_shape or space.input_shape)
        self._params: dict[str, int] = {}
        self._flops: dict[str, int] = {}
        self._latency: dict[str, Latency] = {}
        self._excess: dict[str, float] = {}
        self.broken: dict[str, InputError] = {}

    def params(self, architecture: str) -> int:
        """Its parameters; a network is built, but not run."""
        return self._once(self._params, architecture, _params_of)

    def flops(self, architecture: str) -> int:
        """Its multiply-adds, from one forward pass of one sample."""
        return self._once(self._flops, architecture, self._count_flops)

    def latency(self, architecture: str) -> Latency | None:
        """Its latency, where that is limited."""
        if self.limits.latency is None:
            return None
        return self._once(self._latency, architecture, self._measure)

    def excess(self, architecture: str) -> float:
        """How many times over the limits it is; at most 1 where it fits, infinite where it cannot
        be built.

        Latency, which takes longest, is measured only of what fits otherwise.
        """
        if architecture not in self._excess:
            try:
                self._excess[architecture] = self._over(architecture)
            except InputError as error:
                self.broken[architecture] = error
                self._excess[architecture] = math.inf
        return self._excess[architecture]

    def _over(self, architecture: str) -> float:
        limits = self.limits
        over = self.params(architecture) / (limits.params or math.inf)
        if limits.flops is not None:
            over = max(over, self.flops(architecture) / limits.flops)
        if over <= 1 and limits.latency is not None:
            taken = self.latency(architecture)
            assert taken is not None, "it is limited"
            over = max(over, taken.median / limits.latency)
        return over

    def fits(self, architecture: str) -> bool:
        return self.excess(architecture) <= 1

    def runs(self, architecture: str) -> bool:
        """Whether it can be built and run on one sample."""
        if architecture not in self.broken:
            try:
                self.flops(architecture)
            except InputError as error:
                self.broken[architecture] = error
        return architecture not in self.broken

    def all_broken(self) -> bool:
        """Whether none of the networks that were looked at can be built and run."""
        return len(self.broken) == len(self._excess)

    def left_out(self) -> str:
        """How many networks are broken, and what is wrong with the first, in words; else empty."""
        if not self.broken:
            return ""
        name, error = next(iter(self.broken.items()))
        wrong = error.diagnostics[0].message
        said = wrong if self.space.name in wrong else f"{self.space.name}:{name}: {wrong}"
        many = "1 network" if len(self.broken) == 1 else f"{len(self.broken)} networks"
        return f"left out: {many} that cannot be built and run; {said}"

    def nearest_miss(self) -> str:
        """Of the networks that were looked at the one that is least over the limits, in words."""
        name = min(self._excess, key=lambda text: (self._excess[text], text))
        parts = [f"{self.params(name):,} parameters"] if self.limits.params is not None else []
        parts += [f"{self.flops(name):,} flops"] if self.limits.flops is not None else []
        parts += [str(self._latency[name])] if name in self._latency else []
        return f"{name} with {' and '.join(parts)}"

    def _once(
        self, known: dict[str, Found], architecture: str, count: Callable[[Network], Found]
    ) -> Found:
        if architecture not in known:
            source = space_source(self.space, architecture, self._classes)
            with of_network(source.name):
                known[architecture] = count(Network.of(source.build()))
        return known[architecture]

    def _count_flops(self, network: Network) -> int:
        return round(multiply_adds(network, self._sample()))

    def _measure(self, network: Network) -> Latency:
        return measured(network.module.to(self._device), self._sample().to(self._device))

    def _sample(self) -> torch.Tensor:
        return torch.zeros(1, *self._input_shape)


def _params_of(network: Network) -> int:
    return sum(parameter.numel() for parameter in network.parameters.values())

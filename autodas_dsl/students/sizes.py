"""How large the networks of a space are, without scoring them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from autodas_dsl.language.errors import InputError
from autodas_dsl.models.spaces import space_source
from autodas_dsl.spaces.base import Space
from autodas_dsl.statistics.counts import multiply_adds
from autodas_dsl.statistics.network import Network


@dataclass(frozen=True)
class Limits:
    """What a student may cost at most; None: anything.

    Parameters
    ----------
    params : int, optional
    flops : int, optional
        Multiply-adds of one sample.
    """

    params: int | None = None
    flops: int | None = None

    def __post_init__(self) -> None:
        for name, value in (("parameters", self.params), ("flops", self.flops)):
            if value is not None and value < 1:
                raise InputError("E755", f"at most {value} {name} leave no network", "allow more")

    def __str__(self) -> str:
        parts = [f"at most {self.params:,} parameters"] if self.params is not None else []
        parts += [f"at most {self.flops:,} flops"] if self.flops is not None else []
        return " and ".join(parts)


class Sizes:
    """Sizes of architectures, each counted once.

    Parameters
    ----------
    space : Space
    limits : Limits
    classes : int, optional
        Of the networks, by default the space's.
    """

    def __init__(self, space: Space[Any], limits: Limits, classes: int | None = None) -> None:
        self.space, self.limits, self._classes = space, limits, classes
        self._params: dict[str, int] = {}
        self._flops: dict[str, int] = {}

    def params(self, architecture: str) -> int:
        """Its parameters; a network is built, but not run."""
        return self._once(self._params, architecture, _params_of)

    def flops(self, architecture: str) -> int:
        """Its multiply-adds, from one forward pass of one sample."""
        return self._once(self._flops, architecture, self._count_flops)

    def excess(self, architecture: str) -> float:
        """How many times over the limits it is; at most 1 where it fits."""
        over = [0.0]
        if self.limits.params is not None:
            over.append(self.params(architecture) / self.limits.params)
        if self.limits.flops is not None:
            over.append(self.flops(architecture) / self.limits.flops)
        return max(over)

    def fits(self, architecture: str) -> bool:
        if self.limits.params is not None and self.params(architecture) > self.limits.params:
            return False
        return self.limits.flops is None or self.flops(architecture) <= self.limits.flops

    def smallest(self) -> str:
        """The smallest network that was looked at, in words."""
        parts = []
        for counted, limit, unit in (
            (self._params, self.limits.params, "parameters"),
            (self._flops, self.limits.flops, "flops"),
        ):
            if limit is not None and counted:
                name = min(counted, key=lambda text: (counted[text], text))
                parts.append(f"{counted[name]:,} {unit} ({name})")
        return " and ".join(parts)

    def _once(
        self, known: dict[str, int], architecture: str, count: Callable[[Network], int]
    ) -> int:
        if architecture not in known:
            source = space_source(self.space, architecture, self._classes)
            known[architecture] = count(Network.of(source.build()))
        return known[architecture]

    def _count_flops(self, network: Network) -> int:
        return round(multiply_adds(network, torch.zeros(1, *self.space.input_shape)))


def _params_of(network: Network) -> int:
    return sum(parameter.numel() for parameter in network.parameters.values())

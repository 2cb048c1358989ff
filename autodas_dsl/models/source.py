"""A network that is built when it is needed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from torch import nn

from autodas_dsl.execution.randomness import seeded
from autodas_dsl.language.errors import InputError
from autodas_dsl.language.foreign import foreign, one_line


@dataclass(frozen=True)
class ModelSource:
    """A network that can be built.

    Attributes
    ----------
    name : str
        Short name for tables.
    make : callable
        Builds the network; run by `build` with its own random numbers. Picklable where networks
        are built in other processes, as are those of `load_models`.
    input_shape : tuple of int, optional
        Shape of one sample, where it is known.
    classes : int, optional
        Number of classes, where it is known.
    weights : str
        Where the weights come from, in words; random weights depend on the seed.
    """

    name: str
    make: Callable[[], Any]
    input_shape: tuple[int, ...] | None = None
    classes: int | None = None
    weights: str = "random weights"

    def build(self, seed: int = 0) -> nn.Module:
        """Build the network with torch, NumPy and `random` seeded, and given back as they were.

        Raises
        ------
        InputError
            E403, when building fails; E404, when the result is no ``nn.Module``.
        """

        def describe(error: BaseException) -> InputError:
            return InputError("E403", f"{self.name} cannot be built: {one_line(error)}")

        with seeded(seed), foreign(describe):
            network = self.make()
        if not isinstance(network, nn.Module):
            raise InputError(
                "E404",
                f"{self.name} is of type {type(network).__name__}, not a torch.nn.Module",
                "`model` must be a network, build_model() must return one, models() a dict",
            )
        return network


def _itself(network: nn.Module) -> nn.Module:
    return network


def given_source(network: nn.Module, name: str = "") -> ModelSource:
    """A network at hand, by its class unless it is named."""
    return ModelSource(
        name or type(network).__name__, partial(_itself, network), weights="weights as given"
    )

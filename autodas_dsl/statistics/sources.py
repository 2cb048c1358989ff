"""MODEL as the user writes it, turned into networks that are built when they are needed."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import nn

from autodas_dsl.language.spans import InputError
from autodas_dsl.statistics.errors import foreign, one_line
from autodas_dsl.statistics.network import seeded

_FILE = re.compile(r"(?P<path>.+\.py)(?::(?P<member>\w+))?")


@dataclass(frozen=True)
class ModelSource:
    """A network that can be built.

    Attributes
    ----------
    name : str
        Short name for tables.
    make : callable
        Builds the network; run by `build` with its own random numbers.
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


def load_models(text: str) -> tuple[ModelSource, ...]:
    """The networks that a MODEL argument names.

    Parameters
    ----------
    text : str
        ``FILE.py[:callable]``, ``hf:NAME``, ``timm:NAME``, ``torchvision:NAME`` or ``SPACE:ARCH``.

    Returns
    -------
    tuple of ModelSource
        More than one only for a file whose ``models()`` returns several.

    Raises
    ------
    InputError
        E401 to E409, when it names no network.
    """
    file = _FILE.fullmatch(text)
    if file is not None:
        from autodas_dsl.statistics.model_files import file_sources

        return file_sources(file["path"], file["member"])
    scheme, colon, name = text.partition(":")
    if not colon or not name:
        raise InputError(
            "E409",
            f"{text!r} names no model",
            "give FILE.py[:callable], hf:NAME, timm:NAME, torchvision:NAME or SPACE:ARCH",
        )
    if scheme in ("hf", "timm", "torchvision"):
        from autodas_dsl.statistics import model_libraries

        loaders = {
            "hf": model_libraries.hf_source,
            "timm": model_libraries.timm_source,
            "torchvision": model_libraries.torchvision_source,
        }
        return (loaders[scheme](name),)
    return (_space_source(text),)


def _space_source(text: str) -> ModelSource:
    from autodas_dsl import spaces

    space, arch = spaces.resolve(text)  # type: ignore[attr-defined]
    return ModelSource(
        text,
        lambda: space.build(arch),
        tuple(space.input_shape),
        int(space.classes),
    )

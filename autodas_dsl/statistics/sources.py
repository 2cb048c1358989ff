"""MODEL as the user writes it, turned into networks that are built when they are needed."""

from __future__ import annotations

import re
from collections.abc import Sequence

import torch
from torch import nn

from autodas_dsl.language.inputs import Statistic
from autodas_dsl.language.spans import InputError
from autodas_dsl.statistics.batches import Batch
from autodas_dsl.statistics.collect import collect
from autodas_dsl.statistics.model_files import file_sources
from autodas_dsl.statistics.model_libraries import hf_source, timm_source, torchvision_source
from autodas_dsl.statistics.model_source import ModelSource

__all__ = ["ModelSource", "classes_of", "load_models"]

_LIBRARIES = {"hf": hf_source, "timm": timm_source, "torchvision": torchvision_source}
_FILE = re.compile(r"(?P<path>.+\.py)(?::(?P<member>\w+))?")


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
        return file_sources(file["path"], file["member"])
    scheme, colon, name = text.partition(":")
    if not colon or not name:
        raise InputError(
            "E409",
            f"{text!r} names no model",
            "give FILE.py[:callable], hf:NAME, timm:NAME, torchvision:NAME or SPACE:ARCH",
        )
    if scheme in _LIBRARIES:
        return (_LIBRARIES[scheme](name),)
    return (_space_source(text),)


def classes_of(network: nn.Module, input_shape: Sequence[int]) -> int:
    """How many classes a network tells apart, from one forward pass on noise.

    Raises
    ------
    StatisticError
        When it does not take inputs of that shape (E440) or returns no logits (E441).
    """
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(2, *input_shape, generator=generator)
    batch = Batch(x, torch.zeros(2, dtype=torch.int64), 1, "noise")
    logits = collect(network, batch, [Statistic("P_s")])[Statistic("P_s")]
    assert isinstance(logits, torch.Tensor)
    return logits.shape[1]


def _space_source(text: str) -> ModelSource:
    from autodas_dsl import spaces

    space, arch = spaces.resolve(text)
    return ModelSource(
        text,
        lambda: space.build(arch),
        tuple(space.input_shape),
        int(space.classes),
    )

"""MODEL as the user writes it, turned into networks that are built when they are needed."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from autodas_dsl.language.inputs import Statistic
from autodas_dsl.language.spans import InputError
from autodas_dsl.statistics.batches import Batch
from autodas_dsl.statistics.collect import collect
from autodas_dsl.statistics.model_files import file_sources
from autodas_dsl.statistics.model_libraries import hf_source, timm_source, torchvision_source
from autodas_dsl.statistics.model_source import ModelSource
from autodas_dsl.statistics.model_spaces import space_source

__all__ = ["ModelSource", "classes_of", "load_models"]

_LIBRARIES = {"hf": hf_source, "timm": timm_source, "torchvision": torchvision_source}
_FILE = re.compile(r"(?P<path>.+?\.py)(?::(?P<wanted>.+))?", re.DOTALL)


def load_models(
    text: str, *, input_shape: Sequence[int] | None = None, classes: int | None = None
) -> tuple[ModelSource, ...]:
    """The networks that a MODEL argument names.

    Parameters
    ----------
    text : str
        ``FILE.py[:NAME]``, ``FILE.py:Name(16, depth=2)``, ``hf:NAME``, ``timm:NAME``,
        ``torchvision:NAME`` or ``SPACE:ARCH``.
    input_shape : sequence of int, optional
        Of one sample, where it is not what the model says.
    classes : int, optional
        Networks of libraries and spaces are built with so many; those of a file have as many as it
        makes them, which it need not say then.

    Returns
    -------
    tuple of ModelSource
        More than one only for a file whose ``models()`` returns several.

    Raises
    ------
    InputError
        E401 to E413, when it names no network.
    """
    told: dict[str, Any] = {} if classes is None else {"classes": classes}
    if input_shape is not None:
        told["input_shape"] = tuple(input_shape)
    return tuple(replace(source, **told) for source in _named(text, classes))


def _named(text: str, classes: int | None) -> tuple[ModelSource, ...]:
    file = _FILE.fullmatch(text)
    if file is not None:
        return file_sources(file["path"], file["wanted"], classes)
    scheme, colon, name = text.partition(":")
    if not colon or not name:
        raise InputError(
            "E409",
            f"{text!r} names no model",
            "give FILE.py[:NAME], hf:NAME, timm:NAME, torchvision:NAME or SPACE:ARCH",
        )
    if scheme in _LIBRARIES:
        return (_LIBRARIES[scheme](name, classes),)
    return (space_source(text, classes),)


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

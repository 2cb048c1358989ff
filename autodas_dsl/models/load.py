"""MODEL as the user writes it, turned into networks that are built when they are needed."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from autodas_dsl.language.errors import InputError
from autodas_dsl.models.files import file_sources
from autodas_dsl.models.libraries import hf_source, timm_source, torchvision_source
from autodas_dsl.models.source import ModelSource
from autodas_dsl.models.spaces import named_source

__all__ = ["ModelSource", "load_model", "load_models"]

_LIBRARIES = {"hf": hf_source, "timm": timm_source, "torchvision": torchvision_source}
MODEL_FILE = re.compile(r"(?P<path>.+?\.py)(?::(?P<wanted>.+))?", re.DOTALL)
"""``FILE.py[:NAME]``"""


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


def load_model(text: str, role: str = "teacher", **told: Any) -> ModelSource:
    """The one network that a MODEL argument names; `told` as `load_models` takes it.

    Raises
    ------
    InputError
        E410 when there are several, or as `load_models`.
    """
    found = load_models(text, **told)
    if len(found) != 1:
        raise InputError(
            "E410", f"{text} holds {len(found)} models, the {role} is one",
            "name a callable that gives one: FILE.py:NAME",
        )  # fmt: skip
    return found[0]


def library_of(text: str) -> str:
    """The library of ``hf:NAME``, ``timm:NAME`` or ``torchvision:NAME``, else nothing."""
    scheme, _, name = text.partition(":")
    return scheme if name and scheme in _LIBRARIES else ""


def _named(text: str, classes: int | None) -> tuple[ModelSource, ...]:
    file = MODEL_FILE.fullmatch(text)
    if file is not None:
        return file_sources(file["path"], file["wanted"], classes)
    scheme, colon, name = text.partition(":")
    if not colon or not name:
        raise InputError(
            "E409",
            f"{text!r} names no model",
            "give FILE.py[:NAME], hf:NAME, timm:NAME, torchvision:NAME or SPACE:ARCH",
        )
    if library_of(text):
        return (_LIBRARIES[scheme](name, classes),)
    return (named_source(text, classes),)

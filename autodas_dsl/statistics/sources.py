"""MODEL as the user writes it, turned into networks that are built when they are needed."""

from __future__ import annotations

import re

from autodas_dsl.language.spans import InputError
from autodas_dsl.statistics.model_files import file_sources
from autodas_dsl.statistics.model_libraries import hf_source, timm_source, torchvision_source
from autodas_dsl.statistics.model_source import ModelSource

__all__ = ["ModelSource", "load_models"]

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


def _space_source(text: str) -> ModelSource:
    from autodas_dsl import spaces

    space, arch = spaces.resolve(text)
    return ModelSource(
        text,
        lambda: space.build(arch),
        tuple(space.input_shape),
        int(space.classes),
    )

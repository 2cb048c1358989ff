"""A language for zero-cost proxies: write, check, compile, score, evolve and print formulas.

The names most users need are importable from here and loaded on first use, so that
``import autodas_dsl`` stays instant.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from autodas_dsl.language.parse import parse as parse

__version__ = "0.1.0"

_HOMES = {
    "parse": "autodas_dsl.language.parse",
}

__all__ = ["__version__", "parse"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'autodas_dsl' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)

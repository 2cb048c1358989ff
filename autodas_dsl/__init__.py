"""A language for zero-cost proxies: write, check, compile, score, evolve and print formulas.

The names most users need are importable from here and loaded on first use, so that
``import autodas_dsl`` stays instant.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from autodas_dsl.api import rank as rank
    from autodas_dsl.api import score as score
    from autodas_dsl.evolution.api import evolve as evolve
    from autodas_dsl.language.library import load as load
    from autodas_dsl.language.parse import parse as parse
    from autodas_dsl.language.proxy import Proxy as Proxy
    from autodas_dsl.printing.show import show as show
    from autodas_dsl.students.find import find_student as find_student
    from autodas_dsl.training.distillation import distill as distill
    from autodas_dsl.training.distillation import train as train

__version__ = "0.2.0"

_HOMES = {
    "Proxy": "autodas_dsl.language.proxy",
    "distill": "autodas_dsl.training.distillation",
    "evolve": "autodas_dsl.evolution.api",
    "find_student": "autodas_dsl.students.find",
    "load": "autodas_dsl.language.library",
    "parse": "autodas_dsl.language.parse",
    "rank": "autodas_dsl.api",
    "score": "autodas_dsl.api",
    "show": "autodas_dsl.printing.show",
    "train": "autodas_dsl.training.distillation",
}

__all__ = [
    "Proxy", "__version__", "distill", "evolve", "find_student", "load", "parse", "rank", "score",
    "show", "train",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'autodas_dsl' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)

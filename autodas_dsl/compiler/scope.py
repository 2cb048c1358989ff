"""The names that operator texts may use."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import torch

from autodas_dsl.compiler import kernels
from autodas_dsl.language.operators import OPERATORS


def scope() -> dict[str, Any]:
    """torch, kernels, math, and as ``own.NAME`` the functions of a user's own operators."""
    own = {entry.name: entry.function for entry in OPERATORS.values() if entry.function}
    return {"torch": torch, "kernels": kernels, "math": math, "own": SimpleNamespace(**own)}

"""What must be the same wherever one piece of work is done, for its results to be the same bits."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import numpy as np
import torch

import autodas_dsl
from autodas_dsl.language.errors import InputError


@cache
def versions() -> dict[str, str]:
    """Of everything that computes on this machine, by name."""
    major, minor, _ = platform.python_version_tuple()
    return {
        "Python": f"{major}.{minor}",
        "autodas-dsl": f"{autodas_dsl.__version__} (code {_code()})",
        "torch": torch.__version__,
        "numpy": np.__version__,
        "processor": f"{platform.machine()} {torch.backends.cpu.get_cpu_capability()}",
    }


def require_same(asked: Mapping[str, str]) -> None:
    """Make sure that this machine computes as another one does.

    Parameters
    ----------
    asked : mapping
        The `versions` of the other one.

    Raises
    ------
    InputError
        E788 when it does not.
    """
    other = {name: own for name, own in versions().items() if own != asked.get(name)}
    if other:
        found = ", ".join(f"{name} {own} and not {asked.get(name)}" for name, own in other.items())
        raise InputError(
            "E788", f"the machine {platform.node()} would compute with {found}",
            "install the same everywhere; about processors see docs/scale.md",
        )  # fmt: skip


def _code() -> str:
    """A hash of the source of this package."""
    digest = hashlib.sha256()
    folder = Path(autodas_dsl.__file__).parent
    for path in sorted(folder.rglob("*.py")):
        digest.update(path.relative_to(folder).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:8]

"""The state of a training run as one safetensors file: tensors, facts in JSON, and their digest."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from autodas_dsl.language.errors import InputError
from autodas_dsl.language.files import write_atomic
from autodas_dsl.statistics.fingerprint import hash_tensors

FORMAT = "autodas-dsl checkpoint 2"
_KEY = "checkpoint"
EVERY = 30.0


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Where the state of a run is kept, and whether to go on from there.

    Parameters
    ----------
    path : Path
        A safetensors file; nothing in it is ever run.
    resume : bool
        Go on from it. Where it does not exist yet, the run begins anew.
    every : float
        Seconds between two of them; the result does not depend on it.
    told : mapping of str to str
        Further options that a resumed run must share: which networks, which data.
    """

    path: Path
    resume: bool = False
    every: float = EVERY
    told: Mapping[str, str] = field(default_factory=dict)


def packed(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Copies in the memory of the processor that share nothing, as safetensors wants them."""
    return {
        name: tensor.detach().to("cpu", copy=True).contiguous() for name, tensor in tensors.items()
    }


def write_weights(path: Path, network: nn.Module) -> None:
    """Write the state of a network as a safetensors file; raises as `write_atomic`."""
    write_atomic(path, save(packed(network.state_dict())))


def write(path: Path, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> None:
    """Write a checkpoint; the file appears whole, or stays the one before.

    Raises
    ------
    InputError
        E517, when it cannot be written.
    """
    held = packed(tensors)
    text = json.dumps(facts)
    # one key: safetensors keeps several in no order
    head = json.dumps({"format": FORMAT, "facts": text, "sha256": _digest(held, text)})
    write_atomic(path, save(held, metadata={_KEY: head}))


def read(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors and facts of a checkpoint.

    Raises
    ------
    InputError
        E745, when the file is damaged or no checkpoint.
    """
    try:
        with safe_open(path, "pt") as stored:
            head = json.loads((stored.metadata() or {})[_KEY])
            tensors = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118
        if head["format"] == FORMAT and head["sha256"] == _digest(tensors, head["facts"]):
            return tensors, json.loads(head["facts"])
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        raise damaged(path) from error
    raise damaged(path)


def damaged(path: Path) -> InputError:
    """The diagnostic for a file that holds no state of a run."""
    return InputError(
        "E745", f"{path} is no checkpoint, or is damaged; nothing in it was run",
        "begin anew: --force replaces it",
    )  # fmt: skip


def _digest(tensors: Mapping[str, Tensor], facts: str) -> str:
    return hashlib.sha256(f"{facts}\n{hash_tensors(tensors)}".encode()).hexdigest()

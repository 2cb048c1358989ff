"""Weights from files: safetensors, npz, or torch files that hold nothing but plain data."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from autodas_dsl.language.errors import InputError
from autodas_dsl.language.foreign import foreign, one_line

_TORCH = (".pt", ".pth", ".bin", ".ckpt", ".tar")


def load_weights(network: nn.Module, path: str | Path) -> None:
    """Load a state dict into a network; all names and shapes must match, or nothing is loaded.

    Parameters
    ----------
    path : str or Path
        ``.safetensors``, ``.npz``, or a torch file, which is read with ``weights_only=True``: a
        file that holds anything but plain data is refused and nothing in it is run. A state dict
        may lie under ``state_dict`` or ``model`` in it.

    Raises
    ------
    InputError
        E407, when the file cannot be read or does not fit.
    """
    path = Path(path)
    state = _read(path)
    own = network.state_dict()
    missing = sorted(own.keys() - state.keys())
    unexpected = sorted(state.keys() - own.keys())
    if missing or unexpected:
        parts = [f"no {missing[0]!r} ({len(missing)} missing)"] if missing else []
        parts += [f"an unknown {unexpected[0]!r} ({len(unexpected)} unknown)"] if unexpected else []
        raise InputError(
            "E407",
            f"{path.name} has {' and '.join(parts)}",
            "the weights must be those of this very architecture",
        )
    for name, tensor in own.items():
        if state[name].shape != tensor.shape:
            raise InputError(
                "E407",
                f"{name!r} is {list(state[name].shape)} in {path.name}, but {list(tensor.shape)} "
                "in the network",
                "the weights must be those of this very architecture and number of classes",
            )
    network.load_state_dict(state)


def _read(path: Path) -> dict[str, Tensor]:
    if not path.is_file():
        raise InputError("E407", f"there is no file of weights {path}")
    readers: dict[str, Callable[[Path], dict[str, Tensor]]]
    readers = {".safetensors": load_file, ".npz": _npz, **dict.fromkeys(_TORCH, _torch)}
    reader = readers.get(path.suffix)
    if reader is None:
        raise InputError(
            "E407",
            f"{path.name} is no file of weights",
            "give .safetensors, .npz, or a torch file (.pt, .pth) of plain tensors",
        )

    def describe(error: BaseException) -> InputError:
        return InputError("E407", f"{path.name} cannot be read: {one_line(error)}")

    with foreign(describe):
        return reader(path)


def load_plain(path: Path, describe: Callable[[BaseException], InputError]) -> Any:
    """What a torch file holds, when that is plain data; nothing in the file is ever run.

    A damaged file makes torch raise nearly anything; `describe` turns it into a diagnostic.
    """
    with foreign(describe), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.load(path, map_location="cpu", weights_only=True)


def _npz(path: Path) -> dict[str, Tensor]:
    with np.load(path, allow_pickle=False) as stored:
        return {name: torch.from_numpy(stored[name]) for name in stored.files}


def _torch(path: Path) -> dict[str, Tensor]:
    def describe(error: BaseException) -> InputError:
        return InputError(
            "E407",
            f"{path.name} holds more than plain tensors, or is damaged; nothing in it was run",
            "save a state dict: torch.save(model.state_dict(), FILE)",
        )

    found = load_plain(path, describe)
    for key in ("state_dict", "model"):
        if isinstance(found, Mapping) and isinstance(found.get(key), Mapping):
            found = found[key]
    if not isinstance(found, Mapping) or not all(isinstance(v, Tensor) for v in found.values()):
        raise InputError(
            "E407",
            f"{path.name} holds no state dict",
            "save one: torch.save(model.state_dict(), FILE)",
        )
    return {str(name): tensor for name, tensor in found.items()}

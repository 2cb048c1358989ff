"""What the value of a statistic depends on, as one key."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping
from functools import lru_cache
from pathlib import Path

import torch
from torch import Tensor, nn

from autodas_dsl.data.batches import Batch
from autodas_dsl.language.inputs import Statistic, definition_of


def fingerprint(
    architecture: str,
    network: nn.Module,
    batch: Batch,
    wanted: Collection[Statistic],
    *,
    seed: int = 0,
    dtype: torch.dtype | None = None,
    features: Mapping[str, str] | None = None,
) -> str:
    """A key that is equal only where `collect` would give the same numbers.

    It covers the architecture, the weights and buffers, the batch, the statistics with their
    probes, the seed, precision, features named by the user, device, number of threads, torch and
    the code that collects. The whole set of statistics counts, because one that is differentiated
    twice makes attention run in plain arithmetic.

    Parameters
    ----------
    architecture : str
        Text of the architecture, or the name of the model.

    Returns
    -------
    str
        64 hexadecimal digits.
    """
    first = next(network.parameters(), torch.empty(0))
    parts = {
        "architecture": architecture,
        "weights": hash_tensors(network.state_dict(keep_vars=True)),
        "batch": hash_tensors({"x": batch.x, "y": batch.y}),
        "classes": batch.classes,
        "statistics": sorted(map(definition_of, wanted)),
        "seed": seed,
        "dtype": str(dtype or first.dtype),
        "features": sorted((features or {}).items()),
        "device": device_name(first.device),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "code": code_version(),
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def device_name(device: torch.device | str) -> str:
    """What rounds alike: the kind of a device, and which GPU."""
    kind = torch.device(device)
    return torch.cuda.get_device_name(kind) if kind.type == "cuda" else kind.type


def hash_tensors(tensors: Mapping[str, Tensor]) -> str:
    """A hash of names, shapes, types and bytes."""
    digest = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(raw(tensor))
    return digest.hexdigest()


def hash_values(tensors: Iterable[Tensor]) -> str:
    """A short hash of bytes alone, which headers of tables say."""
    digest = hashlib.sha256()
    for tensor in tensors:
        digest.update(raw(tensor))
    return digest.hexdigest()[:16]


def raw(tensor: Tensor) -> memoryview:
    """The bytes of a tensor, without a copy where it is contiguous and on the CPU."""
    flat = tensor.detach().cpu().contiguous().flatten()
    return flat.view(torch.uint8).numpy().data if flat.numel() else memoryview(b"")


@lru_cache(maxsize=1)
def code_version() -> str:
    """A hash of the source of this package: another version never reads its values."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()

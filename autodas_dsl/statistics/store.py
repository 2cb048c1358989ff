"""Collected statistics on disk, one safetensors file per fingerprint."""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from autodas_dsl.language.errors import InputError
from autodas_dsl.language.files import replacing
from autodas_dsl.language.folders import cache_folder
from autodas_dsl.language.inputs import INPUTS, Statistic
from autodas_dsl.statistics.collect import Collected, Value
from autodas_dsl.statistics.fingerprint import raw

BUDGET = 4 << 30
_SUFFIX = ".safetensors"
_ANY = Statistic("")
_SHARING = 8  # processes that may fill the room together without looking


def user_store() -> Store | None:
    """The store in the user's cache folder; None where that may not be used."""
    folder = cache_folder()
    return Store(folder / "statistics") if folder else None


class Store:
    """A folder of collected statistics under a byte budget; the least recently used goes first.

    Files appear whole or not at all, are read through memory maps, and carry a checksum: a damaged
    one counts as absent and is replaced. Several processes may share the folder.

    Parameters
    ----------
    folder : Path
    budget : int
        Bytes that the files may take together.
    """

    def __init__(self, folder: Path, budget: int = BUDGET) -> None:
        self.folder = folder
        self.budget = budget
        self._spare = 0  # bytes that may be written before the folder is looked through again

    def path(self, key: str) -> Path:
        return self.folder / f"{key}{_SUFFIX}"

    def fetch(self, key: str, make: Callable[[], Collected]) -> Collected:
        """What is stored under a key, or what `make` returns, which is then stored."""
        found = self.get(key)
        if found is None:
            found = make()
            self.put(key, found)
        return found

    def get(self, key: str) -> Collected | None:
        """What is stored under a key; None when there is nothing, or nothing intact."""
        path = self.path(key)
        try:
            with safe_open(path, framework="pt") as file:
                described = json.loads((file.metadata() or {}).get("collected", "null"))
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            os.utime(path)
        except (SafetensorError, ValueError, OSError, RecursionError):
            return None
        if not isinstance(described, dict) or described.get("checksum") != _checksum(tensors):
            return None
        try:
            return _unpacked(described, tensors)
        except (LookupError, TypeError, ValueError, AttributeError):
            return None

    def put(self, key: str, collected: Collected) -> None:
        """Store under a key; nothing is stored when it alone is beyond the budget.

        Raises
        ------
        InputError
            E650, when the folder cannot be written to.
        """
        described, tensors = _packed(collected)
        if sum(t.nbytes for t in tensors.values()) > self.budget:
            return
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with replacing(self.path(key)) as temporary:
                save_file(dict(tensors), temporary, {"collected": described})
                self._spare -= temporary.stat().st_size
            if self._spare < 0:
                self._evict(keep=self.path(key))
        except (OSError, SafetensorError) as error:
            raise InputError(
                "E650",
                f"statistics cannot be stored in {self.folder}: {error}",
                "free some space, or give another folder",
            ) from error

    def _evict(self, keep: Path) -> None:
        used: list[tuple[float, int, Path]] = []
        for path in self.folder.glob(f"[!.]*{_SUFFIX}"):
            try:
                status = path.stat()
            except FileNotFoundError:  # another process was faster
                continue
            used.append((status.st_mtime, status.st_size, path))
        total = sum(size for _, size, _ in used)
        for _, size, path in sorted(used):
            if total <= self.budget:
                break
            if path != keep:
                path.unlink(missing_ok=True)
                total -= size
        self._spare = (self.budget - total) // _SHARING


def _packed(collected: Collected) -> tuple[str, dict[str, Tensor]]:
    tensors: dict[str, Tensor] = {}
    values = []
    for number, (statistic, value) in enumerate(sorted(collected.values.items())):
        entries = value if isinstance(value, tuple) else (value,)
        for entry, tensor in enumerate(entries):
            own = tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
            tensors[f"{number}/{entry}"] = own
        length = len(value) if isinstance(value, tuple) else None
        values.append({"statistic": asdict(statistic), "entries": length})
    described = {
        "values": values,
        "layers": dict(collected.layers),
        "taken": dict(collected.taken),
        "checksum": _checksum(tensors),
    }
    return json.dumps(described, sort_keys=True), tensors


def _unpacked(described: dict[str, Any], tensors: Mapping[str, Tensor]) -> Collected:
    """What a file holds.

    Raises
    ------
    LookupError, TypeError, ValueError, AttributeError
        When it describes no collected statistics.
    """
    values: dict[Statistic, Value] = {}
    layers = {_text(name): tuple(map(_text, names)) for name, names in described["layers"].items()}
    taken = {_text(name): _text(what) for name, what in described["taken"].items()}
    for number, entry in enumerate(described["values"]):
        length = entry["entries"]
        statistic = _statistic(entry["statistic"])
        if length is None:
            values[statistic] = tensors[f"{number}/0"]
        else:
            values[statistic] = tuple(tensors[f"{number}/{i}"] for i in range(length))
    return Collected(values, layers, taken)


def _statistic(described: dict[str, Any]) -> Statistic:
    found = Statistic(**described)
    if found.base not in INPUTS or any(
        type(value) is not type(getattr(_ANY, name)) for name, value in asdict(found).items()
    ):
        raise ValueError("no statistic")
    return found


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("no text")
    return value


def _checksum(tensors: Mapping[str, Tensor]) -> int:
    total = 0
    for name, tensor in sorted(tensors.items()):
        total = zlib.crc32(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode(), total)
        total = zlib.crc32(raw(tensor), total)
    return total

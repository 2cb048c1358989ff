"""Tensors that lie on disk until something is computed of them."""

from __future__ import annotations

import weakref
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile

import torch
from torch import Tensor

from autodas_dsl.language.errors import InputError


class Shelved(Tensor):
    """A tensor on a shelf, as one without data: of its shape and type on the device ``meta``."""

    shelf: Shelf
    home: torch.device
    offset: int
    checksum: int


class Shelf:
    """A file of tensors without a name, so that it is gone with its process, however that ends.

    Parameters
    ----------
    folder : Path, optional
        By default the system's for temporary files.

    Raises
    ------
    InputError
        E793, also of `put`, when the file cannot be made or does not hold the tensor.
    """

    def __init__(self, folder: Path | None) -> None:
        with _writing(folder):
            self._file = TemporaryFile(buffering=0, dir=folder)  # noqa: SIM115
        self._folder, self._end = folder, 0
        weakref.finalize(self, self._file.close)

    def put(self, tensor: Tensor) -> Tensor:
        """Lay a tensor on the shelf; `loaded` gives it back with its bits, its strides and on its
        device."""
        own = tensor.detach().clone().cpu()
        data = _bytes(own)
        with _writing(self._folder):
            self._file.seek(self._end)
            left = data
            while left:
                left = left[self._file.write(left) :]
        empty = torch.empty_strided(own.shape, own.stride(), dtype=own.dtype, device="meta")
        shelved = empty.as_subclass(Shelved)
        shelved.shelf, shelved.home = self, tensor.device
        shelved.offset, shelved.checksum = self._end, zlib.crc32(data)
        self._end += len(data)
        return shelved

    def take(self, shelved: Shelved) -> Tensor:
        """Read a tensor.

        Raises
        ------
        InputError
            E794 when the file does not hold what was written.
        """
        read = torch.empty_strided(shelved.shape, shelved.stride(), dtype=shelved.dtype)
        data = _bytes(read)
        try:
            self._file.seek(shelved.offset)
            left = data
            while left and (count := self._file.readinto(left)):
                left = left[count:]
        except OSError as error:
            raise _damaged(error.strerror or str(error)) from error
        if left or zlib.crc32(data) != shelved.checksum:
            raise _damaged("they are not what was written")
        return read.to(shelved.home)


def loaded(tensor: Tensor) -> Tensor:
    """A tensor in memory, read where it lies on a shelf."""
    return tensor.shelf.take(tensor) if isinstance(tensor, Shelved) else tensor


def _bytes(tensor: Tensor) -> memoryview:
    """The memory of a tensor without gaps, in the order in which it lies there."""
    flat = tensor.as_strided((tensor.numel(),), (1,)).view(torch.uint8)
    return flat.numpy().data


@contextmanager
def _writing(folder: Path | None) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise InputError(
            "E793",
            f"statistics cannot be kept in {folder or 'the folder for temporary files'}: "
            f"{error.strerror or error}",
            "free some space, raise --memory, or search with --thin or fewer --inputs",
        ) from error


def _damaged(why: str) -> InputError:
    return InputError(
        "E794", f"statistics that were kept on disk cannot be read: {why}",
        "check the disk; evolve --resume goes on with the run",
    )  # fmt: skip

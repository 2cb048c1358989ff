"""Tensors on disk come back with their bits, or not at all."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

from autodas_dsl.compiler.shelf import Shelf, loaded
from autodas_dsl.language.errors import InputError

TENSORS = (
    torch.rand(3, 5, 2), torch.rand(4, 3, 2).transpose(1, 2), torch.rand(6, 6)[:, ::2],
    torch.zeros(0, 4), torch.tensor(float("nan"), dtype=torch.float64),
    torch.rand(7).to(torch.bfloat16),
)  # fmt: skip


def _bits(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.contiguous().reshape(-1).view(torch.uint8)


def test_tensors_come_back_with_their_bits_and_strides(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    shelved = [shelf.put(tensor) for tensor in TENSORS]
    for tensor, one in zip(TENSORS, shelved, strict=True):
        assert (one.shape, one.dtype) == (tensor.shape, tensor.dtype)
        read = loaded(one)
        assert read.stride() == tensor.clone().stride()
        assert torch.equal(_bits(read), _bits(tensor))
        assert loaded(tensor) is tensor
    assert not list(tmp_path.iterdir()), "the file has no name"


@pytest.mark.parametrize("cut", [False, True])
def test_a_damaged_file_gives_no_number(tmp_path: Path, cut: bool) -> None:
    shelf = Shelf(tmp_path)
    one, other = shelf.put(torch.ones(64)), shelf.put(torch.ones(64))
    descriptor = shelf._file.fileno()
    os.ftruncate(descriptor, 300) if cut else os.pwrite(descriptor, b"\1", 400)
    assert torch.equal(loaded(one), torch.ones(64))
    with pytest.raises(InputError, match="E794"):
        loaded(other)


def test_a_full_disk_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "autodas_dsl.compiler.shelf.TemporaryFile",
        lambda **_: Path("/dev/full").open("w+b", buffering=0),  # noqa: SIM115,
    )
    with pytest.raises(InputError, match=r"E793.*No space left") as caught:
        Shelf(tmp_path).put(torch.ones(9))
    assert "--memory" in str(caught.value)


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"E793.*No such file"):
        Shelf(tmp_path / "none")

"""Samples at hand: pairs, data sets and loaders, from Python."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, IterableDataset, TensorDataset

import autodas_dsl
from autodas_dsl.data.batches import Batch
from autodas_dsl.data.samples import as_batch
from autodas_dsl.language.errors import InputError
from autodas_dsl.training.recipe import Recipe

X = torch.randn(8, 1, 6, 6, generator=torch.Generator().manual_seed(0))
Y = torch.tensor([0, 1, 2, 0, 1, 2, 0, 1])
SET = TensorDataset(X, Y)


class Stream(IterableDataset):
    def __iter__(self) -> Iterator[tuple[Tensor, int]]:
        yield from zip(X, Y.tolist(), strict=True)


class Items(Dataset):
    """A data set of whatever it is given."""

    def __init__(self, *items: Any) -> None:
        self.items = items

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, place: int) -> Any:
        item = self.items[place]
        if isinstance(item, BaseException):
            raise item
        return item


class Pair:
    x, y = X, Y


FORMS = [
    (X, Y), [X, Y], (X.numpy(), Y.numpy()), (X.numpy().astype(np.float64), Y.tolist()), Pair(),
    Batch(X, Y, 3, "mine"), SET, DataLoader(SET, batch_size=3), Stream(),
    DataLoader(Stream(), batch_size=3), DataLoader(SET, batch_size=None),
    Items(*((x.numpy(), np.int64(y)) for x, y in zip(X, Y, strict=True))),
]  # fmt: skip


@pytest.mark.parametrize("data", FORMS, ids=lambda data: type(data).__name__)
def test_every_form_holds_the_same_samples(data: Any) -> None:
    for batch in (as_batch(data), as_batch(data, everything=True)):
        assert torch.equal(batch.x, X)
        assert torch.equal(batch.y, Y)
        assert batch.classes == 3
        assert batch.y.dtype == torch.int64


def test_how_many_are_taken() -> None:
    many = TensorDataset(X.repeat(20, 1, 1, 1), Y.repeat(20))
    assert as_batch(many).size == 64
    assert "64 of 160 samples (seed 0)" in as_batch(many).source
    assert as_batch(many, everything=True).size == 160
    assert as_batch(DataLoader(many, batch_size=50)).size == 64
    assert "the first 64 samples" in as_batch(DataLoader(many, batch_size=50)).source
    assert as_batch((many.tensors[0], many.tensors[1])).size == 160
    one, again, other = (as_batch(many, size=5, seed=seed) for seed in (0, 0, 1))
    assert torch.equal(one.x, again.x)
    assert not torch.equal(one.x, other.x)
    for data in ((X, Y), SET, DataLoader(SET, batch_size=3)):
        assert as_batch(data, size=5).size == 5
        with pytest.raises(InputError, match=r"E425.*8 samples, 9"):
            as_batch(data, size=9)


def test_a_shuffling_loader_leaves_the_random_state() -> None:
    loader = DataLoader(SET, batch_size=8, shuffle=True)
    torch.manual_seed(3)
    state = torch.get_rng_state()
    first = as_batch(loader)
    assert torch.equal(state, torch.get_rng_state())
    assert torch.equal(first.x, as_batch(loader).x)
    assert not torch.equal(first.x, as_batch(loader, seed=1).x)


def test_the_classes_of_a_data_set_count() -> None:
    data = TensorDataset(X, Y)
    data.classes = ["a", "b", "c", "d"]
    assert as_batch(data).classes == 4
    assert as_batch(DataLoader(data, batch_size=3)).classes == 4


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (3, "E430.*of type int"),
        (X, r"E430.*a tensor of float32 \[8, 1, 6, 6\]: inputs without labels"),
        ((X,), "E430.*a tuple of 1: Tensor"),
        ((X, Y, Y), "E430.*a tuple of 3"),
        ([], "E430.*empty"),
        ((X, None), "E430.*a tuple of 2: Tensor, NoneType"),
        ({"x": X, "y": Y}, "E430.*a dict of 'x', 'y'"),
        (zip(X, Y, strict=True), "E430.*of type zip"),
        ((X, Y[:5]), "E421.*8 inputs and 5 labels"),
        (((X * 255).to(torch.uint8), Y), "E421.*a tensor of uint8.*\n.*x / 255"),
        ((X[:0], Y[:0]), "E421"),
        ((X * torch.nan, Y), "E426"),
        ((X, Y.float()), r"E427.*a tensor of float32 \[8\].*\n.*one whole number"),
        ((X, torch.eye(8, dtype=torch.int64)), r"E427.*\[8, 8\].*\n.*argmax"),
        ((X, Y - 1), "E422.*label -1"),
        ((X, ["cat"] * 8), "E430.*labels are an array of"),
        ((X, [1, [2]] * 4), "E4"),
        ((np.array(["a", "b"]), [0, 1]), "E430.*inputs are an array of"),
        (Items(), "E425.*holds 0 samples"),
        (Items(X[0], X[1]), "E430.*Items gives a tensor of float32"),
        (Items({"image": X[0], "label": 0}), "E430.*Items gives a dict of 'image', 'label'"),
        (Items((object(), 0)), "E430.*inputs of the Items are of type object.*\n.*ToTensor"),
        (Items((X[0], 0), (X[0, :, :4], 0)), r"E421.*shapes \[1, 4, 6\] and \[1, 6, 6\]"),
        (Items((X[0], torch.eye(3)[0])), "E427"),
        (Items((X[0], 0), KeyError("lost")), "E431.*reading the Items fails: KeyError: 'lost'"),
        (DataLoader(Items({"image": X[0], "label": 0})), "E430.*DataLoader gives a dict"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_what_else_was_given_is_said(data: Any, message: str) -> None:
    with pytest.raises(InputError, match=message) as error:
        as_batch(data)
    assert "help: " in str(error.value) or "E426" in str(error.value)


# --- the functions that take them ---------------------------------------------------------------


def network(classes: int = 3) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, classes)
    )


@pytest.mark.parametrize("data", FORMS, ids=lambda data: type(data).__name__)
def test_score_and_distill_take_every_form(data: Any) -> None:
    wanted = autodas_dsl.score(network(), "snip", data=(X, Y)).scores[0].score
    assert autodas_dsl.score(network(), "snip", data=data).scores[0].score == wanted

    def losses(given: Any) -> tuple[float, ...]:
        return autodas_dsl.distill(
            network(), network(), given, held_out=given, recipe=Recipe(steps=2)
        ).losses

    assert np.isfinite(losses(data)).all()
    assert len(losses(data)) == 2


def test_score_draws_labels_for_inputs_alone() -> None:
    result = autodas_dsl.score(network(5), ["params", "snip"], data=X)
    assert all(row.valid for row in result.scores)
    assert any("labels random from 5 classes" in note for note in result.notes)
    with pytest.raises(InputError, match="E430"):
        autodas_dsl.distill(network(), network(), X)


def test_others_take_them_too() -> None:
    x = torch.randn(4, 1, 8, 8)
    data = (x, torch.tensor([0, 1, 2, 3]))
    table = autodas_dsl.rank("digits-resnet", "l2_norm", data=data, limit=5)
    assert any("samples as given: all 4 samples" in note for note in table.notes)
    found = autodas_dsl.find_student(
        "digits-resnet", "l2_norm", data=TensorDataset(*data), budget=5, top=1
    )
    assert any("TensorDataset: all 4 samples" in note for note in found.notes)
    for refuse in (
        lambda: autodas_dsl.rank("digits-resnet", "l2_norm", data=3),
        lambda: autodas_dsl.find_student("digits-resnet", "l2_norm", data=3),
        lambda: autodas_dsl.evolve("digits-resnet", data=3),
        lambda: autodas_dsl.score(network(), "snip", data={}),
    ):
        with pytest.raises(InputError, match="E430"):
            refuse()

"""Batches: what is read, how samples are chosen, and what is refused."""

from __future__ import annotations

import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from autodas_dsl.data.batches import Batch, load_batch
from autodas_dsl.data.digits import load_digits
from autodas_dsl.language.errors import InputError


@pytest.fixture
def store(tmp_path: Path):
    def store(**arrays: Any) -> str:
        np.savez(tmp_path / "data.npz", **arrays)
        return str(tmp_path / "data.npz")

    return store


X = np.random.default_rng(0).standard_normal((20, 3, 4, 4)).astype(np.float32)
IMAGES = np.random.default_rng(1).integers(0, 256, (20, 4, 4, 3)).astype(np.uint8)
Y = np.arange(20) % 5


def test_floating_arrays_are_used_as_stored(store) -> None:
    batch = load_batch(store(x=X, y=Y), input_shape=(3, 4, 4), classes=5)
    assert torch.equal(batch.x, torch.from_numpy(X))
    assert batch.y.tolist() == Y.tolist()
    assert batch.y.dtype == torch.int64
    assert (batch.classes, batch.size) == (5, 20)
    assert batch.source == "data.npz: all 20 samples, used as stored, no augmentation"


def test_images_are_scaled_and_normalised_and_it_says_so(store) -> None:
    batch = load_batch(store(x=IMAGES, y=Y), input_shape=(3, 4, 4))
    assert batch.x.shape == (20, 3, 4, 4)
    scaled = np.moveaxis(IMAGES, 3, 1) / 255
    mean, std = scaled.mean((0, 2, 3)), scaled.std((0, 2, 3))
    exact = (scaled - mean[:, None, None]) / std[:, None, None]
    assert np.allclose(batch.x, exact, atol=1e-6)
    for part in ("uint8 NHWC", "scaled to [0, 1]", "normalised per channel", f"{mean[0]:.4f}"):
        assert part in batch.source
    assert batch.classes == 5


def test_a_part_is_normalised_by_the_whole(store) -> None:
    path = store(x=IMAGES, y=Y)
    part, whole = load_batch(path, size=6), load_batch(path)
    rows = [whole.x.tolist().index(row) for row in part.x.tolist()]
    assert rows == sorted(rows)
    assert part.y.tolist() == [int(whole.y[i]) for i in rows]
    assert "6 of 20 samples (seed 0)" in part.source


def test_other_layouts_of_images(store) -> None:
    first = load_batch(store(x=np.moveaxis(IMAGES, 3, 1), y=Y))
    last = load_batch(store(x=IMAGES, y=Y))
    assert torch.equal(first.x, last.x)
    assert load_batch(store(x=IMAGES[..., 0], y=Y)).x.shape == (20, 1, 4, 4)
    ambiguous = np.zeros((20, 3, 3, 3), np.uint8)
    assert "NCHW" in load_batch(store(x=ambiguous, y=Y), input_shape=(3, 3, 3)).source
    constant = load_batch(store(x=ambiguous, y=Y))
    assert not constant.x.any()


def test_the_choice_depends_on_the_seed_alone(store) -> None:
    path = store(x=X, y=Y)
    first = load_batch(path, size=8, seed=1)
    np.random.seed(3)  # noqa: NPY002
    assert torch.equal(first.x, load_batch(path, size=8, seed=1).x)
    assert not torch.equal(first.x, load_batch(path, size=8, seed=2).x)


def test_classes_are_those_of_the_whole_file(store) -> None:
    assert load_batch(store(x=X, y=np.arange(20)), size=1).classes == 20


def test_precision(store) -> None:
    path = store(x=X.astype(np.float64), y=Y)
    assert load_batch(path).x.dtype == torch.float32
    assert load_batch(path, dtype=torch.float64).x.dtype == torch.float64


def test_digits() -> None:
    batch = load_batch("digits", input_shape=(1, 8, 8), classes=10)
    assert batch.x.shape == (64, 1, 8, 8)
    assert "64 of 300 samples (seed 0), scaled to [0, 1], normalised" in batch.source
    everything = load_batch("digits", size=300)
    assert abs(float(everything.x.mean())) < 1e-6
    assert float(everything.x.std()) == pytest.approx(1, abs=1e-3)


def test_digits_are_those_of_scikit_learn() -> None:
    from sklearn import datasets

    images, labels = load_digits()
    known = datasets.load_digits()
    np.testing.assert_array_equal(images, known.images)
    np.testing.assert_array_equal(labels, known.target)


def test_the_part_of_the_digits_for_testing() -> None:
    from autodas_dsl.training.digits import digits

    train, test = load_batch("digits", everything=True), load_batch("digits", test=True, size=897)
    assert torch.equal(test.y, digits().test.y)
    assert not (train.x[:, None] == test.x[None, :9]).flatten(2).all(2).any()


def test_images_to_test_on_are_normalised_as_those_to_train_on(store) -> None:
    train = load_batch(store(x=IMAGES[:10], y=Y[:10]))
    test = load_batch(store(x=IMAGES[10:], y=Y[10:]), like=train)
    pixels = np.moveaxis(IMAGES, 3, 1) / 255
    mean, std = pixels[:10].mean((0, 2, 3)), pixels[:10].std((0, 2, 3))
    expected = (pixels[10:] - mean[:, None, None]) / std[:, None, None]
    np.testing.assert_allclose(test.x.numpy(), expected, rtol=1e-5, atol=1e-6)


def test_noise() -> None:
    batch = load_batch("noise", size=500, input_shape=(3, 4, 4), classes=7)
    assert batch.x.shape == (500, 3, 4, 4)
    assert set(batch.y.tolist()) == set(range(7))
    assert float(batch.x.std()) == pytest.approx(1, abs=0.05)
    assert "random labels" in batch.source
    assert torch.equal(batch.x, load_batch("noise", size=500, input_shape=(3, 4, 4), classes=7).x)
    assert "inputs of shape 3x4x4 with random labels from 7 classes" in batch.source


@pytest.mark.parametrize(
    ("told", "message"),
    [
        ({}, "the shape of one input and the number of classes, which.*\n.*"
             "--input-shape 3x32x32 --classes 10 with"),
        ({"classes": 3}, "needs the shape of one input, which.*\n.*--input-shape 3x32x32 with"),
        ({"input_shape": (3, 4, 4)}, "needs the number of classes, which.*\n.*add --classes 10 with"),
    ],
)  # fmt: skip
def test_noise_of_an_unknown_shape(told: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=f"E428.*{message}"):
        load_batch("noise", size=5, **told)


def test_images_are_resized_to_what_the_network_takes(store) -> None:
    batch = load_batch(store(x=IMAGES, y=Y), input_shape=(3, 8, 8))
    same = load_batch(store(x=IMAGES, y=Y), input_shape=(3, 4, 4))
    assert batch.x.shape == (20, 3, 8, 8)
    assert "resized to 8x8 (bilinear), scaled" in batch.source
    assert "resized" not in same.source
    torch.testing.assert_close(
        torch.nn.functional.interpolate(same.x, size=(8, 8), mode="bilinear"), batch.x
    )


@pytest.mark.parametrize(
    ("arrays", "options", "message"),
    [
        ({"x": X}, {}, "E421.*no array 'y', only x"),
        ({"y": Y}, {}, "E421.*no array 'x'"),
        ({"x": X, "y": Y[:7]}, {}, "E421.*7 labels"),
        ({"x": X, "y": Y.astype(float)}, {}, "E427.*float64"),
        ({"x": X, "y": np.eye(20, dtype=int)}, {}, "E427"),
        ({"x": X.astype(int), "y": Y}, {}, "E421.*int64"),
        ({"x": X, "y": Y}, {"classes": 4}, "E422.*label 4.*0 to 3"),
        ({"x": X, "y": Y - 1}, {"classes": 4}, "E422.*label -1"),
        ({"x": X, "y": Y}, {"classes": 0}, "E422.*at least one class"),
        ({"x": X, "y": Y}, {"input_shape": (3, 8, 8)}, r"E423.*\[3, 4, 4\].*\[3, 8, 8\]"),
        ({"x": IMAGES, "y": Y}, {"input_shape": (1, 4, 4)}, "E423"),
        ({"x": IMAGES[:, 0, 0], "y": Y}, {}, "E423"),
        ({"x": np.moveaxis(X, 1, 3), "y": Y}, {"input_shape": (3, 4, 4)}, "E423"),
        ({"x": X, "y": Y}, {"size": 21}, "E425.*has 20 samples, 21"),
        ({"x": X, "y": Y}, {"size": 0}, "E425"),
        ({"x": X * np.nan, "y": Y}, {}, "E426"),
        ({"x": X[:0], "y": Y[:0]}, {}, "E425.*has 0 samples"),
        ({"x": np.array([{}] * 20, dtype=object), "y": Y}, {}, "E420"),
    ],
)
def test_bad_arrays(store, arrays: dict, options: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        load_batch(store(**arrays), **options)


def test_no_data(tmp_path: Path) -> None:
    damaged = tmp_path / "damaged.npz"
    damaged.write_bytes(b"PK nothing")
    (tmp_path / "empty.npz").write_bytes(b"")
    for spec in (
        "nonsense",
        str(tmp_path / "missing.npz"),
        str(damaged),
        str(tmp_path / "empty.npz"),
    ):
        with pytest.raises(InputError, match="E420"):
            load_batch(spec)


# -- pictures ----------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    image = pytest.importorskip("PIL.Image")
    for label, name in enumerate(("ant", "bee")):
        (tmp_path / "set" / name).mkdir(parents=True)
        for i in range(3):
            pixels = np.full((6, 5 + i, 3), 40 * label + 10 * i, np.uint8)
            image.fromarray(pixels).save(tmp_path / "set" / name / f"{i}.png")
    (tmp_path / "set" / "notes.txt").write_text("not an image")
    (tmp_path / "set" / ".hidden").mkdir()
    return tmp_path / "set"


def test_a_folder_of_images(folder: Path) -> None:
    batch = load_batch(str(folder), input_shape=(3, 4, 4))
    assert batch.x.shape == (6, 3, 4, 4)
    assert batch.y.tolist() == [0, 0, 0, 1, 1, 1]
    assert batch.classes == 2
    assert "resized to 4x4 (bilinear)" in batch.source
    assert load_batch(str(folder), input_shape=(1, 4, 4)).x.shape == (6, 1, 4, 4)
    assert load_batch(str(folder), size=1).x.shape[:3] == (1, 3, 6)
    assert load_batch(str(folder), input_shape=(3, 4, 4), classes=10).classes == 10


def test_images_that_do_not_decode(folder: Path) -> None:
    (folder / "ant" / "0.png").write_bytes(b"no image")
    with pytest.raises(InputError, match=r"E424.*0\.png does not decode"):
        load_batch(str(folder), input_shape=(3, 4, 4))


def test_folders_without_images(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "bare").mkdir()
    with pytest.raises(InputError, match=r"E421.*no images in sub-folders"):
        load_batch(str(tmp_path / "bare"))
    with pytest.raises(InputError, match=r"E425.*has 6 samples, 7"):
        load_batch(str(folder), size=7, input_shape=(3, 4, 4))
    with pytest.raises(InputError, match=r"E422.*label 1"):
        load_batch(str(folder), input_shape=(3, 4, 4), classes=1)
    with pytest.raises(InputError, match=r"E423.*channels"):
        load_batch(str(folder), input_shape=(4, 4, 4))
    with pytest.raises(InputError, match=r"E423.*no images"):
        load_batch(str(folder), input_shape=(12,))


def test_pillow_missing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "PIL.Image", None)
    with pytest.raises(InputError, match=r"E414.*needs Pillow.*does not import"):
        load_batch(str(folder))
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(InputError, match=r"E405.*needs Pillow.*not installed"):
        load_batch(str(folder))


class OnDisk:
    """Looks like a torchvision data set."""

    def __init__(self, root: str, train: bool = True, download: bool = True) -> None:
        assert not download
        if root != "here":
            raise RuntimeError("Dataset not found or corrupted.")
        self.targets = [0, 1, 2, 0] if train else [2, 1]
        self.classes = ["a", "b", "c"]

    def __getitem__(self, index: int) -> tuple[Any, int]:
        from PIL import Image

        return Image.fromarray(np.full((8, 8), 60 * index, np.uint8)), self.targets[index]


def test_torchvision_data_is_read_from_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("PIL.Image")
    datasets = types.ModuleType("torchvision.datasets")
    datasets.OnDisk = OnDisk
    monkeypatch.setitem(sys.modules, "torchvision", types.ModuleType("torchvision"))
    monkeypatch.setitem(sys.modules, "torchvision.datasets", datasets)
    batch: Batch = load_batch("torchvision:OnDisk:here", input_shape=(1, 8, 8))
    assert batch.y.tolist() == [0, 1, 2, 0]
    assert batch.classes == 3
    assert load_batch("torchvision:OnDisk:here", test=True).y.tolist() == [2, 1]
    with pytest.raises(InputError, match=r"E429.*cannot be read from data.*not found"):
        load_batch("torchvision:OnDisk")
    with pytest.raises(InputError, match=r"E429.*no data set 'Nothing'"):
        load_batch("torchvision:Nothing")


def test_torchvision_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torchvision.datasets", None)
    with pytest.raises(InputError, match=r"E405.*needs torchvision"):
        load_batch("torchvision:CIFAR10")

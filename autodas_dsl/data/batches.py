"""A batch of labelled inputs, the sources it can come from, and a part of it kept to test on."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from autodas_dsl.data import images
from autodas_dsl.data.digits import load_digits
from autodas_dsl.execution.randomness import generator, seed_for
from autodas_dsl.language.errors import InputError

DEFAULT_SIZE = 64
DIGITS_TRAIN = 300
"""The first images of scikit-learn's digits: what the built-in tables were trained on."""
DIGITS_TEST = 900
"""From here on stand the images that the built-in tables were tested on."""


Norm = tuple[NDArray[np.float64], NDArray[np.float64]]
"""Mean and standard deviation of each channel, of pixels scaled to [0, 1]."""


@dataclass(frozen=True, eq=False)
class Batch:
    """Labelled inputs.

    Attributes
    ----------
    x : Tensor
        Inputs ``[B, C, H, W]`` (or whatever the network takes), floating.
    y : Tensor
        Labels ``[B]``, int64, from 0 to `classes` - 1.
    classes : int
    source : str
        What was read and what was done to it, in words.
    norm : Norm, optional
        By what images were normalised.
    """

    x: Tensor
    y: Tensor
    classes: int
    source: str
    norm: Norm | None = None

    @property
    def size(self) -> int:
        return len(self.y)

    def to(self, device: str) -> Batch:
        return replace(self, x=self.x.to(device), y=self.y.to(device))


@dataclass(frozen=True)
class _Request:
    size: int | None
    seed: int
    input_shape: tuple[int, ...] | None
    classes: int | None
    dtype: torch.dtype
    everything: bool = False
    test: bool = False
    norm: Norm | None = None

    def choose(self, available: int, where: str) -> NDArray[np.int64]:
        """Which samples to take, in the order in which they are stored."""
        wanted = self.size or 1
        if wanted > available:
            raise InputError(
                "E425",
                f"{where} has {available} samples, {wanted} were asked for",
                f"use --batch-size {available} or less" if available else "",
            )
        size = self.size or (available if self.everything else min(available, DEFAULT_SIZE))
        return drawn(available, size, self.seed)


def drawn(available: int, size: int, seed: int) -> NDArray[np.int64]:
    """The numbers of `size` samples, ascending."""
    if size == available:
        return np.arange(available)
    order = np.random.default_rng(seed_for(seed, "batch")).permutation(available)
    return np.sort(order[:size])


def load_batch(
    spec: str,
    *,
    size: int | None = None,
    seed: int = 0,
    input_shape: Sequence[int] | None = None,
    classes: int | None = None,
    dtype: torch.dtype = torch.float32,
    everything: bool = False,
    test: bool = False,
    like: Batch | None = None,
) -> Batch:
    """Load a batch.

    Parameters
    ----------
    spec : str
        ``FILE.npz`` (arrays ``x`` and ``y``), ``digits`` (the first 300 of scikit-learn's
        handwritten digits, 8x8, on which the built-in tables were trained),
        ``noise`` (normal inputs, random labels), a folder with one sub-folder of images per class,
        or ``torchvision:NAME[:ROOT]`` (a data set already on disk).
    size : int, optional
        Number of samples, chosen by `seed`; by default 64, or all when there are fewer.
    input_shape : sequence of int, optional
        What the network takes, ``(3, 32, 32)``. Images (folders, torchvision, uint8 arrays) are
        resized to its height and width, everything else must have it.
    classes : int, optional
        Classes of the network; by default one more than the highest label.
    everything : bool
        Take all samples where no `size` is given.
    test : bool
        The part of ``digits`` (the last 897) and of torchvision's data sets that is for testing.
    like : Batch, optional
        Images are normalised as those of this batch were, by default by their own mean.

    Raises
    ------
    InputError
        E420 to E429, when the data cannot be read or do not fit the network.
    """
    if size is not None and size < 1:
        raise InputError("E425", f"a batch needs at least one sample, not {size}")
    if classes is not None and classes < 1:
        raise InputError("E422", f"a network has at least one class, not {classes}")
    shape = tuple(input_shape) if input_shape is not None else None
    norm = None if like is None else like.norm
    request = _Request(size, seed, shape, classes, dtype, everything, test, norm)
    if spec == "noise":
        return _noise(request)
    if spec == "digits":
        return _digits(request)
    if spec.startswith("torchvision:"):
        return _pictures(images.torchvision_pictures(spec, test), request)
    if Path(spec).is_dir():
        return _pictures(images.folder_pictures(Path(spec)), request)
    if spec.endswith(".npz"):
        return _npz(Path(spec), request)
    raise InputError(
        "E420",
        f"{spec!r} is no data",
        "give FILE.npz, a folder of images, digits, noise or torchvision:NAME[:ROOT]",
    )


def _noise(request: _Request) -> Batch:
    if request.input_shape is None or request.classes is None:
        unknown = [
            (what, option)
            for what, option, value in (
                ("the shape of one input", "--input-shape 3x32x32", request.input_shape),
                ("the number of classes", "--classes 10", request.classes),
            )
            if value is None
        ]
        raise InputError(
            "E428",
            f"noise needs {' and '.join(what for what, _ in unknown)}, which the model does not say",
            f"add {' '.join(option for _, option in unknown)} with what the network has, or take "
            "samples: --data SOURCE, in Python data=(x, y)",
        )
    size = request.size or DEFAULT_SIZE
    generator = np.random.default_rng(seed_for(request.seed, "noise batch"))
    x = torch.from_numpy(generator.standard_normal((size, *request.input_shape)))
    y = torch.from_numpy(generator.integers(0, request.classes, size))
    shape = "x".join(map(str, request.input_shape))
    source = (
        f"noise: {size} normal inputs of shape {shape} with random labels from {request.classes} "
        f"classes (seed {request.seed})"
    )
    return Batch(x.to(request.dtype), y, request.classes, source)


def _digits(request: _Request) -> Batch:
    grey, target = load_digits()
    pixels = grey[:, None] / 16.0
    mean, std = pixels[:DIGITS_TRAIN].mean(), pixels[:DIGITS_TRAIN].std()
    part = slice(DIGITS_TEST, None) if request.test else slice(DIGITS_TRAIN)
    labels = target[part]
    chosen = request.choose(len(labels), "digits")
    steps = f"scaled to [0, 1], normalised (mean {mean:.4f}, std {std:.4f})"
    x = (pixels[part][chosen] - mean) / std
    return _checked(x, labels, chosen, request, "digits", steps)


def _npz(path: Path, request: _Request) -> Batch:
    x, y = _arrays(path)
    chosen = request.choose(len(y), path.name)
    if x.dtype == np.uint8:
        pixels, layout = _channels_first(x, request.input_shape)
        norm = request.norm or _norm_of(pixels)
        taken, size = _resized(_normalised(pixels[chosen], norm), request.input_shape)
        steps = f"{layout}, {size}{_words(norm)}"
        return _checked(taken, y, chosen, request, path.name, steps, norm)
    if not np.issubdtype(x.dtype, np.floating):
        raise InputError(
            "E421", f"x in {path.name} is {x.dtype}", "store uint8 images or floating NCHW arrays"
        )
    return _checked(x[chosen], y, chosen, request, path.name, "used as stored")


def _arrays(path: Path) -> tuple[NDArray[Any], NDArray[np.int64]]:
    try:
        with np.load(path, allow_pickle=False) as stored:
            missing = [name for name in ("x", "y") if name not in stored.files]
            if missing:
                raise InputError(
                    "E421",
                    f"{path.name} has no array {missing[0]!r}, only {', '.join(stored.files)}",
                    "store arrays x (images) and y (labels)",
                )
            x, y = stored["x"], stored["y"]
    except FileNotFoundError as error:
        raise InputError("E420", f"there is no file {path}") from error
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise InputError("E420", f"{path.name} is no readable npz file: {error}") from error
    if not np.issubdtype(y.dtype, np.integer) or y.ndim != 1:
        raise InputError(
            "E427", f"y in {path.name} is {y.dtype} {list(y.shape)}", "store integer labels [N]"
        )
    if x.ndim < 2 or len(x) != len(y):
        raise InputError(
            "E421", f"{path.name} has {len(y)} labels for x of shape {list(x.shape)}", ""
        )
    return x, y.astype(np.int64)


def _channels_first(x: NDArray[Any], shape: tuple[int, ...] | None) -> tuple[NDArray[Any], str]:
    if x.ndim == 3:
        return x[:, None], "uint8 grey images"
    if x.ndim != 4:
        raise InputError(
            "E423", f"uint8 images must be [N, H, W, C], not {list(x.shape)}", "store x that way"
        )
    stored_first = x.shape[1:] == shape or (x.shape[1] in (1, 3) and x.shape[3] not in (1, 3))
    return (x, "uint8 NCHW") if stored_first else (np.moveaxis(x, 3, 1), "uint8 NHWC")


def _norm_of(pixels: NDArray[Any]) -> Norm:
    """Of images ``[N, C, H, W]`` of whole numbers up to 255."""
    other = (0, *range(2, pixels.ndim))
    mean = pixels.mean(other, dtype=np.float64) / 255
    std = pixels.std(other, dtype=np.float64) / 255
    std[std == 0] = 1.0
    return mean, std


def _normalised(pixels: NDArray[Any], norm: Norm) -> NDArray[np.float64]:
    column = (slice(None), *[None] * (pixels.ndim - 2))
    found: NDArray[np.float64] = (pixels / 255.0 - norm[0][column]) / norm[1][column]
    return found


def _words(norm: Norm) -> str:
    numbers = ", ".join(f"{m:.4f}±{s:.4f}" for m, s in zip(*norm, strict=True))
    return f"scaled to [0, 1], normalised per channel (mean±std {numbers})"


def _resized(
    x: NDArray[np.float64], shape: tuple[int, ...] | None
) -> tuple[NDArray[np.float64], str]:
    """Images at the height and width that the network takes, as folders of pictures are."""
    channels, *size = x.shape[1:]
    if shape is None or len(shape) != 3 or shape[0] != channels or list(shape[1:]) == size:
        return x, ""
    resized = torch.nn.functional.interpolate(
        torch.from_numpy(x), size=shape[1:], mode="bilinear", antialias=True
    )
    return resized.numpy(), f"resized to {shape[1]}x{shape[2]} (bilinear), "


def _pictures(pictures: images.Pictures, request: _Request) -> Batch:
    chosen = request.choose(len(pictures.labels), pictures.name)
    shape = request.input_shape
    if shape is not None and len(shape) != 3:
        raise InputError("E423", f"the network takes {shape}, which are no images")
    pixels = images.decode([pictures.read(int(i)) for i in chosen], shape)
    norm = request.norm or _norm_of(pixels)
    x, steps = _normalised(pixels, norm), _words(norm)
    labels = np.asarray(pictures.labels, dtype=np.int64)
    if request.classes is None:
        request = replace(request, classes=pictures.classes)
    size = f"resized to {pixels.shape[2]}x{pixels.shape[3]} (bilinear), "
    return _checked(x, labels, chosen, request, pictures.name, size + steps, norm)


def _checked(
    x: NDArray[Any],
    labels: NDArray[np.int64],
    chosen: NDArray[np.int64],
    request: _Request,
    name: str,
    steps: str,
    norm: Norm | None = None,
) -> Batch:
    shape = tuple(x.shape[1:])
    if request.input_shape is not None and shape != request.input_shape:
        raise InputError(
            "E423",
            f"{name} holds samples of shape {list(shape)}, the network takes "
            f"{list(request.input_shape)}",
            "images are stored [N, C, H, W] (floating) or [N, H, W, C] (uint8)",
        )
    classes = request.classes if request.classes is not None else int(labels.max()) + 1
    _check_labels(labels, classes, name)
    tensor = torch.from_numpy(np.ascontiguousarray(x)).to(request.dtype)
    if not bool(tensor.isfinite().all()):
        raise InputError("E426", f"{name} holds NaN or infinite values")
    which = f"all {len(labels)} samples"
    if len(chosen) < len(labels):
        which = f"{len(chosen)} of {len(labels)} samples (seed {request.seed})"
    source = f"{name}: {which}, {steps}, no augmentation"
    return Batch(tensor, torch.from_numpy(labels[chosen]), classes, source, norm)


def _check_labels(y: NDArray[np.int64], classes: int, name: str) -> None:
    wrong = y[(y < 0) | (y >= classes)]
    if len(wrong):
        raise InputError(
            "E422",
            f"{name} has label {int(wrong[0])}, but there are classes 0 to {classes - 1} only",
            "labels count from 0; give a network with as many classes as the data",
        )


def hold_out(batch: Batch, share: float, seed: int = 0) -> tuple[Batch, Batch | None]:
    """Part examples at random into those to train on and those to test on.

    Parameters
    ----------
    batch : Batch
    share : float
        Of the examples to hold out, from 0 to below 1; 0 holds out none.
    seed : int

    Returns
    -------
    tuple of Batch
        Each in the order of `batch`; None where nothing is held out.

    Raises
    ------
    InputError
        E738, when one side would be empty.
    """
    if share == 0:
        return batch, None
    held = round(share * batch.size)
    if not 0 < held < batch.size:
        raise InputError(
            "E738", f"{share:g} of {batch.size} examples leaves nothing on one side",
            "give more examples, or another share",
        )  # fmt: skip
    order = generator(seed).permutation(batch.size)
    return _rows(batch, order[held:]), _rows(batch, order[:held])


def _rows(batch: Batch, rows: np.ndarray) -> Batch:
    chosen = torch.from_numpy(np.sort(rows))
    return replace(batch, x=batch.x[chosen], y=batch.y[chosen])

"""Pictures on disk: a folder per class, or a torchvision data set; decoded with Pillow."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autodas_dsl.language.errors import InputError
from autodas_dsl.language.foreign import foreign, one_line, require

_SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm"}


@dataclass(frozen=True)
class Pictures:
    """Labelled pictures that are read one at a time.

    Attributes
    ----------
    read : callable
        The Pillow image at an index.
    """

    name: str
    labels: Sequence[int]
    classes: int
    read: Callable[[int], Any]


def folder_pictures(folder: Path) -> Pictures:
    """Images below one sub-folder per class; classes are numbered by sorted folder name.

    Raises
    ------
    InputError
        E421, when there are no sub-folders or no images in them.
    """
    classes = sorted(p for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))
    found = [
        (path, label)
        for label, sub in enumerate(classes)
        for path in sorted(sub.rglob("*"))
        if path.suffix.lower() in _SUFFIXES
    ]
    if not found:
        raise InputError(
            "E421", f"{folder} holds no images in sub-folders", "make one sub-folder per class"
        )
    image = require("PIL.Image", "Pillow", "images", "reading a folder of images")

    def read(index: int) -> Any:
        path = found[index][0]

        def describe(error: BaseException) -> InputError:
            return InputError("E424", f"{path} does not decode: {one_line(error)}")

        with foreign(describe), image.open(path) as picture:
            picture.load()
            return picture.copy()

    return Pictures(folder.name, [label for _, label in found], len(classes), read)


def torchvision_pictures(spec: str, test: bool = False) -> Pictures:
    """A torchvision data set that is on disk already, its training half or that for testing;
    nothing is downloaded.

    Parameters
    ----------
    spec : str
        ``torchvision:CIFAR10`` or ``torchvision:CIFAR10:ROOT``; the root defaults to ``data``.

    Raises
    ------
    InputError
        E429, when torchvision has no such data set or does not find it.
    """
    _, name, root = (*spec.split(":", 2), "data")[:3]
    datasets = require("torchvision.datasets", "torchvision", "torchvision", f"data {spec}")
    kind: Any = getattr(datasets, name, None)
    if not inspect.isclass(kind):
        raise InputError("E429", f"torchvision has no data set {name!r}")
    open_set: Callable[..., Any] = kind
    accepted = inspect.signature(kind).parameters
    options: dict[str, Any] = {"download": False} if "download" in accepted else {}
    if "train" in accepted:
        options["train"] = not test
    elif "split" in accepted:
        options["split"] = "test" if test else "train"

    def describe(error: BaseException) -> InputError:
        return InputError(
            "E429",
            f"{name} cannot be read from {root}: {one_line(error)}",
            "nothing is downloaded here; give the folder that holds it: torchvision:NAME:ROOT",
        )

    with foreign(describe):
        data = open_set(root, **options)
        stored = getattr(data, "targets", None)
        if stored is None:
            stored = getattr(data, "labels", None)
        labels = [int(y) for y in (stored if stored is not None else [y for _, y in data])]
        classes = len(data.classes) if hasattr(data, "classes") else max(labels) + 1

    def read(index: int) -> Any:
        with foreign(describe):
            return data[index][0]

    return Pictures(f"{name} ({'test' if test else 'training'} images)", labels, classes, read)


def decode(pictures: Sequence[Any], shape: Sequence[int] | None) -> NDArray[np.uint8]:
    """Pictures as uint8 ``[N, C, H, W]``, converted to the channels and resized to the size.

    Without a `shape`, they keep the size of the first and become RGB.
    """
    channels, *size = shape or (3, pictures[0].height, pictures[0].width)
    height, width = size
    if channels not in (1, 3):
        raise InputError("E423", f"images have 1 or 3 channels, the network takes {channels}")
    mode = "L" if channels == 1 else "RGB"
    bilinear = require("PIL.Image", "Pillow", "images", "resizing images").Resampling.BILINEAR
    arrays = [np.asarray(p.convert(mode).resize((width, height), bilinear)) for p in pictures]
    stacked = np.stack(arrays)
    return stacked[:, None] if channels == 1 else np.moveaxis(stacked, 3, 1)

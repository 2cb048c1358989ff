"""What networks are scored under: samples, teacher, precision, device; and what is usual in a space."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

from autodas_dsl import spaces
from autodas_dsl.data.batches import Batch
from autodas_dsl.data.samples import Samples, as_batch
from autodas_dsl.language.user_files import UserFile
from autodas_dsl.models.load import load_model
from autodas_dsl.models.source import ModelSource, given_source
from autodas_dsl.models.spaces import space_source
from autodas_dsl.models.weights import load_weights
from autodas_dsl.spaces.base import Space
from autodas_dsl.tables.read import builtin_folder

NOISE = "noise"
NOISE_NOTE = "noise and random labels stand in for real samples: give --data for those"


@dataclass(frozen=True)
class Data:
    """Where the batch comes from.

    Parameters
    ----------
    spec : str
        As `load_batch` takes it.
    size : int, optional
        Samples in the batch.
    seed : int
        Chooses the samples.
    batch : Batch, optional
        Samples at hand; nothing is loaded then.
    """

    spec: str = NOISE
    size: int | None = None
    seed: int = 0
    batch: Batch | None = None


def data_from(
    given: str | Data | Samples | None,
    usual: str = NOISE,
    size: int | None = None,
    classes_for: Callable[[torch.Tensor], int] | None = None,
) -> Data:
    """What ``data=`` stands for: a source by name, or samples at hand as `as_batch` takes them.

    Raises
    ------
    InputError
        When it is neither.
    """
    if isinstance(given, Data):
        return given
    if given is None or isinstance(given, str):
        return Data(given or usual, size)
    return Data("samples", size, batch=as_batch(given, size=size, classes_for=classes_for))


@dataclass(frozen=True)
class Teacher:
    """The teacher network.

    Parameters
    ----------
    source : ModelSource
    size : int, optional
        The image size it works at when that is not the student's.
    weights : str
        A file of trained weights, as `load_weights` reads it; empty for those it comes with.
    """

    source: ModelSource
    size: int | None = None
    weights: str = ""

    def __reduce__(self) -> tuple[Any, ...]:
        """With the file of weights, which may not be where the network is built."""
        weights = UserFile.of(Path(self.weights)) if self.weights else None
        return _teacher, (self.source, self.size, weights)

    def build(self, seed: int = 0) -> nn.Module:
        """The network with its weights.

        Raises
        ------
        InputError
            When it cannot be built or the weights do not fit.
        """
        network = self.source.build(seed)
        if self.weights:
            load_weights(network, self.weights)
        return network

    @property
    def note(self) -> str:
        """Which network it is and where its weights come from, in words."""
        weights = f"weights of {self.weights}" if self.weights else self.source.weights
        resized = f", at {self.size}x{self.size}" if self.size else ""
        return f"teacher: {self.source.name}, {weights}{resized}"


def _teacher(source: ModelSource, size: int | None, weights: UserFile | None) -> Teacher:
    return Teacher(source, size, str(weights.here()) if weights else "")


def teacher_from(given: str | nn.Module | Teacher | None) -> Teacher | None:
    """What ``teacher=`` stands for: a MODEL as on the command line, or a network at hand.

    Raises
    ------
    InputError
        When the text names no network, or several (E410).
    """
    if given is None or isinstance(given, Teacher):
        return given
    return Teacher(load_model(given) if isinstance(given, str) else given_source(given))


@dataclass(frozen=True)
class Setting:
    """What networks are scored under.

    Parameters
    ----------
    data : Data
    teacher : Teacher, optional
    dtype : torch.dtype
    device : str
    classes : int, optional
        Classes of the networks; by default the space's.
    """

    data: Data = field(default_factory=Data)
    teacher: Teacher | None = None
    dtype: torch.dtype = torch.float32
    device: str = "cpu"
    classes: int | None = None


def usual_teacher(space: Space[Any]) -> Teacher | None:
    """The teacher that a space names, with its trained weights where they are built in."""
    if space.teacher is None:
        return None
    text = space.teacher
    owner, arch = spaces.resolve(text) if ":" in text else (space, space.parse(text))
    source = space_source(owner, owner.format(arch))
    weights = str(builtin_folder() / space.teacher_weights) if space.teacher_weights else ""
    return Teacher(source, space.teacher_size, weights)


def usual_setting(
    space: Space[Any], data: Data | None = None, teacher: Teacher | None = None, **more: Any
) -> Setting:
    """The setting of a table: its space's data and teacher unless others are given."""
    return Setting(data or Data(space.data), teacher or usual_teacher(space), **more)

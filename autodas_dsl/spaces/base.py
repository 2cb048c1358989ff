"""What a space is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, SupportsIndex, TypeVar

import numpy as np

from autodas_dsl.language.errors import InputError
from autodas_dsl.language.nearest import did_you_mean
from autodas_dsl.language.user_files import UserFile

if TYPE_CHECKING:
    from torch import nn

Arch = TypeVar("Arch")


class Space(ABC, Generic[Arch]):
    """A family of networks: architectures as text and as values, and the networks they stand for.

    A space of your own subclasses this, or `FieldSpace`, in one Python file; see
    ``examples/my_space.py``.

    Attributes
    ----------
    name : str
        What the user writes, as in ``cifar-resnet:3-3-3``.
    input_shape : tuple of int
        Channels, height and width of one input.
    classes : int
        Number of classes unless `build` is told another.
    fields : tuple of str
        Names of the parts of an architecture, as table columns hold them; empty when an
        architecture is written as one text only.
    data : str
        The data that networks of this space are usually scored on.
    teacher : str or None
        The network that usually teaches this space: an architecture of the family, or
        ``SPACE:ARCH`` of another one.
    teacher_size : int or None
        Height and width the teacher's images are resized to, when not the student's.
    teacher_weights : str or None
        A file beside the built-in tables that holds the teacher's trained weights.
    note : str
        What is assumed about its networks, for whoever reads their scores.
    file, source : str
        The user's file that defines it, and a digest of what that says: stored scores belong to
        it, and in another process the space is made from it again.
    load_again : callable or None
        What makes it again of `file` and `source`.
    """

    name: str
    input_shape: tuple[int, ...]
    classes: int
    data: str = "noise"
    teacher: str | None = None
    teacher_size: int | None = None
    teacher_weights: str | None = None
    note: str = ""
    file: str = ""
    source: str = ""
    load_again: Callable[[UserFile], Space[Any]] | None = None

    def __reduce_ex__(self, protocol: SupportsIndex) -> str | tuple[Any, ...]:
        """Pickled with its file: another process cannot import a class of a user's file."""
        if self.load_again is None:
            return super().__reduce_ex__(protocol)
        return self.load_again, (UserFile.of(Path(self.file), self.source),)

    @property
    def fields(self) -> tuple[str, ...]:
        return ()

    @abstractmethod
    def build(self, arch: Arch, classes: int | None = None) -> nn.Module:
        """The network, freshly initialised; the weights depend on torch's random state alone."""

    @abstractmethod
    def parse(self, text: str) -> Arch:
        """The architecture that a text stands for.

        Raises
        ------
        InputError
            The text is not an architecture of this space; the message says what is allowed.
        """

    @abstractmethod
    def format(self, arch: Arch) -> str:
        """The one text of an architecture; ``parse(format(arch)) == arch``."""

    @abstractmethod
    def sample(self, rng: np.random.Generator) -> Arch:
        """A member of the space, drawn uniformly from its choices."""

    @abstractmethod
    def mutate(self, arch: Arch, rng: np.random.Generator) -> Arch:
        """A neighbour: one choice of the architecture drawn anew, never the same."""

    @abstractmethod
    def count(self) -> int | None:
        """How many architectures the space has; None where that is not known."""

    def enumerate(self) -> Iterator[Arch] | None:
        """Every member in a fixed order, or None when there are too many to list."""
        return None

    def canonical(self, arch: Arch) -> str:
        """A text that two architectures share exactly when they are the same network."""
        return self.format(arch)

    def reachable(self, arch: Arch) -> bool:
        """Whether the network's output depends on its input.

        Published correlations leave the others out or keep them; a space that has such
        architectures says which they are, and `rank` reports both.
        """
        return True

    def outside(self, arch: Arch) -> str:
        """Why an architecture that can be built is not one of the space; empty when it is.

        A space may read and build networks larger than its own, as teachers.
        """
        return ""

    def from_fields(self, values: Mapping[str, str]) -> Arch:
        """The architecture described by one table row of `fields` columns.

        Raises
        ------
        InputError
            The space has no fields, one is missing, or a value is not allowed.
        """
        raise InputError(
            "E701",
            f"architectures of {self.name} have no fields",
            "give them in one column named arch",
        )


def suggestion(word: str, known: Sequence[str]) -> str:
    """A line of help for an unknown name: the nearest known one, or all of them."""
    return did_you_mean(word, known).rstrip() or f"known: {', '.join(known)}"

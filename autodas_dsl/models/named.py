"""Networks that go by their own names, ``FILE.py:Net(16)`` or ``timm:NAME``, taken as a space."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from autodas_dsl.language.errors import InputError
from autodas_dsl.language.user_files import digest_of
from autodas_dsl.models.files import FromFile
from autodas_dsl.models.load import MODEL_FILE, library_of, load_model
from autodas_dsl.models.source import ModelSource
from autodas_dsl.models.spaces import FromSpace
from autodas_dsl.spaces.base import Space, suggestion
from autodas_dsl.spaces.functions import CLASSES, INPUT_SHAPE

if TYPE_CHECKING:
    from torch import nn


class NamedModels(Space[str]):
    """The networks of some sources, each an architecture of its own.

    Parameters
    ----------
    sources : mapping of str to ModelSource
        By the text of the architecture.
    source : str
        A digest of what the networks are made from; stored scores belong to it.

    Raises
    ------
    InputError
        E719, when the networks do not take inputs of one shape or tell other classes apart.
    """

    name = "models"

    def __init__(self, sources: Mapping[str, ModelSource], source: str = "") -> None:
        self._sources = dict(sources)
        self.source = source
        self.input_shape = self._common("input_shape", INPUT_SHAPE)
        self.classes = self._common("classes", CLASSES)

    def build(self, arch: str, classes: int | None = None) -> nn.Module:
        known = self._sources[arch]
        found = known if classes is None else load_model(known.name, "student", classes=classes)
        network: nn.Module = found.make()
        return network

    def parse(self, text: str) -> str:
        if text not in self._sources:
            raise InputError(
                "E702", f'"{text}" is none of the models', suggestion(text, [*self._sources])
            )
        return text

    def format(self, arch: str) -> str:
        return arch

    def sample(self, rng: np.random.Generator) -> str:
        return list(self._sources)[rng.integers(len(self._sources))]

    def mutate(self, arch: str, rng: np.random.Generator) -> str:
        others = [text for text in self._sources if text != arch]
        return others[rng.integers(len(others))]

    def count(self) -> int:
        return len(self._sources)

    def enumerate(self) -> Iterator[str]:
        return iter(self._sources)

    def _common(self, what: str, usual: Any) -> Any:
        """What all networks that say it have alike."""
        said = {getattr(one, what): text for text, one in self._sources.items()}
        said.pop(None, None)
        if len(said) > 1:
            (one, first), (other, second) = list(said.items())[:2]
            raise InputError(
                "E719", f"the models differ in `{what}`: {one} of {first}, {other} of {second}",
                "what is compared takes the same samples: put the others into another table",
            )  # fmt: skip
        if said:
            return next(iter(said))
        self.note += f"no model says its `{what}`, {usual} is assumed; "
        return usual


def named_models(texts: Sequence[str], folder: Path | None = None) -> NamedModels:
    """The networks that MODEL texts name.

    Parameters
    ----------
    texts : sequence of str
    folder : Path, optional
        Where the Python files and folders lie that they name, as a table's do beside it. They must
        lie there: what is read from a table runs no other file. Without it texts are as on the
        command line.

    Raises
    ------
    InputError
        E719, for a file outside the folder or networks that do not go together, or as `load_model`.
    """
    sources = {text: load_model(_placed(text, folder), "student") for text in texts}
    return NamedModels(sources, _digest(sources.values()))


def are_models(texts: Sequence[str]) -> bool:
    """Whether every text is written as a model of a file or a library is; nothing is loaded."""
    return all(MODEL_FILE.fullmatch(text) or library_of(text) for text in texts)


def _placed(text: str, folder: Path | None) -> str:
    """The text with its file or folder as seen from here."""
    if folder is None:
        return text
    file = MODEL_FILE.fullmatch(text)
    if file is None:
        library, _, name = text.partition(":")
        there = folder / name
        return f"{library}:{there}" if library == "hf" and there.exists() else text
    path = folder / file["path"]
    if not path.resolve().is_relative_to(folder.resolve()):
        raise InputError(
            "E719", f"the table names {file['path']}, which does not lie beside it",
            "a table runs only files of its own folder: move the one or the other",
        )  # fmt: skip
    return f"{path}:{file['wanted']}" if file["wanted"] else str(path)


def _digest(sources: Iterable[ModelSource]) -> str:
    whole = hashlib.sha256()
    for source in sources:
        whole.update(_made_from(source).encode())
    return whole.hexdigest()[:16]


def _made_from(source: ModelSource) -> str:
    """What a network depends on besides its text: the file, or the version of the library."""
    if isinstance(source.make, FromFile):
        return source.make.digest
    if isinstance(source.make, FromSpace):
        return source.make.space.source
    library, _, name = source.name.partition(":")
    package = {"hf": "transformers"}.get(library, library)
    place = Path(name)
    held = sorted(place.iterdir()) if place.is_dir() else [place]
    return " ".join([version(package), *(digest_of(file) for file in held if file.is_file())])

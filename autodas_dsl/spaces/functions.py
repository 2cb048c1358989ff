"""A space that is a few functions in a user's file: ``build(arch)``, perhaps ``archs()``."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from autodas_dsl.language.errors import InputError
from autodas_dsl.language.user_files import users_code
from autodas_dsl.spaces.base import Space

if TYPE_CHECKING:
    from torch import nn

INPUT_SHAPE = (3, 32, 32)
CLASSES = 10
_DRAWS = 100


class FunctionSpace(Space[str]):
    """The networks that a user's ``build(arch)`` makes of texts.

    An architecture is any text that ``build`` understands. The file may also hold
    ``input_shape`` and ``classes``, and for a student search ``archs()``, which lists the
    architectures, or ``sample(rng)``, which draws one, with ``mutate(arch, rng)`` for a neighbour.
    Where ``build`` takes ``classes``, it is told how many the networks need.

    Parameters
    ----------
    file : Path
    module : module
        The file, after it was run.

    Raises
    ------
    InputError
        E715, when ``input_shape`` or ``classes`` is not what it should be.
    """

    def __init__(self, file: Path, module: ModuleType) -> None:
        self.name = file.stem
        self._file, self._module = file, module
        self._archs: list[str] | None = None
        self.input_shape = self._shape()
        self.classes = self._number_of_classes()
        assumed = []
        if not hasattr(module, "input_shape"):
            assumed.append(f"`input_shape = {INPUT_SHAPE}`")
        if not hasattr(module, "classes"):
            assumed.append(f"`classes = {CLASSES}`")
        if assumed:
            self.note = f"{file.name} does not say {' and '.join(assumed)}, which is assumed"

    def build(self, arch: str, classes: int | None = None) -> nn.Module:
        make = self._module.build
        takes_classes = "classes" in inspect.signature(make).parameters
        told = {"classes": classes or self.classes} if takes_classes else {}
        network: nn.Module = self._called("build", repr(arch), lambda: make(arch, **told))
        return network

    def parse(self, text: str) -> str:
        if not text or not text.isprintable():
            raise InputError(
                "E702",
                f"{text!r} is not an architecture of {self.name}",
                "an architecture is one line of text without control characters",
            )
        return text

    def format(self, arch: str) -> str:
        return arch

    def sample(self, rng: np.random.Generator) -> str:
        draw = self._function("sample")
        if draw is not None:
            return self._text("sample", self._called("sample", "rng", lambda: draw(rng)))
        members = self._members()
        if members is None:
            raise InputError(
                "E718",
                f"{self._file} does not say which architectures there are",
                "define archs(), which returns their texts, or sample(rng), which draws one with a "
                "NumPy generator",
            )
        return members[rng.integers(len(members))]

    def mutate(self, arch: str, rng: np.random.Generator) -> str:
        change = self._function("mutate")
        if change is not None:
            return self._text(
                "mutate", self._called("mutate", "arch, rng", lambda: change(arch, rng))
            )
        for _ in range(_DRAWS):
            other = self.sample(rng)
            if other != arch:
                return other
        raise InputError(
            "E717",
            f"{self._file}: {_DRAWS} draws gave no architecture besides {arch!r}",
            "let archs() or sample(rng) give different ones",
        )

    def count(self) -> int | None:
        members = self._members()
        return None if members is None else len(members)

    def enumerate(self) -> Iterator[str] | None:
        members = self._members()
        return None if members is None else iter(members)

    def _members(self) -> list[str] | None:
        """What ``archs()`` lists, each once; None where the file has no such function."""
        given = self._function("archs")
        if given is None:
            return None
        if self._archs is None:
            found = self._called("archs", "", lambda: _listed(given()))
            self._archs = list(dict.fromkeys(self._text("archs", one) for one in found))
            if not self._archs:
                raise self._wrong("archs", "lists none", "let it return the texts of architectures")
        return self._archs

    def _function(self, name: str) -> Callable[..., Any] | None:
        found = getattr(self._module, name, None)
        if found is not None and not callable(found):
            raise self._wrong(
                name, f"is of type {type(found).__name__}, not a function", f"write def {name}(…):"
            )
        return found

    def _called(self, name: str, arguments: str, call: Callable[[], Any]) -> Any:
        def describe(why: str) -> InputError:
            return InputError("E716", f"{name}({arguments}) fails: {why}")

        with users_code(self._file, describe):
            return call()

    def _text(self, name: str, given: object) -> str:
        if not isinstance(given, str):
            raise self._wrong(
                name, f"gives {given!r} of type {type(given).__name__}", "architectures are texts"
            )
        return self.parse(given)

    def _wrong(self, name: str, what: str, help: str) -> InputError:
        return InputError("E716", f"{self._file}: {name} {what}", help)

    def _shape(self) -> tuple[int, ...]:
        shape = getattr(self._module, "input_shape", INPUT_SHAPE)
        if isinstance(shape, tuple | list) and shape and all(map(is_count, shape)):
            return tuple(shape)
        raise InputError(
            "E715", f"{self._file}: input_shape is {shape!r}", "write `input_shape = (3, 32, 32)`"
        )

    def _number_of_classes(self) -> int:
        classes = getattr(self._module, "classes", CLASSES)
        if is_count(classes):
            return int(classes)
        raise InputError("E715", f"{self._file}: classes is {classes!r}", "write `classes = 10`")


def _listed(given: Any) -> list[Any]:
    if isinstance(given, str) or not isinstance(given, Iterable):
        raise TypeError(f"it returns {given!r}, not a list of texts")
    return list(given)


def is_count(value: object) -> bool:
    """Whether a value is a whole number above 0."""
    return isinstance(value, int) and not isinstance(value, bool) and value > 0

"""Spaces whose architectures are a few named fields of numbers or names."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from numbers import Real
from typing import Any, ClassVar

import numpy as np

from autodas_dsl.language.errors import InputError
from autodas_dsl.spaces.base import Arch, Space, suggestion

Value = int | float | str
"""One number or name of an architecture; a field holds one, or a tuple of them."""

_NUMBER = re.compile(r"\d{1,9}(\.\d{1,9})?")
_SEPARATORS = "-,="
_LISTS = (tuple, list, range)


@dataclass(frozen=True, slots=True)
class Field:
    """One part of an architecture: a number or name, or one per stage or layer.

    Attributes
    ----------
    name : str
        Column name; also the key in the architecture's text, and an attribute of it.
    choices : tuple
        What `sample` draws from, numbers or names; one tuple, or one for each position.
    length : int, str or None
        None for a single value; a count; or the name of the field that gives the count.
    accepts : container, optional
        What `parse` allows besides `choices`, for teachers larger than the students.
    aliases : tuple of str
        Other keys and column names that mean this field.

    Raises
    ------
    InputError
        E708, when the text of a choice could not be read back.
    """

    name: str
    choices: tuple[Value, ...] | tuple[tuple[Value, ...], ...]
    length: int | str | None = None
    accepts: Container[Value] = ()
    aliases: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not isinstance(self.choices, _LISTS) or not self.choices:
            raise self._wrong(
                f"its choices are {self.choices!r}", 'write a tuple: (1, 2), ("skip", "conv3")'
            )
        several = isinstance(self.choices[0], tuple)
        each: Sequence[Any] = self.choices if several else (self.choices,)
        for choices in each:
            if not isinstance(choices, _LISTS) or not choices:
                raise self._wrong(
                    f"one position has the choices {choices!r}", "write one tuple for each position"
                )
            self._check_texts(choices)
        if several and isinstance(self.length, int) and len(self.choices) != self.length:
            raise self._wrong(
                f"it is {self.length} long and has choices for {len(self.choices)} positions",
                "write one tuple for each position, or one for all",
            )

    def _check_texts(self, choices: Sequence[Value]) -> None:
        """Every choice is read back from its text as itself."""
        for choice in choices:
            if isinstance(choice, str):
                if not _is_name(choice):
                    raise self._wrong(
                        f"the name {choice!r} would be misread in an architecture's text",
                        'names have no "-", ",", "=", spaces or control characters',
                    )
            elif not isinstance(choice, Real):
                raise self._wrong(
                    f"the choice {choice!r} is of type {type(choice).__name__}",
                    "a choice is a number or a name",
                )
            elif not _NUMBER.fullmatch(text_of(choice)):
                raise self._wrong(
                    f"the number {choice!r} cannot be written in an architecture's text",
                    "numbers are at least 0, with up to 9 digits before and after the point",
                )
        text, times = Counter(map(text_of, choices)).most_common(1)[0]
        if times > 1:
            raise self._wrong(f"{text} is among its choices twice", "give each choice once")

    def _wrong(self, what: str, help: str) -> InputError:
        return InputError("E708", f"Field({self.name!r}): {what}", help)

    def at(self, position: int) -> tuple[Value, ...]:
        """The choices at one position."""
        first = self.choices[0]
        if isinstance(first, tuple):
            return self.choices[position]  # type: ignore[return-value]
        return self.choices  # type: ignore[return-value]

    def wanted(self, position: int) -> str:
        """The allowed values in words."""
        words = ", ".join(map(text_of, self.at(position)))
        if isinstance(self.accepts, range):
            words += f" (or {self.accepts.start} to {self.accepts[-1]} in a teacher)"
        return words


class FieldSpace(Space[Arch]):
    """A space whose architecture is a frozen dataclass of numbers, names and tuples of them.

    A subclass gives `arch_type`, a frozen dataclass with one attribute for each field, `parts`
    and `build`, and `refusal` when not every combination is allowed; text, sampling, mutation,
    enumeration and counting follow.

    Text is ``base_dim=32,depth=1-6-6`` or ``width=16,ops=skip-conv3-none``; a space with one field
    is written without its name.
    """

    arch_type: type[Arch]
    parts: tuple[Field, ...]
    listed_up_to: ClassVar[int] = 100_000

    def __init_subclass__(cls) -> None:
        """Refuse a field whose length is not told by an earlier field of counts (E709)."""
        counts: set[str] = set()
        for part in cls.__dict__.get("parts", ()):
            if isinstance(part.length, str) and part.length not in counts:
                raise InputError(
                    "E709",
                    f"{cls.__name__}: the length of {part.name} is {part.length!r}, which is no "
                    "earlier field of whole numbers",
                    "give a number, or the name of a field that holds one",
                )
            if part.length is None and all(isinstance(one, int) for one in part.at(0)):
                counts.add(part.name)

    @property
    def fields(self) -> tuple[str, ...]:
        return tuple(part.name for part in self.parts)

    def format(self, arch: Arch) -> str:
        texts = {part.name: _joined(getattr(arch, part.name)) for part in self.parts}
        if len(texts) == 1:
            return next(iter(texts.values()))
        return ",".join(f"{name}={text}" for name, text in texts.items())

    def parse(self, text: str) -> Arch:
        if len(self.parts) == 1 and "=" not in text:
            return self.from_fields({self.parts[0].name: text})
        values: dict[str, str] = {}
        for item in text.split(","):
            key, equals, value = item.partition("=")
            if not equals:
                raise InputError(
                    "E702",
                    f'"{text}" is not an architecture of {self.name}',
                    f"write it as {self.example()}",
                )
            name = self._named(key.strip())
            if name in values:
                raise InputError("E702", f'"{text}" gives {name} twice', "give each field once")
            values[name] = value
        return self.from_fields(values)

    def from_fields(self, values: Mapping[str, str]) -> Arch:
        given = {self._named(key): value for key, value in values.items()}
        missing = [name for name in self.fields if name not in given]
        if missing:
            raise InputError(
                "E703",
                f"the {self.name} architecture lacks {' and '.join(missing)}",
                f"write it as {self.example()}",
            )
        read: dict[str, Any] = {}
        for part in self.parts:
            length = self._length(part, read)
            read[part.name] = self._read(part, given[part.name], length)
        arch = self.arch_type(**read)
        if why := self.refusal(arch):
            raise InputError("E707", f'"{self.format(arch)}" is not in {self.name}', why)
        return arch

    def refusal(self, arch: Arch) -> str:
        """Why a combination of allowed values is not in the space; empty when it is."""
        return ""

    def outside(self, arch: Arch) -> str:
        for part in self.parts:
            value = getattr(arch, part.name)
            for position, one in enumerate(value if isinstance(value, tuple) else (value,)):
                if one not in part.at(position):
                    words = ", ".join(map(text_of, part.at(position)))
                    return f"{part.name} is {words} in {self.name}, not {text_of(one)}"
        return ""

    def sample(self, rng: np.random.Generator) -> Arch:
        while True:
            values: dict[str, Any] = {}
            for part in self.parts:
                values[part.name] = self._draw(part, self._length(part, values), rng)
            arch = self.arch_type(**values)
            if not self.refusal(arch):
                return arch

    def mutate(self, arch: Arch, rng: np.random.Generator) -> Arch:
        while True:
            mutant = self._mutant(arch, rng)
            if not self.refusal(mutant):
                return mutant

    def _mutant(self, arch: Arch, rng: np.random.Generator) -> Arch:
        values = {part.name: getattr(arch, part.name) for part in self.parts}
        places = [
            (part, position)
            for part in self.parts
            for position in range(self._length(part, values) or 1)
            if set(part.at(position)) - {_at(values[part.name], position)}
        ]
        part, position = places[rng.integers(len(places))]
        old = values[part.name]
        others = [choice for choice in part.at(position) if choice != _at(old, position)]
        new = others[rng.integers(len(others))]
        values[part.name] = _with(old, position, new)
        for other in self.parts:
            if other.length == part.name:
                values[other.name] = self._resized(other, values[other.name], int(new), rng)
        return self.arch_type(**values)

    def count(self) -> int:
        if type(self).refusal is not FieldSpace.refusal:
            return sum(1 for _ in self._all())
        total = 0
        for values in self._outer():
            sizes = [
                len(part.at(position))
                for part in self.parts
                if part.name not in values
                for position in range(self._length(part, values) or 1)
            ]
            total += math.prod(sizes)
        return total

    def enumerate(self) -> Iterator[Arch] | None:
        return self._all() if self.count() <= self.listed_up_to else None

    def example(self) -> str:
        """A valid text, for messages."""
        return f'"{self.format(self.sample(np.random.default_rng(0)))}"'

    def _all(self) -> Iterator[Arch]:
        for outer in self._outer():
            options: list[Iterable[Any]] = []
            for part in self.parts:
                length = self._length(part, outer)
                if part.name in outer:
                    options.append((outer[part.name],))
                elif length is None:
                    options.append(part.at(0))
                else:
                    options.append(product(*(part.at(i) for i in range(length))))
            for chosen in product(*options):
                arch = self.arch_type(**dict(zip(self.fields, chosen, strict=True)))
                if not self.refusal(arch):
                    yield arch

    def _outer(self) -> Iterator[dict[str, Any]]:
        """Values of the fields that give other fields their lengths."""
        names = {part.length for part in self.parts if isinstance(part.length, str)}
        outer = [part for part in self.parts if part.name in names]
        for chosen in product(*(part.at(0) for part in outer)):
            yield {part.name: value for part, value in zip(outer, chosen, strict=True)}

    def _length(self, part: Field, values: Mapping[str, Any]) -> int | None:
        return int(values[part.length]) if isinstance(part.length, str) else part.length

    def _draw(self, part: Field, length: int | None, rng: np.random.Generator) -> Any:
        drawn = tuple(part.at(i)[rng.integers(len(part.at(i)))] for i in range(length or 1))
        return drawn[0] if length is None else drawn

    def _resized(
        self, part: Field, old: tuple[Value, ...], length: int, rng: np.random.Generator
    ) -> tuple[Value, ...]:
        fresh = self._draw(part, length, rng)
        return tuple(old[:length]) + tuple(fresh[len(old) :])

    def _named(self, key: str) -> str:
        for part in self.parts:
            if key == part.name or key in part.aliases:
                return part.name
        raise InputError(
            "E704",
            f'{self.name} architectures have no field "{key}"',
            suggestion(key, self.fields),
        )

    def _read(self, part: Field, text: str, length: int | None) -> Any:
        words = [word.strip() for word in text.split("-")]
        if len(words) != (length or 1):
            raise InputError(
                "E705",
                f'{part.name} of {self.name} is {length or 1} long, "{text}" is {len(words)}',
                f"write it as {self.example()}",
            )
        values = tuple(self._value(part, word, i) for i, word in enumerate(words))
        return values[0] if length is None else values

    def _value(self, part: Field, word: str, position: int) -> Value:
        if word in part.at(position):
            return word
        if _NUMBER.fullmatch(word):
            value = float(word)
            number = int(value) if value.is_integer() else value
            if number in part.at(position) or number in part.accepts:
                return number
        raise InputError(
            "E706",
            f'{part.name} of {self.name} cannot be "{word}"',
            f"allowed: {part.wanted(position)}",
        )


def text_of(value: Value) -> str:
    """A number or name as it stands in the text of an architecture."""
    if isinstance(value, str):
        return value
    return str(int(value)) if math.isfinite(value) and value == int(value) else repr(float(value))


def _is_name(text: str) -> bool:
    return (
        bool(text)
        and text.isprintable()
        and not any(ch in _SEPARATORS or ch.isspace() for ch in text)
    )


def _joined(value: Value | tuple[Value, ...]) -> str:
    return "-".join(map(text_of, value if isinstance(value, tuple) else (value,)))


def _at(value: Value | tuple[Value, ...], position: int) -> Value:
    return value[position] if isinstance(value, tuple) else value


def _with(value: Value | tuple[Value, ...], position: int, new: Value) -> Any:
    if not isinstance(value, tuple):
        return new
    return (*value[:position], new, *value[position + 1 :])

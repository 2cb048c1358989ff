"""What spaces of published cells share: a text of named parts, and how one part is read."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import ClassVar

from autodas_dsl.language.errors import InputError
from autodas_dsl.spaces.base import Arch, Space, suggestion


class NamedPartSpace(Space[Arch]):
    """A space whose architecture is written ``matrix=…,ops=…``: named texts, each a table column.

    A subclass gives `part_names`, an `example` of a text, `from_parts` and `to_parts`.
    """

    part_names: ClassVar[tuple[str, ...]]
    example: ClassVar[str]

    @property
    def fields(self) -> tuple[str, ...]:
        return self.part_names

    @abstractmethod
    def from_parts(self, parts: Mapping[str, str]) -> Arch:
        """The architecture of texts that are all there.

        Raises
        ------
        InputError
            A text is not allowed.
        """

    @abstractmethod
    def to_parts(self, arch: Arch) -> Mapping[str, str]:
        """The texts of an architecture, which `from_parts` reads."""

    def parse(self, text: str) -> Arch:
        parts: dict[str, str] = {}
        for item in text.split(","):
            name, equals, value = item.partition("=")
            if not equals:
                raise self.malformed(text)
            if name.strip() in parts:
                raise InputError(
                    "E702", f'"{text}" gives {name.strip()} twice', "give each part once"
                )
            parts[name.strip()] = value
        return self.from_fields(parts)

    def format(self, arch: Arch) -> str:
        return ",".join(f"{name}={text}" for name, text in self.to_parts(arch).items())

    def from_fields(self, values: Mapping[str, str]) -> Arch:
        for name in values:
            if name not in self.part_names:
                raise InputError(
                    "E704",
                    f'{self.name} architectures have no field "{name}"',
                    suggestion(name, self.part_names),
                )
        missing = [name for name in self.part_names if name not in values]
        if missing:
            raise InputError(
                "E703",
                f"the {self.name} architecture lacks {' and '.join(missing)}",
                f'write it as "{self.example}"',
            )
        return self.from_parts({name: values[name].strip() for name in self.part_names})

    def malformed(self, text: str) -> InputError:
        """The refusal of a text that does not have the form."""
        return InputError(
            "E702",
            f'"{text}" is not an architecture of {self.name}',
            f'write it as "{self.example}"',
        )

    def impossible(self, arch: Arch, why: str) -> InputError:
        """The refusal of an architecture that has the form and is not in the space."""
        return InputError("E707", f'"{self.format(arch)}" is not in {self.name}', why)

"""The documents that ``fmt`` and ``check`` are given: files, folders, standard input."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from autodas_dsl.language.documents import decode, parse_document
from autodas_dsl.language.proxy import Proxy
from autodas_dsl.language.spans import InputError

STDIN = "<stdin>"


@dataclass
class Document:
    """A text that may be a document; `path` is None for standard input."""

    path: Path | None

    @property
    def name(self) -> str:
        return STDIN if self.path is None else str(self.path)

    def read(self) -> bytes:
        """The bytes as they are stored.

        Raises
        ------
        InputError
            E301, when the file cannot be read.
        """
        return self._data

    @cached_property
    def _data(self) -> bytes:
        if self.path is None:
            return sys.stdin.buffer.read()
        try:
            return self.path.read_bytes()
        except OSError as error:
            raise InputError("E301", f"cannot read {self.path}: {error.strerror}") from None

    def parse(self) -> Proxy:
        """The document, unchecked.

        Raises
        ------
        InputError
            With everything that is wrong with it.
        """
        stem = self.path.stem if self.path else None
        return parse_document(decode(self.read(), self.name), self.name, stem=stem)


def documents(paths: Sequence[str]) -> Iterator[Document]:
    """Every document named: files as given, the .proxy files below folders, ``-``; each once."""
    seen: set[Path] = set()
    for text in paths:
        if text == "-":
            yield Document(None)
            continue
        path = Path(text)
        for found in sorted(path.rglob("*.proxy")) if path.is_dir() else [path]:
            if found.resolve() not in seen:
                seen.add(found.resolve())
                yield Document(found)

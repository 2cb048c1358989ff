"""The documents that ``fmt`` and ``check`` are given: files, folders, standard input."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from autodas_dsl.language.documents import MAX_DOCUMENT_BYTES, decode, parse_document, stored
from autodas_dsl.language.proxy import Proxy

STDIN = "<stdin>"
NONE_FOUND = "no .proxy file found"


@dataclass
class Document:
    """A text that may be a document; `path` is None for standard input."""

    path: Path | None

    @property
    def name(self) -> str:
        return STDIN if self.path is None else str(self.path)

    @property
    def stem(self) -> str | None:
        """The stem of the file, which the name of the document must equal."""
        return self.path.stem if self.path else None

    @cached_property
    def data(self) -> bytes:
        """The bytes as they are stored; of standard input no more than tell that it is too much."""
        if self.path is None:
            return sys.stdin.buffer.read(MAX_DOCUMENT_BYTES + 1)
        return stored(self.path)

    @property
    def line_end(self) -> str:
        """How the first line ends, and with it every line of the canonical text."""
        first, newline, _ = self.data.partition(b"\n")
        return "\r\n" if newline and first.endswith(b"\r") else "\n"

    def parse(self) -> Proxy:
        """The document, unchecked.

        Raises
        ------
        InputError
            With everything that is wrong with it.
        """
        return parse_document(decode(self.data, self.name), self.name, stem=self.stem)


def documents(paths: Sequence[str]) -> Iterator[Document]:
    """Every document named: files as given, the .proxy files below folders, ``-``; each once."""
    seen: set[str] = set()
    for text in paths:
        if text == "-":
            yield Document(None)
            continue
        path = Path(text)
        for found in sorted(path.rglob("*.proxy")) if path.is_dir() else [path]:
            real = os.path.realpath(found)  # of a link to itself, too
            if real not in seen:
                seen.add(real)
                yield Document(found)

"""A draft and its positions in the protocol's units.

A document counts characters, the protocol lines and (mostly) UTF-16 units.
"""

from __future__ import annotations

from bisect import bisect_right
from functools import cached_property
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlparse
from urllib.request import url2pathname

from autodas_dsl.editing.draft import Draft, draft
from autodas_dsl.language.library import library_files
from autodas_dsl.language.spans import Span

if TYPE_CHECKING:
    from lsprotocol import types as lsp


class Page:
    """A document of an editor.

    Parameters
    ----------
    uri, raw : str
        Its place, and its text with any line ends.
    codec, types
        The position codec of pygls and the types of lsprotocol.
    """

    def __init__(self, uri: str, raw: str, codec: Any, types: Any) -> None:
        self.uri, self.raw = uri, raw
        self.file = file_of(uri)
        self.draft: Draft = draft(raw, self.file.stem if self.file else None)
        self._codec, self._types = codec, types
        self._lines = self.draft.text.split("\n")

    @cached_property
    def _starts(self) -> list[int]:
        """The offset of each line."""
        return [0, *accumulate(len(line) + 1 for line in self._lines[:-1])]

    @property
    def is_shipped(self) -> bool:
        """Whether it is a file of the library."""
        return self.file is not None and self.file.resolve() in {
            path.resolve() for path in library_files().values()
        }

    def offset(self, position: lsp.Position) -> int:
        """The character at a position; past the end of a line, its end."""
        if position.line >= len(self._lines):
            return len(self.draft.text)
        inner = self._codec.position_from_client_units(self._lines, position)
        return self._starts[inner.line] + min(inner.character, len(self._lines[inner.line]))

    def position(self, offset: int) -> lsp.Position:
        offset = min(offset, len(self.draft.text))
        row = bisect_right(self._starts, offset) - 1
        inner = self._types.Position(row, offset - self._starts[row])
        if self._lines[row].isascii():
            return inner
        return self._codec.position_to_client_units(self._lines, inner)

    def range(self, span: Span) -> lsp.Range:
        return self._types.Range(self.position(span.start), self.position(span.end))

    def location(self, span: Span) -> lsp.Location:
        return self._types.Location(self.uri, self.range(span))

    @property
    def whole(self) -> lsp.Range:
        return self.range(Span(0, len(self.draft.text)))


def file_of(uri: str) -> Path | None:
    """The file that an editor shows; None for one without a name yet."""
    parsed = urlparse(uri)
    return Path(url2pathname(parsed.path)) if parsed.scheme == "file" else None

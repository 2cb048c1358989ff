"""What is told of each error code: docs/errors.md, which is shipped, read back."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from autodas_dsl.language.errors import InputError
from autodas_dsl.language.folders import data_folder
from autodas_dsl.language.resolve import suggest

_SUBJECT = re.compile(r"^## E\dxx: (.+)$", re.M)
_CODE = re.compile(r"^### (E\d{3})$", re.M)
_EXAMPLE = re.compile(r"^```console\n(.*?)\n```$", re.M | re.S)
_SPAN = re.compile(r"`` (.*?) ``|`([^`]*)`")


@dataclass(frozen=True, slots=True)
class ErrorPage:
    """One code.

    Parameters
    ----------
    code, subject : str
    meaning : str
        What several messages have in common and when the code occurs, in sentences; may be empty.
    messages : tuple of (str, tuple of str)
        In how many ways it is said, with … for what varies, and what to do about each.
    example : str
        What a terminal shows; empty where there is no short one.
    """

    code: str
    subject: str
    meaning: str
    messages: tuple[tuple[str, tuple[str, ...]], ...]
    example: str

    @property
    def title(self) -> str:
        """The message, or the meaning of several, in one line."""
        return self.messages[0][0] if len(self.messages) == 1 else self.meaning


@cache
def error_pages() -> Mapping[str, ErrorPage]:
    """Every code and its page, in the order of the codes."""
    text = (data_folder("docs") / "errors.md").read_text(encoding="utf-8")
    found: dict[str, ErrorPage] = {}
    _, *subjects = _SUBJECT.split(text)
    for subject, below in zip(subjects[::2], subjects[1::2], strict=True):
        _, *pages = _CODE.split(below)
        for code, page in zip(pages[::2], pages[1::2], strict=True):
            found[code] = _page(code, subject, page)
    return found


def error_page(code: str) -> ErrorPage:
    """The page of a code, in any case.

    Raises
    ------
    InputError
        E663 when there is no such code.
    """
    found = error_pages().get(code.upper())
    if found is None:
        raise InputError(
            "E663", f"there is no error `{code}`",
            suggest(code, error_pages()) or "autodas-dsl explain lists them",
        )  # fmt: skip
    return found


def _page(code: str, subject: str, text: str) -> ErrorPage:
    example = _EXAMPLE.search(text)
    lines = text[: example.start() if example else None].split("\n")
    bullets = [_spans(line) for line in lines if line.startswith("* ")]
    prose = " ".join(line for line in lines if line and not line.startswith("* "))
    return ErrorPage(code, subject, prose, tuple((first, tuple(rest)) for first, *rest in bullets),
                     example[1] if example else "")  # fmt: skip


def _spans(line: str) -> list[str]:
    return [found[1] if found[2] is None else found[2] for found in _SPAN.finditer(line)]

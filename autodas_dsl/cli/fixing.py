"""What ``check --fix`` does to documents, and says about it."""

from __future__ import annotations

import codecs
from collections.abc import Sequence
from pathlib import Path

import click

from autodas_dsl.cli.documents import Document
from autodas_dsl.editing.fixes import Mended, mended
from autodas_dsl.language.documents import decode
from autodas_dsl.language.errors import InputError
from autodas_dsl.language.files import write_atomic
from autodas_dsl.language.visible import visible


def require_documents(subjects: Sequence[Document | str]) -> None:
    """Refuse to mend what stands in no file.

    Raises
    ------
    InputError
        E662.
    """
    for subject in subjects:
        if isinstance(subject, str):
            raise InputError("E662", f"--fix mends documents, and `{subject}` is none",
                             "name a .proxy file, a folder or -")  # fmt: skip


def fix(document: Document, unsafe: bool) -> int:
    """Mend a document where it is, or print it when it is standard input; how often.

    What could not be read with its fixes either is left as it is.
    """
    before = _text(document)
    if before is None:
        return 0
    found = mended(before, document.stem, unsafe)
    if found.fixed and not found.readable:
        click.echo(
            visible(f"{document.name} is left as it is: no fix makes it a document"), err=True
        )
        found = Mended(before, 0)
    if found.fixed:
        mark = codecs.BOM_UTF8 if document.data.startswith(codecs.BOM_UTF8) else b""
        document.data = mark + found.text.encode()
    if document.path is None:
        click.echo(document.data, nl=False)
    elif found.fixed:
        write_atomic(Path(document.path).resolve(), document.data)
    return found.fixed


def fixable(document: Document) -> tuple[int, int]:
    """How many problems have a fix: a safe one, and another one."""
    text = _text(document)
    if text is None:
        return 0, 0
    safe, unsafe = (mended(text, document.stem, unsafe) for unsafe in (False, True))
    count = safe.fixed if safe.readable else 0
    return count, unsafe.fixed - count if unsafe.readable else 0


def summary(fixed: int | None, left: int, rest: Sequence[tuple[int, int]]) -> str:
    """What is said of all documents; nothing where no fix was asked for and none is known.

    Parameters
    ----------
    fixed : int or None
        The problems mended; None without ``--fix``.
    left : int
        The problems there are now.
    rest : sequence of (safe, unsafe)
        Of each document.
    """
    safe, unsafe = (sum(one[kind] for one in rest) for kind in (0, 1))
    more = f"{unsafe} more with --unsafe-fixes" if unsafe else ""
    if fixed is None:
        return ", ".join(
            filter(None, [f"{safe} fixable with --fix" if safe or unsafe else "", more])
        )
    total = left + fixed
    if not total:
        return "No problems"
    return "; ".join(filter(None, [f"Fixed {fixed} of {total} problem{'s' * (total != 1)}", more]))


def _text(document: Document) -> str | None:
    """The text with its own line ends; None when it cannot be read, which its report tells."""
    try:
        decode(document.data, document.name)
    except InputError:
        return None
    return document.data.decode("utf-8-sig")

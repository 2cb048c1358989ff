"""Files of a run, read with a word about what is wrong with them."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from autodas_dsl.language.spans import InputError


def damaged(path: Path, what: str) -> InputError:
    """The error for a file that is missing or does not say what it should."""
    return InputError(
        "E642", f"cannot read {path}: {what}", "run the search again with --resume to restore it"
    )


def text_of(path: Path) -> str:
    """The text of a file.

    Raises
    ------
    InputError
        E642, as all functions here.
    """
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise damaged(path, getattr(error, "strerror", None) or str(error)) from None


def json_of(text: str, path: Path) -> Any:
    """The value of a JSON text."""
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise damaged(path, f"line {error.lineno}: {error.msg}") from None


def take(data: Any, key: str, kind: Any, path: Path) -> Any:
    """A value of a JSON object, of the right type."""
    if not isinstance(data, dict) or key not in data:
        raise damaged(path, f"`{key}` is missing")
    if not isinstance(data[key], kind):
        raise damaged(path, f"`{key}` is not what it should be")
    return data[key]


def rows_of(path: Path, needed: Sequence[str]) -> list[dict[str, str]]:
    """The rows of a CSV file that has at least these columns."""
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            reader = csv.DictReader(stream)
            rows = list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise damaged(path, getattr(error, "strerror", None) or str(error)) from None
    missing = [name for name in needed if name not in (reader.fieldnames or ())]
    if rows and missing:
        raise damaged(path, f"column `{missing[0]}` is missing")
    for number, row in enumerate(rows, start=2):
        if None in row or None in row.values():
            raise damaged(path, f"line {number} has another number of cells than the first")
    return rows


def number_of(text: str, path: Path) -> float:
    """The number in a cell."""
    try:
        return float(text)
    except ValueError:
        raise damaged(path, f"`{text}` is not a number") from None

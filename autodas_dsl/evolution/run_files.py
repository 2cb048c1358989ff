"""Files of a run, read with a word about what is wrong with them; what is in them: `run_records`."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from autodas_dsl.language.errors import InputError
from autodas_dsl.language.files import read_file

MAX_BYTES = 256 << 20
"""Of a file of a run that is read whole."""
_LARGEST = 2**53
"""Of a count or a correlation; scores may be larger."""


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
        return read_file(path, MAX_BYTES).decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise damaged(path, getattr(error, "strerror", None) or str(error)) from None


def json_of(text: str, path: Path) -> Any:
    """The value of a JSON text."""
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise damaged(path, f"line {error.lineno}: {error.msg}") from None
    except (ValueError, RecursionError):
        raise damaged(path, "a number in it is too long, or it is nested too deep") from None


def take(data: Any, key: str, kind: Any, path: Path) -> Any:
    """A value of a JSON object, of the right type."""
    if not isinstance(data, dict) or key not in data:
        raise damaged(path, f"`{key}` is missing")
    value = data[key]
    whole = isinstance(value, kind) and not isinstance(value, bool)
    if not whole or (isinstance(value, int | float) and not abs(value) <= _LARGEST):
        raise damaged(path, f"`{key}` is not what it should be")
    return value


def taken(kind: Any, data: Any, path: Path, names: Sequence[str] = ()) -> dict[str, Any]:
    """The fields of a dataclass from a JSON object, by default all of them."""
    wanted = [one for one in fields(kind) if not names or one.name in names]
    return {one.name: take(data, one.name, _JSON[str(one.type)], path) for one in wanted}


def parsed(kind: Any, row: Mapping[str, str], path: Path) -> dict[str, Any]:
    """The fields of a dataclass from the cells of a row."""
    return {one.name: _CELLS[str(one.type)](row[one.name], path) for one in fields(kind)}


def rows_of(path: Path, needed: Sequence[str]) -> list[dict[str, str]]:
    """The rows of a CSV file that has at least these columns."""
    reader = csv.DictReader(io.StringIO(text_of(path), newline=""))
    try:
        rows = list(reader)
    except csv.Error as error:
        raise damaged(path, str(error)) from None
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
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise damaged(path, f"`{text}` is not a number")
    return value


def whole_number_of(text: str, path: Path) -> int:
    """The whole number in a cell."""
    value = number_of(text, path)
    if not abs(value) <= _LARGEST or value != int(value):
        raise damaged(path, f"`{text}` is not a whole number")
    return int(value)


_JSON: dict[str, Any] = {
    "str": str, "int": int, "float": (int, float), "float | None": (int, float, type(None)),
}  # fmt: skip
_CELLS: dict[str, Callable[[str, Path], Any]] = {
    "str": lambda text, path: text,
    "int": whole_number_of,
    "float": number_of,
    "float | None": lambda text, path: number_of(text, path) if text else None,
    "bool": lambda text, path: text == "True",
}

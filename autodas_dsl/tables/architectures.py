"""Which columns of a sheet say what the architectures are, and which space they belong to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from autodas_dsl.language.errors import InputError
from autodas_dsl.language.nearest import did_you_mean
from autodas_dsl.tables.sheet import Sheet, located

if TYPE_CHECKING:
    from autodas_dsl.spaces.base import Space

ARCH = "arch"
"""The column that holds a whole architecture as one text."""

_LOOKED_AT = 10
"""Rows that are tried when the space of a table is guessed."""


def architecture_columns(sheet: Sheet, space: Space[Any] | None) -> tuple[str, ...]:
    """The columns that together say what an architecture is.

    They are ``arch``, or the fields of the space; in a table of no known space ``arch`` or else
    every column without a number.

    Raises
    ------
    InputError
        There are none, one is missing, or a column is neither a field nor numeric.
    """
    fields = {} if space is None else _field_columns(sheet.header, space)
    words = [column for column in sheet.header if not sheet.holds_numbers(column)]
    if ARCH in sheet.header:
        used: tuple[str, ...] = (ARCH,)
    elif space is None:
        used = tuple(words)
    else:
        used = tuple(fields)
        _require_fields(sheet, space, fields)
    if not used:
        raise sheet.error(
            "E508",
            "no column says what the architectures are",
            f"name the column of architectures {ARCH}, or give the space with --space",
        )
    for column in words:
        if column not in used:
            known = (ARCH,) if space is None else (ARCH, *space.fields)
            raise sheet.error(
                "E507",
                f'the column "{column}" is neither numbers nor part of an architecture',
                did_you_mean(column, known) + f"architectures are told by {', '.join(known)}",
            )
    return used


def read_architectures(
    sheet: Sheet, used: Sequence[str], space: Space[Any] | None
) -> tuple[str, ...]:
    """The architecture of every row as text, canonical where the space is known.

    Raises
    ------
    InputError
        A cell is empty, or the architecture is outside its space; points at the row.
    """
    columns = [sheet.column(name) for name in used]
    found = []
    for row, cells in enumerate(zip(*columns, strict=True)):
        if not all(cells):
            raise sheet.error("E516", "the architecture is incomplete", "fill every cell", row=row)
        try:
            found.append(_text(dict(zip(used, cells, strict=True)), space))
        except InputError as error:
            raise located(error, sheet.source, sheet.span(row, used[0])) from error
    return tuple(found)


def guess_space(sheet: Sheet, name: str) -> Space[Any] | None:
    """The space whose columns these are, when only one fits or the table's name decides.

    A space fits when its columns are all there and most of the first rows are in it.
    """
    from autodas_dsl.spaces.registry import get, names  # loads torch

    fitting = [space for space in map(get, names()) if _fits(sheet, space)]
    if len(fitting) > 1:
        fitting = [space for space in fitting if _plain(space.name) in _plain(name)]
    return fitting[0] if len(fitting) == 1 else None


def _fits(sheet: Sheet, space: Space[Any]) -> bool:
    words = [column for column in sheet.header if not sheet.holds_numbers(column)]
    fields = _field_columns(sheet.header, space)
    used = (ARCH,) if ARCH in sheet.header else tuple(fields)
    if not used or not set(words) <= set(used):
        return False
    if used != (ARCH,) and set(fields.values()) != set(space.fields):
        return False
    rows = list(zip(*(sheet.column(name)[:_LOOKED_AT] for name in used), strict=True))
    inside = sum(_is_inside(dict(zip(used, cells, strict=True)), space) for cells in rows)
    return 2 * inside > len(rows)


def _is_inside(cells: dict[str, str], space: Space[Any]) -> bool:
    try:
        _text(cells, space)
    except InputError:
        return False
    return True


def _text(cells: dict[str, str], space: Space[Any] | None) -> str:
    if space is None:
        values = list(cells.values())
        return values[0] if len(values) == 1 else ",".join(f"{k}={v}" for k, v in cells.items())
    arch = space.parse(cells[ARCH]) if ARCH in cells else space.from_fields(cells)
    text = space.format(arch)
    if why := space.outside(arch):
        raise InputError("E534", f"{text} is outside its space", why)
    return text


def _field_columns(header: Sequence[str], space: Space[Any]) -> dict[str, str]:
    """Column name to field name, for the columns that are fields of the space or aliases."""
    named = {name: name for name in space.fields}
    for part in getattr(space, "parts", ()):
        named.update(dict.fromkeys(part.aliases, part.name))
    return {column: named[column] for column in header if column in named}


def _require_fields(sheet: Sheet, space: Space[Any], fields: dict[str, str]) -> None:
    missing = [name for name in space.fields if name not in fields.values()]
    if not missing and space.fields:
        return
    wanted = " and ".join(missing) if 0 < len(missing) < len(space.fields) else ARCH
    others = [column for column in sheet.header if column not in fields]
    near = did_you_mean(missing[0] if missing else ARCH, others)
    told = f"{space.name} is told by {ARCH}" + (
        f" or by {', '.join(space.fields)}" if space.fields else ""
    )
    raise sheet.error(
        "E508",
        f"a table of {space.name} needs the column {wanted}",
        (near.replace("did you mean", "is it") if near else "") + told,
    )


def _plain(name: str) -> str:
    return "".join(ch for ch in name.lower() if ch.isalnum())

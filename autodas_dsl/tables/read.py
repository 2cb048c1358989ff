"""Reading a table: built in, or a CSV of the user's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from autodas_dsl.language.errors import InputError
from autodas_dsl.language.files import read_file
from autodas_dsl.language.nearest import did_you_mean
from autodas_dsl.language.spans import Source
from autodas_dsl.language.visible import visible
from autodas_dsl.tables.architectures import architecture_columns, guess_space, read_architectures
from autodas_dsl.tables.sheet import Sheet, read_sheet
from autodas_dsl.tables.table import Floats, Table, assemble

if TYPE_CHECKING:
    from autodas_dsl.spaces.base import Space


MAX_BYTES = 256 << 20


def builtin_folder() -> Path:
    """The folder of built-in tables and of the weights that belong to them."""
    return Path(str(files(__package__))) / "builtin"


def builtin_tables() -> tuple[str, ...]:
    """Names of the tables that come with the package."""
    folder = files(__package__) / "builtin"
    if not folder.is_dir():
        return ()
    names = (entry.name for entry in folder.iterdir() if entry.name.endswith(".csv"))
    return tuple(sorted(name.removesuffix(".csv") for name in names))


def load_table(name_or_path: str | Path, space: str | Space[Any] | None = None) -> Table:
    """The table of this name or in this file.

    Parameters
    ----------
    name_or_path : str or Path
        A built-in name, else the path of a CSV file.
    space : str or Space, optional
        The space of the architectures; without it the ``# space:`` line tells, else the columns
        or the file name, when only one space fits.

    Raises
    ------
    InputError
        There is no such table, or it cannot be understood; the diagnostic points at the place.
    """
    source = _open(name_or_path)
    return read_table(source, name=visible(Path(name_or_path).stem), space=space)


def read_table(source: Source, *, name: str, space: str | Space[Any] | None = None) -> Table:
    """The table in a CSV text; see `load_table`."""
    sheet = read_sheet(source)
    comments = dict(sheet.comments)
    written = comments.pop("space", None)
    if written is not None and written.endswith(".py"):
        raise sheet.error(
            "E529",
            f"the table names the file {written} as its space, and files named by data are not run",
            f"remove the line from the table and give --space {written}",
        )
    told = written if space is None else space
    known = _named(told) if isinstance(told, str) else told or guess_space(sheet, name)
    used = architecture_columns(sheet, known)
    architectures = read_architectures(sheet, used, known)
    numbers = {column: sheet.numbers(column) for column in sheet.header if column not in used}
    _reject_repeats(sheet, architectures, numbers)
    table = assemble(name, known.name if known else None, architectures, numbers, comments)
    _check_means(sheet, table)
    return table


def _named(name: str) -> Space[Any]:
    from autodas_dsl.spaces.registry import get  # loads torch: only for tables with a space

    return get(name)


def _open(name_or_path: str | Path) -> Source:
    path = Path(name_or_path)
    if str(name_or_path) in builtin_tables():
        resource = files(__package__) / "builtin" / f"{name_or_path}.csv"
        return Source(str(name_or_path), resource.read_text(encoding="utf-8"))
    try:
        text = read_file(path, MAX_BYTES).decode("utf-8-sig")
    except FileNotFoundError as error:
        known = builtin_tables()
        raise InputError(
            "E501",
            f'there is no table "{name_or_path}"',
            did_you_mean(str(name_or_path), known)
            + (f"built in: {', '.join(known)}; " if known else "")
            + "or give the path of a CSV file",
        ) from error
    except UnicodeDecodeError as error:
        raise InputError(
            "E502", f"{path} is not UTF-8 text (byte {error.start})", "save the table as UTF-8 CSV"
        ) from error
    except OSError as error:
        raise InputError(
            "E519", f"cannot read {path}: {error.strerror or error}", "give a CSV file"
        ) from error
    return Source(str(path), text.replace("\r\n", "\n").replace("\r", "\n"))


def _reject_repeats(
    sheet: Sheet, architectures: Sequence[str], numbers: Mapping[str, Floats]
) -> None:
    first: dict[str, int] = {}
    for row, architecture in enumerate(architectures):
        before = first.setdefault(architecture, row)
        if before == row:
            continue
        for column, values in numbers.items():
            if not np.array_equal(values[before], values[row], equal_nan=True):
                raise sheet.error(
                    "E510",
                    f"{architecture} is given twice with another {column}: "
                    f"{values[before]:g} in line {sheet.lines[before]}, {values[row]:g} here",
                    "keep the row that was measured; if other columns tell the two apart, name "
                    "the space of the table with --space",
                    row=row,
                )
        raise sheet.error(
            "E509",
            f"{architecture} is given twice, first in line {sheet.lines[before]}",
            "delete one of the two rows",
            row=row,
        )


def _check_means(sheet: Sheet, table: Table) -> None:
    """A target with per-seed columns is their mean, to three digits."""
    for target, seeds in table.seeds.items():
        known = ~np.isnan(seeds).all(axis=1) & ~np.isnan(table.columns[target])
        for row in np.flatnonzero(known):
            mean, written = float(np.nanmean(seeds[row])), float(table.columns[target][row])
            if abs(mean - written) > 1e-3 * max(1.0, abs(mean)):
                raise sheet.error(
                    "E514",
                    f"{target} is {written:g} but the mean of its seeds is {mean:g}",
                    f"{target}_0, {target}_1, … are the runs whose mean is {target}",
                    row=int(row),
                    column=target,
                )

"""Writing files so that a reader finds the old one or the new one, never half of either."""

from __future__ import annotations

import csv
import io
import os
import tempfile
from contextlib import suppress
from pathlib import Path

import numpy as np

from autodas_dsl.language.spans import InputError
from autodas_dsl.tables.table import Table


def write_atomic(path: Path, content: str | bytes) -> None:
    """Write a file through a temporary one beside it: written, synced, renamed.

    Raises
    ------
    InputError
        The folder does not exist or cannot be written, or the disk is full; an older file is
        left as it was and no temporary file stays behind.
    """
    data = content.encode("utf-8") if isinstance(content, str) else content
    try:
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
    except OSError as error:
        raise _cannot_write(path, error) from error
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(path)
        _sync_folder(path.parent)
    except OSError as error:
        raise _cannot_write(path, error) from error
    finally:
        with suppress(FileNotFoundError):
            temporary.unlink()


def write_table(table: Table, path: Path, *, decimals: int | None = None) -> None:
    """Write a table as CSV with its provenance; see `table_text` and `write_atomic`."""
    write_atomic(path, table_text(table, decimals=decimals))


def table_text(table: Table, *, decimals: int | None = None) -> str:
    """A table as CSV text that `load_table` reads back.

    Provenance comes first, one ``# key: value`` line each, then the header and the rows. Numbers
    print shortest-exact, or rounded to `decimals` places; a missing cell is empty.
    """
    out = io.StringIO()
    provenance = {} if table.space is None else {"space": table.space}
    provenance.update(table.provenance)
    for key, value in provenance.items():
        out.write(f"# {key}: {' '.join(value.split())}\n")
    numbers = _flat_columns(table)
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["arch", *numbers])
    for row, architecture in enumerate(table.architectures):
        cells = (_number(float(values[row]), decimals) for values in numbers.values())
        writer.writerow([architecture, *cells])
    return out.getvalue()


def _flat_columns(table: Table) -> dict[str, np.ndarray]:
    """Every numeric column, the details of a target right after it."""
    flat: dict[str, np.ndarray] = {}
    for name, values in table.columns.items():
        flat[name] = values
        if name in table.spreads:
            flat[f"{name}_std"] = table.spreads[name]
        if name in table.seed_counts:
            flat[f"{name}_seeds"] = table.seed_counts[name]
        for seed, column in enumerate(table.seeds[name].T if name in table.seeds else ()):
            flat[f"{name}_{seed}"] = column
    return flat


def _number(value: float, decimals: int | None) -> str:
    if np.isnan(value):
        return ""
    text = repr(value if decimals is None else round(value, decimals))
    return text.removesuffix(".0")


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _sync_folder(folder: Path) -> None:
    """Make the rename itself durable, where the system can open a folder."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _cannot_write(path: Path, error: OSError) -> InputError:
    return InputError(
        "E517",
        f"cannot write {path}: {error.strerror or error}",
        "choose a folder that exists, may be written and has space left",
    )

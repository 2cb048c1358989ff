"""Tables as CSV text and as files."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np

from autodas_dsl.language.files import write_atomic
from autodas_dsl.tables.table import Table


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

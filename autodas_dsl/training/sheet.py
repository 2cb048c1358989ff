"""Rows as a table, and back from the table of a build that was interrupted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from autodas_dsl.language.errors import InputError
from autodas_dsl.language.spans import Source
from autodas_dsl.tables.read import read_table
from autodas_dsl.tables.table import Floats, Table, assemble
from autodas_dsl.training.rows import Row

TARGETS = ("vanilla", "kd")
"""Trained alone, and distilled; also the names of a row's accuracies."""


def table_of(space_name: str, rows: Sequence[Row], provenance: Mapping[str, str]) -> Table:
    """The table of the rows: mean, spread and count of each target, and every seed."""
    numbers: dict[str, Floats] = {}
    for target in TARGETS:
        seeds = np.array([getattr(row, target) for row in rows])
        numbers[target] = seeds.mean(1)
        numbers[f"{target}_std"] = seeds.std(1, ddof=1)
        numbers[f"{target}_seeds"] = np.full(len(rows), float(seeds.shape[1]))
        numbers |= {f"{target}_{seed}": column for seed, column in enumerate(seeds.T)}
    return assemble(space_name, space_name, [row.arch for row in rows], numbers, provenance)


def begun(
    path: Path, space_name: str, provenance: Mapping[str, str], seeds: tuple[int, int]
) -> dict[str, Row]:
    """Rows of an unfinished table, by architecture; none if the file does not exist yet.

    Raises
    ------
    InputError
        The file is no table, or not one that the same build began (E720).
    """
    if not path.exists():
        return {}
    source = Source(str(path), path.read_text(encoding="utf-8"))
    table = read_table(source, name=path.stem, space=space_name)
    differing = [key for key, text in provenance.items() if table.provenance.get(key) != text]
    found = [table.seeds[target].shape[1] for target in TARGETS if target in table.seeds]
    if differing or found != list(seeds):
        raise InputError(
            "E720",
            f"{path} was not begun by this build: {', '.join(differing) or 'columns'} differ",
            "choose another output file",
        )
    rows = zip(table.architectures, *(table.seeds[target] for target in TARGETS), strict=True)
    return {
        arch: Row(arch, tuple(vanilla.tolist()), tuple(kd.tolist())) for arch, vanilla, kd in rows
    }

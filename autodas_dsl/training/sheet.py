"""Rows as a table, and back from the table of a build that was interrupted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from autodas_dsl.language.errors import InputError
from autodas_dsl.language.spans import Source
from autodas_dsl.spaces.base import Space
from autodas_dsl.tables.read import read_table
from autodas_dsl.tables.table import Floats, Table, assemble
from autodas_dsl.training.rows import Row

TARGETS = ("vanilla", "kd")
"""Trained alone, and distilled; also the names of a row's accuracies."""


def table_of(space: Space[Any], rows: Sequence[Row], provenance: Mapping[str, str]) -> Table:
    """The table of the rows: mean, spread and count of each target, and every seed.

    A space of a user's file is not named as one, which nothing that reads the table would run.
    """
    numbers: dict[str, Floats] = {}
    for target in TARGETS:
        seeds = np.array([getattr(row, target) for row in rows])
        if not seeds.size:
            continue
        numbers[target] = seeds.mean(1)
        numbers[f"{target}_std"] = seeds.std(1, ddof=1)
        numbers[f"{target}_seeds"] = np.full(len(rows), float(seeds.shape[1]))
        numbers |= {f"{target}_{seed}": column for seed, column in enumerate(seeds.T)}
    named = None if space.file else space.name
    return assemble(space.name, named, [row.arch for row in rows], numbers, provenance)


def begun(
    path: Path, space: Space[Any], provenance: Mapping[str, str], seeds: tuple[int, int]
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
    table = read_table(source, name=path.stem, space=space)
    differing = [key for key, text in provenance.items() if table.provenance.get(key) != text]
    found = [table.seeds[target].shape[1] if target in table.seeds else 0 for target in TARGETS]
    if differing or found != list(seeds):
        raise InputError(
            "E720",
            f"{path} was not begun by this build: {', '.join(differing) or 'columns'} differ",
            "choose another output file",
        )
    none = np.empty((len(table), 0))
    rows = zip(table.architectures, *(table.seeds.get(one, none) for one in TARGETS), strict=True)
    return {
        arch: Row(arch, tuple(vanilla.tolist()), tuple(kd.tolist())) for arch, vanilla, kd in rows
    }

"""A table's file while it grows: rows and provenance as CSV, replaced whole at every change."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from autodas_dsl.language.spans import InputError
from autodas_dsl.training.rows import Row

TARGETS = ("vanilla", "kd")
"""Trained alone, and distilled."""

_HELP = "choose a folder that can be written to, with room left"


def render(rows: Iterable[Row], provenance: Mapping[str, str], seeds: tuple[int, int]) -> bytes:
    """The file's content: ``# key: value`` lines, the header, a line for each row."""
    out = io.StringIO()
    for key, value in provenance.items():
        out.write(f"# {key}: {value}\n")
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(header(seeds))
    for row in rows:
        means = [cell for column in (row.vanilla, row.kd) for cell in _summary(column)]
        writer.writerow([row.arch, *means, *(f"{one:.6f}" for one in row.vanilla + row.kd)])
    return out.getvalue().encode()


def header(seeds: tuple[int, int]) -> list[str]:
    """Column names: the mean, spread and count of each target, then every seed."""
    names = ["arch"]
    for target in TARGETS:
        names += [target, f"{target}_std", f"{target}_seeds"]
    for target, count in zip(TARGETS, seeds, strict=True):
        names += [f"{target}_{seed}" for seed in range(count)]
    return names


def read(path: Path, provenance: Mapping[str, str], seeds: tuple[int, int]) -> dict[str, Row]:
    """Rows of an unfinished table, by architecture; none if the file does not exist yet.

    Raises
    ------
    InputError
        The file is not one that the same build began (E720).
    """
    if not path.exists():
        return {}
    lines = path.read_text(encoding="utf-8").splitlines()
    began = dict(line[2:].partition(": ")[::2] for line in lines if line.startswith("# "))
    cells = csv.reader(line for line in lines if not line.startswith("#"))
    differing = [key for key, value in provenance.items() if began.get(key) != value]
    if differing or next(cells, None) != header(seeds):
        raise InputError(
            "E720",
            f"{path} was not begun by this build: {', '.join(differing) or 'columns'} differ",
            "choose another output file",
        )
    try:
        return {row[0]: _row(row, seeds) for row in cells}
    except ValueError as error:
        raise InputError(
            "E720", f"{path} holds a damaged row: {error}", "remove that row to train it again"
        ) from error


def replace(path: Path, content: bytes) -> None:
    """Write a file so that a reader, or a crash, finds the old content or the new one.

    Raises
    ------
    InputError
        It cannot be written (E721); the old content stays.
    """
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as out:
            out.write(content)
            out.flush()
            os.fsync(out.fileno())
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise InputError("E721", f"cannot write {path}: {error.strerror}", _HELP) from error


def _row(cells: Sequence[str], seeds: tuple[int, int]) -> Row:
    if len(cells) != len(header(seeds)):
        raise ValueError(f"{len(cells)} columns instead of {len(header(seeds))}")
    values = tuple(float(cell) for cell in cells[-sum(seeds) :])
    return Row(cells[0], values[: seeds[0]], values[seeds[0] :])


def _summary(accuracies: Sequence[float]) -> tuple[str, str, str]:
    values = np.asarray(accuracies)
    return f"{values.mean():.6f}", f"{values.std(ddof=1):.6f}", str(len(values))

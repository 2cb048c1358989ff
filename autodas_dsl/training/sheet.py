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


def render(rows: Iterable[Row], provenance: Mapping[str, str], seeds: tuple[int, int]) -> str:
    """The file's text: ``# key: value`` lines, the header, a line for each row."""
    out = io.StringIO()
    for key, value in provenance.items():
        out.write(f"# {key}: {value}\n")
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(header(seeds))
    for row in rows:
        means = [cell for column in (row.vanilla, row.kd) for cell in _summary(column)]
        writer.writerow([row.arch, *means, *(f"{one:.6f}" for one in row.vanilla + row.kd)])
    return out.getvalue()


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
    text = path.read_text(encoding="utf-8")
    comments = [line for line in text.splitlines() if line.startswith("# ")]
    began = dict(line[2:].partition(": ")[::2] for line in comments)
    differing = [key for key, value in provenance.items() if began.get(key) != value]
    lines = csv.reader(line for line in text.splitlines() if not line.startswith("#"))
    if differing or next(lines, None) != header(seeds):
        raise InputError(
            "E720",
            f"{path} was not begun by this build: {', '.join(differing) or 'columns'} differ",
            "choose another output file",
        )
    found = {}
    for arch, *cells in lines:
        values = tuple(float(cell) for cell in cells[-sum(seeds) :])
        found[arch] = Row(arch, values[: seeds[0]], values[seeds[0] :])
    return found


def replace(path: Path, text: str) -> None:
    """Write a file so that a reader, or a crash, finds the old text or the new one."""
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("w", encoding="utf-8", newline="") as out:
            out.write(text)
            out.flush()
            os.fsync(out.fileno())
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise InputError("E721", f"cannot write {path}: {error.strerror}", "") from error


def _summary(accuracies: Sequence[float]) -> tuple[str, str, str]:
    values = np.asarray(accuracies)
    return f"{values.mean():.6f}", f"{values.std(ddof=1):.6f}", str(len(values))

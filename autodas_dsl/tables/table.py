"""A table: architectures, and the accuracies that were measured for them; as CSV text, as a file."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from autodas_dsl.language.errors import InputError
from autodas_dsl.language.files import write_atomic
from autodas_dsl.language.nearest import did_you_mean

Floats = npt.NDArray[np.float64]

MINIMUM = 5
"""The fewest architectures over which a correlation is reported."""

SIZES = ("params", "flops", "layers")
"""Numeric columns that describe an architecture and are never a target."""

DEFAULT_TARGET = "kd"


@dataclass(frozen=True, eq=False)
class Table:
    """Architectures of one family and their measured numbers, one row each.

    Attributes
    ----------
    name : str
        What messages and results call the table.
    space : str or None
        Name of the space the architectures belong to, when it is known.
    architectures : tuple of str
        The architectures as text, each once; canonical text of the space when it is known.
    columns : mapping of str to array
        Numeric columns, float64 of shape ``[n]``; a missing cell is NaN.
    seeds : mapping of str to array
        For a target, its per-seed values, ``[n, seeds]``, from columns ``kd_0, kd_1, …``.
    spreads : mapping of str to array
        For a target, the standard deviation over its seeds, ``[n]``, from ``kd_std``.
    seed_counts : mapping of str to array
        For a target, the number of seeds, ``[n]``, from ``kd_seeds``.
    provenance : mapping of str to str
        Where the numbers come from: the leading ``# key: value`` lines.
    """

    name: str
    space: str | None
    architectures: tuple[str, ...]
    columns: Mapping[str, Floats]
    seeds: Mapping[str, Floats] = field(default_factory=dict)
    spreads: Mapping[str, Floats] = field(default_factory=dict)
    seed_counts: Mapping[str, Floats] = field(default_factory=dict)
    provenance: Mapping[str, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.architectures)

    @property
    def targets(self) -> tuple[str, ...]:
        """The accuracy columns, in the order of the file."""
        return tuple(name for name in self.columns if name not in SIZES)

    def target(self, name: str | None = None) -> str:
        """The accuracy column to use.

        Parameters
        ----------
        name : str, optional
            What the user asked for; of several, separated by commas, the first that there is, so
            that tables with other columns can be named together. Without it ``kd`` when there is
            one, else the only one.

        Raises
        ------
        InputError
            There is no such column, or none was named and several would do.
        """
        known = ", ".join(self.targets)
        if name is None:
            if DEFAULT_TARGET in self.targets:
                return DEFAULT_TARGET
            if len(self.targets) == 1:
                return self.targets[0]
            raise InputError(
                "E512",
                f"the table {self.name} has {len(self.targets)} accuracy columns",
                f"choose one with --target: {known}" if known else "add a column of accuracies",
            )
        wanted = [name, *name.split(",")]
        found = next((one for one in wanted if one in self.targets), None)
        if found is None:
            raise InputError(
                "E511",
                f'the table {self.name} has no accuracy column "{name}"',
                did_you_mean(wanted[-1], self.targets) + f"targets: {known}",
            )
        return found

    def rows(self, chosen: Sequence[int] | npt.NDArray[np.integer]) -> Table:
        """The table of these rows, in this order."""
        index = np.asarray(chosen, dtype=np.int64)
        return replace(
            self,
            architectures=tuple(self.architectures[i] for i in index),
            columns={key: column[index] for key, column in self.columns.items()},
            seeds={key: column[index] for key, column in self.seeds.items()},
            spreads={key: column[index] for key, column in self.spreads.items()},
            seed_counts={key: column[index] for key, column in self.seed_counts.items()},
        )

    def measured(self, target: str | None = None) -> tuple[Table, Floats]:
        """The rows whose target is known, and their accuracies ``[n]``.

        Raises
        ------
        InputError
            As `target`, or fewer than five accuracies are known.
        """
        name = self.target(target)
        known = np.flatnonzero(~np.isnan(self.columns[name]))
        if len(known) < MINIMUM:
            raise InputError(
                "E513",
                f'the column "{name}" of {self.name} has {len(known)} accuracies',
                f"at least {MINIMUM} architectures are needed to speak of a correlation",
            )
        table = self if len(known) == len(self) else self.rows(known)
        return table, table.columns[name]


_DETAIL = re.compile(r"(?P<target>.+)_(?:(?P<seed>\d+)|(?P<detail>std|seeds))")


def assemble(
    name: str,
    space: str | None,
    architectures: Sequence[str],
    numbers: Mapping[str, Floats],
    provenance: Mapping[str, str],
) -> Table:
    """A table from plain numeric columns.

    ``kd_3``, ``kd_std`` and ``kd_seeds`` are details of ``kd`` when that column exists; without it
    they are columns of their own.
    """
    columns: dict[str, Floats] = {}
    per_seed: dict[str, dict[int, Floats]] = {}
    details: dict[str, dict[str, Floats]] = {"std": {}, "seeds": {}}
    for key, values in numbers.items():
        match = _DETAIL.fullmatch(key)
        if match is None or match["target"] not in numbers:
            columns[key] = values
        elif match["seed"] is not None:
            per_seed.setdefault(match["target"], {})[int(match["seed"])] = values
        else:
            details[match["detail"]][match["target"]] = values
    return Table(
        name=name,
        space=space,
        architectures=tuple(architectures),
        columns=columns,
        seeds={
            key: np.stack([values[seed] for seed in sorted(values)], axis=1)
            for key, values in per_seed.items()
        },
        spreads=details["std"],
        seed_counts=details["seeds"],
        provenance=dict(provenance),
    )


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

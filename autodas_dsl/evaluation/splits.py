"""Which architectures select a formula, and which ones only report on it.

`split` and `folds` take the isomorphism class of each row as text and never part a class: two
architectures that are the same network stand on one side. Results depend on the seed and the set
of rows, not on their order.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from autodas_dsl.execution.randomness import bits
from autodas_dsl.language.errors import InputError
from autodas_dsl.tables.table import MINIMUM, Table

if TYPE_CHECKING:
    from autodas_dsl.spaces.base import Space

Rows = npt.NDArray[np.int64]


_SPLIT, _SAMPLE, _STRATA = 1, 3, 4
"""Separate random streams for separate questions."""


@dataclass(frozen=True, eq=False, slots=True)
class Split:
    """Row numbers of a table, ascending, apart from each other.

    Attributes
    ----------
    name : str
        As the user wrote it: ``half``, or ``150/250``.
    seed : int
    selection, report : array of int64
    """

    name: str
    seed: int
    selection: Rows
    report: Rows


def isomorphism_classes(table: Table, space: Space[Any] | None) -> tuple[str, ...]:
    """For each row the text that isomorphic architectures share; without a space its own text."""
    if space is None:
        return table.architectures
    return tuple(space.canonical(space.parse(text)) for text in table.architectures)


def split(classes: Sequence[str], how: str = "half", seed: int = 0) -> Split:
    """Part rows into selection and report.

    Parameters
    ----------
    classes : sequence of str
        Isomorphism class of each row.
    how : str
        ``half``: every row, half to each side. ``K/N``: at most K rows to select and N others to
        report; the remaining ones are not used. Sizes are met as nearly as whole classes allow.
    seed : int
        Another seed gives another split.

    Raises
    ------
    InputError
        `how` is neither, the table is too small for it, or a side has fewer than five rows.
    """
    wanted = _sizes(how, len(classes))
    members = _members(classes)
    order = _shuffled(sorted(members), seed, _SPLIT)
    selection, rest = _take(members, order, wanted[0])
    report = _take(members, rest, len(classes) if how == "half" else wanted[1])[0]
    for side, rows in (("select", selection), ("report", report)):
        if len(rows) < MINIMUM:
            raise InputError(
                "E531",
                f"the split {how} of {len(classes)} architectures leaves {len(rows)} to {side}",
                f"at least {MINIMUM} are needed on each side",
            )
    return Split(how, seed, selection, report)


def sample(architectures: Sequence[str], size: int, seed: int = 0) -> Rows:
    """`size` rows drawn without replacement, or all of them, ascending row numbers.

    Parameters
    ----------
    architectures : sequence of str
        Text of each row, each once. Isomorphism classes may be given instead: then classes stay
        whole, and `size` is met as nearly as they allow.
    """
    members = _members(architectures)
    order = _shuffled(sorted(members), seed, _SAMPLE)
    return _take(members, order, size)[0]


def stratified(
    architectures: Sequence[str], accuracies: npt.ArrayLike, size: int, seed: int = 0
) -> Rows:
    """`size` rows spread evenly over the accuracies, or all of them, ascending row numbers.

    Rows are sorted by accuracy and cut into `size` runs of nearly equal length; one row is drawn
    from each.

    Parameters
    ----------
    architectures : sequence of str
        Text of each row, each once.
    accuracies : array_like, shape [n]
    """
    y = np.asarray(accuracies, dtype=np.float64)
    order = sorted(range(len(y)), key=lambda row: (y[row], architectures[row]))
    if size >= len(order):
        return _ascending(order)
    raw = bits(seed, _STRATA).random_raw(size)
    edges = [i * len(order) // size for i in range(size + 1)]
    chosen = [
        order[low + int(draw) % (high - low)]
        for draw, (low, high) in zip(raw, pairwise(edges), strict=True)
    ]
    return _ascending(chosen)


def _sizes(how: str, n: int) -> tuple[int, int]:
    if how == "half":
        return n // 2, n - n // 2
    match = re.fullmatch(r"([0-9]{1,9})/([0-9]{1,9})", how)
    if match is None:
        raise InputError(
            "E530",
            f'"{how}" is not a split',
            "write half, or K/N: 150/250 selects on 150 architectures and reports on 250 others",
        )
    select, report = int(match[1]), int(match[2])
    if select + report > n:
        raise InputError(
            "E533",
            f"the split {how} needs {select + report} architectures, the table has {n}",
            "choose smaller numbers, or half",
        )
    return select, report


def _members(classes: Sequence[str]) -> dict[str, list[int]]:
    members: dict[str, list[int]] = {}
    for row, name in enumerate(classes):
        members.setdefault(name, []).append(row)
    return members


def _take(members: dict[str, list[int]], order: Sequence[str], size: int) -> tuple[Rows, list[str]]:
    """Whole classes in this order while they fit, and the classes left over."""
    taken: list[int] = []
    left = []
    for name in order:
        if len(taken) + len(members[name]) <= size:
            taken += members[name]
        else:
            left.append(name)
    return _ascending(taken), left


def _shuffled(names: Sequence[str], seed: int, purpose: int) -> list[str]:
    keys = bits(seed, purpose).random_raw(len(names))
    return [names[i] for i in np.argsort(keys, kind="stable")]


def _ascending(rows: Sequence[int]) -> Rows:
    return np.array(sorted(rows), dtype=np.int64)

"""What a search is given: tables, as evaluators beside measured accuracies."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from autodas_dsl.compiler.ir import Node
from autodas_dsl.compiler.outcome import Outcome
from autodas_dsl.language.errors import InputError

Floats = npt.NDArray[np.float64]
Evaluator = Callable[[Sequence[Node]], list[Outcome]]

MINIMUM = 5


@dataclass(frozen=True, eq=False)
class Networks:
    """Some architectures of a table.

    Parameters
    ----------
    evaluate : Evaluator
        Scores of formulas on these architectures, from stored statistics.
    accuracies : float64 array [n]
    """

    evaluate: Evaluator
    accuracies: Floats

    def __len__(self) -> int:
        return len(self.accuracies)


@dataclass(frozen=True, eq=False)
class Task:
    """One table as a search sees it.

    Parameters
    ----------
    name : str
        Of the table; no two tasks of a search share it.
    target : str
        The column of accuracies.
    selection : Networks
        Those that formulas are chosen on.
    report : Networks, optional
        Others, looked at once, when the search is over.
    screens : tuple of Networks
        Parts of the selection, the first perhaps on cheaper statistics: formulas that do badly on
        one are evaluated neither on the next nor on the selection.
    split : str
        How selection and report were parted, for the record.
    fingerprint : str
        Of everything that scores and accuracies depend on: architectures, statistics, versions.
    """

    name: str
    target: str
    selection: Networks
    report: Networks | None = None
    screens: tuple[Networks, ...] = ()
    split: str = ""
    fingerprint: str = ""

    def __post_init__(self) -> None:
        for half in (self.selection, self.report, *self.screens):
            if half is None:
                continue
            if len(half) < MINIMUM:
                raise InputError(
                    "E625", f"{self.name}: {len(half)} architectures are too few to rank",
                    f"at least {MINIMUM} are needed on each side of the split",
                )  # fmt: skip
            if not np.isfinite(half.accuracies).all():
                raise InputError("E626", f"{self.name}: an accuracy in {self.target} is missing",
                                 "leave the rows without a measurement out")  # fmt: skip
            if np.ptp(half.accuracies) == 0:
                raise InputError("E627", f"{self.name}: all accuracies in {self.target} are equal",
                                 "there is nothing to rank")  # fmt: skip

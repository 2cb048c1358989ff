"""What plots show, and the process that draws them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from autodas_dsl.execution.memory import importing
from autodas_dsl.execution.processes import Process
from autodas_dsl.language.errors import InputError


@dataclass(frozen=True, eq=False, slots=True)
class Curve:
    """How one strategy got on.

    Attributes
    ----------
    strategy : str
    evaluations : array, shape [m]
        Formulas evaluated so far, increasing.
    best : array, shape [runs, m]
        Best |tau| so far on the selection architectures.
    held_out : array, shape [runs, m], optional
        |tau| of that best formula on the held-out architectures.
    """

    strategy: str
    evaluations: npt.NDArray[np.float64]
    best: npt.NDArray[np.float64]
    held_out: npt.NDArray[np.float64] | None = None


@dataclass(frozen=True, slots=True)
class Point:
    """A formula on the Pareto plot: its complexity and |tau|."""

    complexity: int
    tau: float
    label: str = ""


@dataclass(frozen=True, eq=False)
class Picture:
    """A plot that is yet to be drawn; picklable, and made without matplotlib.

    Parameters
    ----------
    name : str
        Of its files.
    plot : str
        The function of `plots` that draws it.
    given : mapping
        The arguments of that function.
    """

    name: str
    plot: str
    given: Mapping[str, Any]


class Painter:
    """A process that gets ready to draw while something else is done; for a ``with`` statement."""

    def __enter__(self) -> Painter:
        self._process = Process(_paint)
        return self

    def __exit__(self, *error: object) -> None:
        self._process.end()

    def paint(self, pictures: Sequence[Picture], folder: Path) -> None:
        """Begin to draw, as SVG and PNG into a folder, which is made where it is not there."""
        folder.mkdir(exist_ok=True)
        with suppress(OSError):  # it ended: `painted` says so
            self._process.pipe.send((pictures, folder))

    def painted(self) -> tuple[Path, ...]:
        """The files, once all are written.

        Raises
        ------
        InputError
            When the folder cannot be written; E761 when the process ended.
        """
        try:
            found = self._process.pipe.recv()
        except (EOFError, OSError):
            raise InputError(
                "E761", "the process that draws plots ended",
                "perhaps for want of memory: `evolve --resume` draws them again",
            ) from None  # fmt: skip
        if isinstance(found, InputError):
            raise found
        return tuple(found)


def _paint(pipe: Connection) -> None:
    """Draw what is asked for until the pipe ends."""
    with importing():
        from autodas_dsl.report.plots import drawn, save
    while True:
        try:
            pictures, folder = pipe.recv()
        except (EOFError, OSError):
            return
        try:
            pipe.send([path for one in pictures for path in save(drawn(one), folder / one.name)])
        except InputError as error:
            pipe.send(error)

"""What evaluating a formula gives: its scores, or the operator to blame that there are none."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from autodas_dsl.compiler.ir import Node
from autodas_dsl.language.operators import OPERATORS


@dataclass(frozen=True)
class Outcome:
    """Scores of one formula.

    Parameters
    ----------
    scores : float64 array [networks]
        NaN exactly where the score is invalid.
    reasons : tuple of str
        Per network: why the score is invalid, empty where it is valid.
    """

    scores: NDArray[np.float64]
    reasons: tuple[str, ...]

    @property
    def valid(self) -> NDArray[np.bool_]:
        return ~np.isnan(self.scores)


class Invalid(Exception):
    """A formula has no score on a network."""


class NotFinite(Invalid):
    """A value that is not finite where a level was removed, or before an operator that hides it.

    Parameters
    ----------
    node : Node
        The operator to blame: the first on the way up whose value is not finite.
    layer : str
        The layer it happened in, or empty.
    value : float
    """

    def __init__(self, node: Node, layer: str, value: float) -> None:
        self.node, self.layer, self.value = node, layer, value
        where = f" in layer {layer}" if layer else ""
        what = str(node.content) if node.op == "stat" else f"`{_display(node.op)}`"
        super().__init__(f"{what} gave {value}{where}")


class ShapeMismatch(Invalid):
    """An operation that the shapes of the networks do not fit.

    Parameters
    ----------
    node : Node
    reason : str
        One clause, without the name of the operator.
    """

    def __init__(self, node: Node, reason: str) -> None:
        super().__init__(f"`{_display(node.op)}` {reason}")
        self.node = node


def _display(op: str) -> str:
    return OPERATORS[op].infix or op if op in OPERATORS else op

"""The table of collectors: how each statistic is collected, and what that needs of a pass."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from torch import Tensor

from autodas_dsl.statistics.forward import HOOKS
from autodas_dsl.statistics.passes import INTERMEDIATE

Value = Tensor | tuple[Tensor, ...]
Function = TypeVar("Function", bound=Callable[..., Value])

_OF_A_PASS = frozenset(
    {*HOOKS, *INTERMEDIATE, "parameters", "features", "logits", "grad W", "hess W", "T", "J"}
)


@dataclass(frozen=True)
class Collector:
    """How one statistic is collected.

    Attributes
    ----------
    collect : callable
        The value, from a `Pass` where one is needed, else from the `Subject`; and the statistic.
    needs : frozenset of str
        As in `collects`.
    """

    collect: Callable[..., Value]
    needs: frozenset[str]

    @property
    def shares_pass(self) -> bool:
        """Whether it comes out of the one forward pass of its probe."""
        return bool(self.needs & _OF_A_PASS)


COLLECTORS: dict[str, Collector] = {}
"""By the name of the entry; ``X[all]``, ``grad W[split]`` where an attribute is collected
otherwise."""


def collects(*names: str, needs: str = "") -> Callable[[Function], Function]:
    """Declare that a function collects statistics.

    Parameters
    ----------
    names : str
        Keys of `COLLECTORS`.
    needs : str
        Separated by commas. Of the shared pass: what is kept, ``outputs``, ``inputs``,
        ``functional``, ``attention``, ``features``, ``logits`` and others of `HOOKS`, and what is
        differentiated, ``grad W``, ``grad A``, ``hess W``, ``T``, ``J``, …. Or ``weights``, which
        must then be finite. Nothing for what is counted.
    """

    def add(function: Function) -> Function:
        words = frozenset(filter(None, needs.split(", ")))
        COLLECTORS.update(dict.fromkeys(names, Collector(function, words)))
        return function

    return add

"""A program: the steps that compute some formulas, and the Python that runs them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from torch import Tensor

from autodas_dsl.compiler.emit import Names, emit
from autodas_dsl.compiler.interpret import NotFinite, evaluate
from autodas_dsl.compiler.ir import Node, topological
from autodas_dsl.compiler.places import Anywhere, Places
from autodas_dsl.compiler.plan import Step, constants, plan
from autodas_dsl.language.inputs import Statistic


@dataclass(frozen=True)
class Program:
    """Steps and the Python that runs them.

    Attributes
    ----------
    constants : mapping
        Values of nodes that no statistic enters.
    source : str
        One function per step, under the step's name.
    names : Names
        The variable of each node in `source`.
    """

    steps: tuple[Step, ...]
    constants: Mapping[Node, float]
    source: str
    names: Names


def build_program(
    roots: Sequence[Node],
    known: Callable[[Node], bool] = lambda node: False,
    places: Places | None = None,
) -> Program:
    """The program that computes formulas, given which numbers are known already.

    Parameters
    ----------
    roots : sequence of Node
    known : callable
    places : Places, optional
        Of the networks at hand.

    Raises
    ------
    MixedLists
    """
    places = places or Anywhere()
    fixed = {n: _constant(n) for n in constants(topological(roots))}
    steps = tuple(plan(roots, known, places))
    names = Names()
    source = "\n\n\n".join(emit(step, names, fixed, places) for step in steps)
    return Program(steps, fixed, source, names)


@dataclass(frozen=True)
class _Nothing:
    """The statistics of no network."""

    values: Mapping[Statistic, Tensor] = field(default_factory=dict)
    layers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def _constant(node: Node) -> float:
    """The value of a node below which there is no statistic; NaN where it is invalid."""
    try:
        value = evaluate(node, _Nothing())
    except NotFinite:
        return math.nan
    if isinstance(value, tuple):
        raise TypeError("a constant is one number")
    return float(value)

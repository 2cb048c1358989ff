"""The pipeline: from the text of a formula to its scores.

One formula becomes a core DAG, which is its identity::

    text  -> tree        load       the parser, and the header of a document
          -> typed tree  check      every node has a kind; lets and library proxies are looked through
          -> IR          lower      lets, proxies and pairs are gone; equal nodes are one object
          -> IR          rewrite    by `REWRITES`, until none fits

Many formulas become one program, which an `Engine` runs on the statistics that it holds::

    IR    -> stages      plan       what is computed together, over which units
          -> Python      emit       one function a stage
          -> scores      run        over a layout, block by block
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from autodas_dsl.compiler.emit import Names, emit
from autodas_dsl.compiler.execute import Program, run
from autodas_dsl.compiler.interpret import constant
from autodas_dsl.compiler.ir import Node, constants, topological
from autodas_dsl.compiler.layout import ANYWHERE, Placement
from autodas_dsl.compiler.lower import lower
from autodas_dsl.compiler.plan import plan
from autodas_dsl.compiler.rewrite import by_laws, folded, ordered, rewrite
from autodas_dsl.language.library import load
from autodas_dsl.language.proxy import Proxy
from autodas_dsl.language.tree import Expr
from autodas_dsl.language.typed import Typed

__all__ = ["REWRITES", "build", "run", "to_ir"]

REWRITES = (folded, by_laws, ordered)
"""The rewrites of the IR, in the order they are tried; each keeps every value bit for bit."""


def to_ir(formula: str | Proxy | Expr | Typed) -> Node:
    """The core DAG of a formula.

    Parameters
    ----------
    formula : str, Proxy, Expr or Typed
        Text or the name of a library proxy, a document, or an expression; typed trees are not
        checked again.

    Returns
    -------
    Node
        Of any kind but a pair.

    Raises
    ------
    FormulaError
        When it does not check.
    """
    if isinstance(formula, str):
        formula = load(formula)
    return rewrite(lower(formula), REWRITES)


def build(
    roots: Sequence[Node],
    known: Callable[[Node], bool] = lambda node: False,
    placement: Placement = ANYWHERE,
) -> Program:
    """The program that computes formulas, given which numbers are known already.

    Parameters
    ----------
    roots : sequence of Node
    known : callable
    placement : Placement
        A layout of the networks at hand.

    Raises
    ------
    ShapeMismatch
        When a formula combines layer lists of different length.
    """
    fixed = {node: constant(node) for node in constants(topological(roots))}
    stages = plan(roots, known, placement)
    names = Names()
    source = "\n\n\n".join(emit(stage, names, fixed, placement) for stage in stages)
    return Program(stages, fixed, source, names)

"""The best formula of a search, written more simply where that is proved to change nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from autodas_dsl.compiler.pipeline import to_ir
from autodas_dsl.evolution.task import Task
from autodas_dsl.language.proxy import Proxy
from autodas_dsl.language.tree import Expr
from autodas_dsl.simplify.proof import judges
from autodas_dsl.simplify.simplify import Simplified, simplify

NAME = "simplified"


def simplified(best: Proxy, tasks: Sequence[Task], seed: int) -> Simplified:
    """Simplify a formula; random statistics and the architectures of the search must agree.

    Parameters
    ----------
    best : Proxy
    tasks : sequence of Task
        Scores on their selection architectures must stay the same, and so must the ranking.
    seed : int
        Of the random statistics.

    Returns
    -------
    Simplified
        With the formula as it was, and the reason, where nothing smaller is proved equal.
    """

    def scores(expr: Expr) -> list[float]:
        node = to_ir(expr)
        return [
            float(value) for task in tasks for value in task.selection.evaluate([node])[0].scores
        ]

    found = simplify(best, judges(scores, seed))
    return replace(found, proxy=replace(found.proxy, name=NAME)) if found.steps else found

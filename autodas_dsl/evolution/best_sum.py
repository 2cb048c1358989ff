"""The best sum of formulas that a search has looked at, as a document of its own.

Every term was evaluated during the search, so a sum costs nothing more; and it depends on nothing
but the facts of the journal. Equal rankings are represented by their fittest formula, so that
parsimony chooses among them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from autodas_dsl.compiler.ir import Node
from autodas_dsl.compiler.outcome import Outcome
from autodas_dsl.compiler.pipeline import to_ir
from autodas_dsl.compiler.populated import combined, freeze, references_of
from autodas_dsl.evolution.combiner import Combiner, Scored, Settings, Sum
from autodas_dsl.evolution.config import Config
from autodas_dsl.evolution.evaluator import FitnessEvaluator
from autodas_dsl.evolution.fitness import Fitness
from autodas_dsl.evolution.identity import oriented
from autodas_dsl.evolution.individual import Individual
from autodas_dsl.evolution.journal import Fact
from autodas_dsl.evolution.measure import SELECTION, Measured, on_both_halves
from autodas_dsl.evolution.run_records import SUM_NAME
from autodas_dsl.evolution.task import Task
from autodas_dsl.language.format import format_expression
from autodas_dsl.language.proxy import Formula, Proxy
from autodas_dsl.language.tree import Call, Expr, complexity

MOST_TERMS = 4096
"""Formulas that sums are made of: of a longer search, so many of the fittest."""


@dataclass(frozen=True)
class BestSum:
    """A sum of two or more formulas.

    Attributes
    ----------
    proxy : Proxy
        For a search on one table with its population frozen: the selection architectures. On
        several tables each is a population of its own, and the document leaves it open.
    terms : tuple of Expr
        The formulas that are added.
    tau : float
        Kendall on the selection, the objective over the tables.
    selection, held_out : tuple of Measured
        One per table; empty until `measure_sum`.
    """

    proxy: Proxy
    terms: tuple[Expr, ...]
    tau: float
    selection: tuple[Measured, ...] = ()
    held_out: tuple[Measured, ...] = ()

    @property
    def formula(self) -> str:
        return format_expression(self.proxy.expression)

    @property
    def complexity(self) -> int:
        return complexity(self.proxy.expression)


def best_sum(evaluator: FitnessEvaluator, tasks: Sequence[Task], config: Config) -> BestSum | None:
    """The sum of at most `Config.terms_max` formulas that ranks the selection best.

    Returns
    -------
    BestSum or None
        None when no sum is better than a formula alone.
    """
    archive = evaluator.rankable[:MOST_TERMS]
    if config.terms_max == 1 or not archive:
        return None
    tables = [_scored(evaluator, task, archive) for task in tasks]
    settings = Settings(config.terms_max, seed=config.seed, objective=config.objective)
    found = Combiner(tables, settings).sums()
    if not found or len(found[-1].terms) == 1:
        return None
    best = found[-1]
    exprs = [individual.expr for individual in archive]
    terms = tuple(exprs[place] for place in best.terms)
    proxy = Proxy(SUM_NAME, Formula("score", expression(best, exprs)))
    if len(tasks) == 1:
        values = zip(map(to_ir, terms), tables[0].scores[list(best.terms)], strict=True)
        proxy = freeze(proxy, dict(values))
    fitness = evaluator.judged(_outcomes(proxy, terms, evaluator.scores(terms, SELECTION)))
    if not isinstance(fitness, Fitness):
        return None
    score = replace(proxy.score, expr=oriented(proxy.expression, fitness.sign))
    return BestSum(replace(proxy, score=score), terms, fitness.tau)


def measure_sum(found: BestSum, evaluator: FitnessEvaluator, tasks: Sequence[Task]) -> BestSum:
    """The sum with its agreement on both halves of every table."""
    halves = zip(*evaluator.on_both_halves(found.terms), strict=True)
    outcomes = [_outcomes(found.proxy, found.terms, half) for half in halves]
    selection, held_out = on_both_halves(tasks, *outcomes)
    return replace(found, selection=selection, held_out=held_out)


def _outcomes(
    proxy: Proxy, terms: Sequence[Expr], outcomes: Sequence[Sequence[Outcome]]
) -> list[Outcome]:
    """Scores of a sum on every table, from those of its terms ``[term][table]``."""
    nodes = [to_ir(term) for term in terms]
    return [
        sum_outcome(proxy, dict(zip(nodes, table, strict=True)))
        for table in zip(*outcomes, strict=True)
    ]


def _scored(evaluator: FitnessEvaluator, task: Task, archive: Sequence[Individual]) -> Scored:
    facts = evaluator.facts
    scores = [facts[Fact(task.name, SELECTION, individual.key)].scores for individual in archive]
    return Scored(np.array(scores), task.selection.accuracies)


def sum_outcome(proxy: Proxy, outcomes: Mapping[Node, Outcome]) -> Outcome:
    """Scores of a sum from those of its terms.

    Parameters
    ----------
    proxy : Proxy
        Without references the networks at hand are the population.
    outcomes : mapping of Node to Outcome
        Of every term, on the same networks.
    """
    networks = len(next(iter(outcomes.values())).scores)
    return combined(to_ir(proxy), outcomes, references_of(proxy), networks)


def expression(found: Sum, terms: Sequence[Expr]) -> Expr:
    """The formula of a sum, what is taken off at its end.

    Parameters
    ----------
    found : Sum
        Of at least one term.
    terms : sequence of Expr
        All terms of the archive, in the order of its scores.
    """
    pairs = sorted(zip(found.signs, found.terms, strict=True), key=lambda pair: pair[0] < 0)
    parts = [(sign, Call("percentile", (terms[term],))) for sign, term in pairs]
    whole = oriented(parts[0][1], parts[0][0])
    for sign, part in parts[1:]:
        whole = Call("add" if sign > 0 else "sub", (whole, part))
    return whole

"""The fitness of formulas: each distinct one is evaluated once, and what was spared is counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from autodas_dsl.compiler.ir import Node, removes_level, topological
from autodas_dsl.compiler.outcome import Outcome
from autodas_dsl.compiler.pipeline import to_ir
from autodas_dsl.evolution.config import Config
from autodas_dsl.evolution.fitness import (
    CONSTANT,
    Fitness,
    Floats,
    Objective,
    jackknife_error,
    left_out,
)
from autodas_dsl.evolution.identity import oriented
from autodas_dsl.evolution.individual import Individual
from autodas_dsl.evolution.journal import Fact, Journal, Memory
from autodas_dsl.evolution.task import Networks, Task
from autodas_dsl.language.tree import Expr, complexity

SCREENED = "screened out"
JACKKNIFE = 10
"""Parts of the selection that are left out in turn to tell a rise from noise."""


@dataclass(frozen=True, slots=True)
class Counts:
    """What a search did, the same for a resumed run as for an uninterrupted one.

    Attributes
    ----------
    evaluations : int
        Distinct formulas looked at.
    same_formula : int
        Proposals that were spared because their core tree was known.
    same_ranks : int
        Formulas that rank exactly as an earlier one does, or in reverse.
    screened : int
        Formulas that were not evaluated in full.
    rejected : tuple of (reason, number)
        Formulas that cannot be ranked, most frequent reason first.
    """

    evaluations: int = 0
    same_formula: int = 0
    same_ranks: int = 0
    screened: int = 0
    rejected: tuple[tuple[str, int], ...] = ()


class FitnessEvaluator:
    """Turns formulas into individuals.

    Parameters
    ----------
    tasks : sequence of Task
    config : Config
    memory : Memory, optional
        Facts found before.
    """

    def __init__(self, tasks: Sequence[Task], config: Config, memory: Memory | None = None) -> None:
        self._tasks = tasks
        self._config = config
        self._journal: Journal | Memory = memory if memory is not None else Memory()
        self._known: dict[str, Individual] = {}
        self._keys: dict[Expr, tuple[Node, str]] = {}
        self._ranks: set[bytes] = set()
        self._aside: set[str] = set()
        self._valueless: dict[Node, str] = {}
        self._same_formula = self._same_ranks = 0
        self._rejected: Counter[str] = Counter()
        self._objective = self._objective_on("selection")
        common = min(len(task.screens) for task in tasks)
        self._screens = {half: self._objective_on(half) for half in map(_screen, range(common))}
        self.from_journal = 0

    def keep(self, journal: Journal) -> None:
        """Take known facts from a journal from now on, and write new ones to it."""
        self._journal = journal

    def _objective_on(self, half: str) -> Objective:
        config = self._config
        accuracies = [_half(task, half).accuracies for task in self._tasks]
        folds = config.folds if half == "selection" else 0
        return Objective(accuracies, config.objective, folds, config.seed)

    @property
    def facts(self) -> Mapping[Fact, Outcome]:
        """Everything evaluated, here or before."""
        return self._journal.facts

    @property
    def counts(self) -> Counts:
        ordered = sorted(self._rejected.items(), key=lambda item: (-item[1], item[0]))
        return Counts(
            len(self._known), self._same_formula, self._same_ranks, self._rejected[SCREENED],
            tuple((reason, n) for reason, n in ordered if reason != SCREENED),
        )  # fmt: skip

    def key(self, expr: Expr) -> str:
        """Canonical text of a formula's core tree."""
        return self._lowered(expr)[1]

    def _lowered(self, expr: Expr) -> tuple[Node, str]:
        found = self._keys.get(expr)
        if found is None:
            node = to_ir(expr)
            found = self._keys[expr] = (node, repr(node))
        return found

    def knows(self, expr: Expr) -> bool:
        return self.key(expr) in self._known

    def found(self, expr: Expr) -> Individual | None:
        """What is known about a formula; None while it has not been evaluated."""
        return self._known.get(self.key(expr))

    def count_duplicate(self) -> None:
        """Count a proposal that was a known formula."""
        self._same_formula += 1

    def evaluate(self, exprs: Sequence[Expr], threshold: float = float("-inf")) -> list[Individual]:
        """Individuals for formulas, one each; known formulas are not evaluated again.

        Parameters
        ----------
        exprs : sequence of Expr
        threshold : float
            The tau below which a formula is of no use; decides who passes the screen.
        """
        fresh: dict[str, Expr] = {}
        for expr in exprs:
            key = self.key(expr)
            if key in self._known or key in fresh:
                self.count_duplicate()
            else:
                fresh[key] = expr
        screened = self._poisoned(fresh)
        unscreened = {k: e for k, e in fresh.items() if k not in screened}
        screened |= self._screened_out(unscreened, threshold)
        left = {key: expr for key, expr in fresh.items() if key not in screened}
        outcomes = self._outcomes("selection", left)
        for key, expr in fresh.items():
            if key in screened:
                self._enter(self._rejected_individual(expr, key, screened[key]))
            else:
                self._enter(self._ranked(expr, key, outcomes[key]))
        self._keys.clear()
        return [self._known[self._lowered(expr)[1]] for expr in exprs]

    def _poisoned(self, fresh: dict[str, Expr]) -> dict[str, str]:
        """Keys of formulas that contain a reduction known to have no value, with the reason."""
        found: dict[str, str] = {}
        for key, expr in fresh.items() if self._valueless else ():
            below = topological([self._lowered(expr)[0]])
            reason = next((self._valueless[n] for n in below if n in self._valueless), "")
            if reason:
                found[key] = reason
        return found

    def _screened_out(self, fresh: dict[str, Expr], threshold: float) -> dict[str, str]:
        """Keys that fail on a screen, with the reason."""
        failed: dict[str, str] = {}
        for half, objective in self._screens.items():
            left = {key: expr for key, expr in fresh.items() if key not in failed}
            for key, outcomes in self._outcomes(half, left).items():
                found = objective(outcomes)
                if isinstance(found, str):
                    failed[key] = found
                elif found.tau + self._config.margin < threshold:
                    failed[key] = SCREENED
        return failed

    def _outcomes(self, half: str, exprs: dict[str, Expr]) -> dict[str, list[Outcome]]:
        """Outcomes on every table, from the journal where it knows them."""
        found: dict[str, list[Outcome]] = {key: [] for key in exprs}
        known = self._journal.facts
        for task in self._tasks:
            size = len(_half(task, half))
            missing = [key for key in exprs if not _fits(known, Fact(task.name, half, key), size)]
            self.from_journal += len(exprs) - len(missing)
            nodes = [self._lowered(exprs[key])[0] for key in missing]
            outcomes = _half(task, half).evaluate(nodes) if nodes else []
            new = {Fact(task.name, half, k): o for k, o in zip(missing, outcomes, strict=True)}
            self._journal.append(new.items())
            for key in exprs:
                found[key].append(known[Fact(task.name, half, key)])
        return found

    def scores(self, exprs: Sequence[Expr], half: str) -> list[list[Outcome]]:
        """Outcomes of formulas on one half, for the final report; nothing is counted."""
        found = self._outcomes(half, {self.key(expr): expr for expr in exprs})
        return [found[self.key(expr)] for expr in exprs]

    def on_both_halves(self, exprs: Sequence[Expr]) -> list[tuple[list[Outcome], list[Outcome]]]:
        """Outcomes on the selection and on the held-out architectures of every table; the second
        are none where a table holds nothing out."""
        selection = self.scores(exprs, "selection")
        held = all(task.report for task in self._tasks)
        report = self.scores(exprs, "report") if held else [[] for _ in exprs]
        return list(zip(selection, report, strict=True))

    @property
    def rankable(self) -> list[Individual]:
        """Every formula that ranks the selection, the fittest first."""
        found = (i for i in self._known.values() if i.valid and i.key not in self._aside)
        return sorted(found, key=lambda i: i.order)

    def set_aside(self, first: int, but: Iterable[Individual]) -> None:
        """Leave out of `rankable` what was evaluated from number `first` on, but for some."""
        kept = {individual.key for individual in but}
        self._aside |= {i.key for i in self._known.values() if i.number >= first} - kept

    def rises(self, old: Individual, new: Individual) -> bool:
        """Whether one formula is fitter than another by more than noise would make it: by more
        than the jackknife standard error of the difference."""
        return new.value - old.value > jackknife_error(self._left_out(new) - self._left_out(old))

    def _left_out(self, individual: Individual) -> Floats:
        """The tau of a formula with each part of the selection left out."""
        halves = [task.selection.accuracies for task in self._tasks]
        folds = min(JACKKNIFE, *map(len, halves))
        (outcomes,) = self.scores([individual.expr], "selection")
        each = [
            left_out(individual.sign * outcome.scores, accuracies, folds, self._config.seed, table)
            for table, (outcome, accuracies) in enumerate(zip(outcomes, halves, strict=True))
        ]
        combine = np.min if self._config.objective == "min" else np.mean
        return np.asarray(combine(each, axis=0))

    def judged(self, outcomes: Sequence[Outcome]) -> Fitness | str:
        """The fitness of scores on the selection of every table, or why there is none; nothing is
        counted."""
        return self._objective(outcomes)

    def _ranked(self, expr: Expr, key: str, outcomes: list[Outcome]) -> Individual:
        found = self._objective(outcomes)
        if isinstance(found, str):
            return self._rejected_individual(expr, key, found)
        size = complexity(oriented(expr, found.sign))
        self._same_ranks += found.ranks in self._ranks
        self._ranks.add(found.ranks)
        return Individual(
            expr, key, size, len(self._known), found.tau,
            found.value - self._config.parsimony * size, found.sign, found.taus, found.ranks,
        )  # fmt: skip

    def _rejected_individual(self, expr: Expr, key: str, reason: str) -> Individual:
        root = self._lowered(expr)[0]
        # Elsewhere a formula around this one may mend an infinity: exp(log(0)) is 0.
        if removes_level(root) and reason not in (SCREENED, CONSTANT):
            self._valueless[root] = reason
        self._rejected[reason.partition(" in layer ")[0]] += 1
        return Individual(expr, key, complexity(expr), len(self._known), reason=reason)

    def _enter(self, individual: Individual) -> None:
        self._known[individual.key] = individual


def _fits(known: Mapping[Fact, Outcome], fact: Fact, networks: int) -> bool:
    """Whether a fact is known, about as many networks as there are."""
    return fact in known and len(known[fact].scores) == networks


def _screen(number: int) -> str:
    return f"screen {number + 1}"


def _half(task: Task, half: str) -> Networks:
    screens = {_screen(number): found for number, found in enumerate(task.screens)}
    networks = {"selection": task.selection, "report": task.report, **screens}.get(half)
    if networks is None:
        raise ValueError(f"{task.name} has no {half} architectures")
    return networks

"""A search from beginning to end: generations, stopping, resuming, the final report."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from autodas_dsl.compiler.pipeline import to_ir
from autodas_dsl.compiler.reading import needed
from autodas_dsl.evolution.best_sum import BestSum, best_sum, measure_sum
from autodas_dsl.evolution.config import Config
from autodas_dsl.evolution.constants import ConstantFitter
from autodas_dsl.evolution.evaluator import FitnessEvaluator
from autodas_dsl.evolution.finished import Run
from autodas_dsl.evolution.fitness import shuffled
from autodas_dsl.evolution.generate import Generator
from autodas_dsl.evolution.identity import written_out
from autodas_dsl.evolution.individual import HallOfFame, Individual
from autodas_dsl.evolution.interrupt import Interrupt, listening
from autodas_dsl.evolution.journal import Journal, Memory
from autodas_dsl.evolution.measure import PARAMS, Measured, fact_line, on_both_halves
from autodas_dsl.evolution.proposals import Proposals
from autodas_dsl.evolution.run_folder import FORMAT, Json, RunFolder
from autodas_dsl.evolution.run_records import Entry, Generation, table_json
from autodas_dsl.evolution.strategies import Maker, distinct, strategy
from autodas_dsl.evolution.task import Networks, Task
from autodas_dsl.evolution.vary import Varier
from autodas_dsl.evolution.vocabulary import Vocabulary, chosen_operators, chosen_statistics
from autodas_dsl.evolution.watch import Progress, Watch
from autodas_dsl.language.errors import InputError
from autodas_dsl.language.extend import definitions
from autodas_dsl.language.infer import Allowed, never
from autodas_dsl.language.inputs import Statistic
from autodas_dsl.language.library import load
from autodas_dsl.language.proxy import Formula, Proxy
from autodas_dsl.language.tree import Expr
from autodas_dsl.statistics.collect import belongs_to_teacher

_LOGGER = logging.getLogger(__name__)

BASELINES = ("params", "flops")
COMPLETE = "iterations"
CUT_SHORT = ("interrupt", "time")
SILENT = Watch()


def statistics_needed(
    config: Config, baselines: Sequence[str] = BASELINES
) -> tuple[Statistic, ...]:
    """Every statistic that a search with this configuration reads, to collect beforehand."""
    inputs = chosen_statistics(config.inputs, config.gradient_free)
    alone = config.terms == "instinct"
    found = {s for s in inputs if not (alone and belongs_to_teacher(s))}
    return tuple(sorted(found | statistics_of([*config.seeds, *baselines]), key=str))


def statistics_of(specs: Sequence[str]) -> frozenset[Statistic]:
    """Every statistic that some formulas read."""
    return frozenset(needed(to_ir(load(spec)) for spec in specs))


def evolve(
    config: Config,
    tasks: Sequence[Task],
    allowed: Allowed = never,
    *,
    folder: Path | None = None,
    resume: bool = False,
    command: Sequence[str] = (),
    baselines: Sequence[str] = BASELINES,
    interrupt: Interrupt | None = None,
    watch: Watch = SILENT,
) -> Run:
    """Search for a formula that ranks the architectures of the tables.

    Parameters
    ----------
    config : Config
    tasks : sequence of Task
        At least one.
    allowed : callable
        Whether a requirement such as ``C_s = C_t`` holds for all networks of all tables.
    folder : Path, optional
        Where journal and results go; nothing is written without it.
    resume : bool
        Continue what `folder` holds: the search is run again with the journal as evaluator. With
        more iterations than it had, the run is extended.
    command : sequence of str
        The command line behind this search, for `folder` to keep.
    baselines : sequence of str
        Formulas reported beside the best one; their statistics must have been collected.
    interrupt : Interrupt, optional
        Asks to stop; without it, Ctrl-C does.
    watch : Watch
        Told about the search and its report.

    Raises
    ------
    InputError
        E600 no table; E601 to E606 the folder; E607 no formula could be ranked; E608 a seed is no
        formula for this search.
    KeyboardInterrupt
        On the second Ctrl-C; everything evaluated is in the journal.
    """
    if not tasks or len({task.name for task in tasks}) < len(tasks):
        raise InputError("E600", "a search needs one or more tables of different names")
    if config.null:
        tasks = without_truth(tasks, config.seed)
    description = described(config, tasks, baselines)
    search = Search(config, tasks, allowed)
    with ExitStack() as stack:
        if folder is not None:
            opened = RunFolder(folder).opened(description, resume, command)
            search.keep(stack.enter_context(opened))
        interrupt = interrupt or stack.enter_context(listening(watch.stopping))
        watch.phase("searching", config.iterations)
        stopped = search.go(interrupt, config.max_time, watch.generation)
        _LOGGER.info("%d formulas evaluated", search.evaluator.counts.evaluations)
        watch.phase("measuring the best")
        run = replace(_reported(search, baselines, stopped), folder=folder)
        if folder is not None:
            RunFolder(folder).save(description, run)
        return run


def without_truth(tasks: Sequence[Task], seed: int, repeat: int = 0) -> list[Task]:
    """The tables with their accuracies in random order; nothing is held out from nothing."""
    found = []
    for number, task in enumerate(tasks):
        accuracies = shuffled(task.selection.accuracies, seed, number, repeat)
        selection = Networks(task.selection.evaluate, accuracies)
        found.append(replace(task, selection=selection, report=None, screens=()))
    return found


def described(config: Config, tasks: Sequence[Task], baselines: Sequence[str]) -> Json:
    """Everything that determines the result, for ``run.json``."""
    return {
        "format": FORMAT,
        "options": config.as_json(),
        **({"extensions": dict(definitions())} if definitions() else {}),
        "baselines": list(baselines),
        "tables": [table_json(task) for task in tasks],
    }


class Search:
    """The generations of one search."""

    def __init__(
        self, config: Config, tasks: Sequence[Task], allowed: Allowed,
        memory: Memory | None = None,
    ) -> None:  # fmt: skip
        self.config = config
        self.tasks = tasks
        self.evaluator = FitnessEvaluator(tasks, config, memory)
        self.archive = HallOfFame()
        self.steps: list[Generation] = []
        vocabulary = Vocabulary(
            chosen_statistics(config.inputs, config.gradient_free),
            chosen_operators(config.operators), config.terms, allowed,
        )  # fmt: skip
        self._varier = Varier(Generator(vocabulary, config.max_complexity))
        self._proposed = Proposals(config, vocabulary, self._varier, self.evaluator)
        self._strategy = strategy(config)
        self._seeds = [self._seed(spec) for spec in config.seeds]
        self._population: list[Individual] = []
        self._fitter = ConstantFitter(self._varier, self.evaluator, config)

    def keep(self, journal: Journal) -> None:
        """Take what is known from a journal from now on, and write what is new to it."""
        self.evaluator.keep(journal)
        self._proposed.keep(journal)

    def go(
        self,
        interrupt: Interrupt,
        max_time: float | None,
        progress: Callable[[Progress], None] | None,
    ) -> str:
        """Run until there is a reason to stop, fit constants unless cut short; returns it."""
        stopped = self._generations(interrupt, max_time, progress)
        if self.config.fit_constants and self.steps and stopped not in CUT_SHORT:
            self._fit_constants()
        return stopped

    def _fit_constants(self) -> None:
        self.archive.add(self._fitter.fitted(self.archive.members))
        self._record(self.steps.pop().generation)

    def _generations(
        self,
        interrupt: Interrupt,
        max_time: float | None,
        progress: Callable[[Progress], None] | None,
    ) -> str:
        started = time.monotonic()
        for generation in range(self.config.iterations + 1):
            offspring = self.evaluator.evaluate(self._proposals(generation), self._threshold())
            self._population = (
                self._strategy.select(self._population, offspring)
                if generation
                else sorted(distinct(offspring), key=lambda individual: individual.number)
            )
            self.archive.add(offspring)
            self._record(generation)
            if progress is not None:
                progress(
                    Progress(
                        generation, self.config.iterations, self.evaluator.counts,
                        self.archive.best, self.evaluator.from_journal,
                    )
                )  # fmt: skip
            reason = self._reason_to_stop()
            if reason:
                return reason
            if interrupt.asked:
                return "interrupt"
            if max_time is not None and time.monotonic() - started >= max_time:
                return "time"
        return COMPLETE

    def best_sum(self) -> BestSum | None:
        """The best sum of the formulas looked at so far, if one is better than each alone."""
        return best_sum(self.evaluator, self.tasks, self.config)

    def _proposals(self, generation: int) -> list[Expr]:
        make = Maker(self._varier, self.evaluator, self.config, generation)
        if generation:
            exprs = self._strategy.propose(self._population, make)
            proposed = self._proposed.ask(generation, len(exprs) // 2)
            exprs[1 : 2 * len(proposed) : 2] = proposed  # each against a child
            return exprs
        fresh = range(max(0, self.config.population - len(self._seeds)))
        return self._seeds + [make.fresh(slot) for slot in fresh]

    def _seed(self, spec: str) -> Expr:
        found = self._varier.settled(written_out(load(spec)))
        if found is None:
            raise InputError(
                "E608", f"`{spec}` cannot start this search: it is larger than "
                f"{self.config.max_complexity} nodes, or needs what these networks do not have",
                "raise --max-complexity, or leave it out of --seed-with",
            )  # fmt: skip
        return found

    def _threshold(self) -> float:
        """The tau that a formula must come near to be of use."""
        full = len(self._population) >= self.config.population
        return min(i.tau for i in self._population) if full else float("-inf")

    def _record(self, generation: int) -> None:
        best = self.archive.best
        if best is not None:
            self.steps.append(
                Generation(
                    generation,
                    self.evaluator.counts.evaluations,
                    best.tau,
                    best.value,
                    best.complexity,
                )
            )

    def _spent(self) -> int:
        """The evaluations made, and those that constants may take."""
        fits = self._fitter.needed(self.archive.members) if self.config.fit_constants else 0
        return self.evaluator.counts.evaluations + fits

    def _reason_to_stop(self) -> str:
        config, best = self.config, self.archive.best
        if config.max_evaluations and self._spent() >= config.max_evaluations:
            return "evaluations"
        if best is not None and config.stop_at and best.tau >= config.stop_at:
            return "target"
        if config.patience and len(self.steps) > config.patience:
            last, before = self.steps[-1], self.steps[-1 - config.patience]
            return "patience" if last.fitness <= before.fitness else ""
        return ""


def _reported(search: Search, baselines: Sequence[str], stopped: str) -> Run:
    """Everything measured about the hall of fame, held-out architectures looked at for once."""
    members = search.archive.members
    best = search.archive.best
    if best is None:
        reasons = search.evaluator.counts.rejected
        raise InputError(
            "E607", f"none of {search.evaluator.counts.evaluations} formulas could be ranked",
            f"most often: {reasons[0][0]}" if reasons else "raise --population or --iterations",
        )  # fmt: skip
    halves = _measure(search, [member.formula for member in members])
    entries = [
        Entry(member, selection, held_out)
        for member, (selection, held_out) in zip(members, halves, strict=True)
    ]
    champion = entries[members.index(best)]
    trees = [written_out(load(spec)) for spec in baselines]
    beside = {
        spec: (*selection, *held_out)
        for spec, (selection, held_out) in zip(baselines, _measure(search, trees), strict=True)
    }
    about = _about(search)
    params = beside.get(PARAMS, ())
    found = search.best_sum()
    if found is not None:
        found = measure_sum(found, search.evaluator, search.tasks)
        facts = found.held_out or found.selection
        found = replace(found, proxy=_documented(found.proxy, facts, about, params))
    return Run(
        best=_document("best", champion, about, params),
        pareto=tuple(
            _document(
                f"complexity_{member.complexity}", entries[members.index(member)], about, params
            )
            for member in search.archive.pareto
        ),
        entries=tuple(entries),
        champion=champion,
        baselines=beside,
        steps=tuple(search.steps),
        counts=search.evaluator.counts,
        stopped=stopped,
        facts=search.evaluator.facts,
        sum=found,
    )


def _document(name: str, entry: Entry, about: str, params: Sequence[Measured]) -> Proxy:
    """A formula of the hall of fame as a document."""
    proxy = Proxy(name, Formula("score", entry.individual.formula))
    return _documented(proxy, entry.held_out or entry.selection, about, params)


def _documented(
    proxy: Proxy, facts: Sequence[Measured], about: str, params: Sequence[Measured]
) -> Proxy:
    """A document with what was measured about it, beside the parameter count."""
    baseline = {(one.task, one.half): one for one in params}
    lines = (fact_line(one, baseline.get((one.task, one.half))) for one in facts)
    return replace(proxy, about=about, measured=tuple(lines))


def _about(search: Search) -> str:
    names = ", ".join(f"{task.name} ({task.target})" for task in search.tasks)
    nothing = " with shuffled accuracies" if search.config.null else ""
    return f"Found by {search.config.strategy} search on {names}{nothing}."


def _measure(
    search: Search, exprs: Sequence[Expr]
) -> list[tuple[tuple[Measured, ...], tuple[Measured, ...]]]:
    """For each formula what it reaches on the selection and on the held-out architectures."""
    return [
        on_both_halves(search.tasks, selection, report)
        for selection, report in search.evaluator.on_both_halves(exprs)
    ]

"""The statistics of all architectures of a table: at hand, or kept by the workers that use them."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from autodas_dsl.compiler.engine import MEMORY, Engine
from autodas_dsl.compiler.ir import Node, requirements_of
from autodas_dsl.compiler.outcome import Outcome
from autodas_dsl.compiler.populated import is_populated
from autodas_dsl.compiler.reading import needed
from autodas_dsl.compiler.shelf import Shelf, loaded
from autodas_dsl.execution.jobs import DEADLY, Executor, InProcess, Job, Lost, persistent
from autodas_dsl.execution.memory import return_freed_memory
from autodas_dsl.execution.progress import Progress, silent
from autodas_dsl.language.errors import InputError
from autodas_dsl.language.folders import cache_folder
from autodas_dsl.language.inputs import Statistic, kind_of
from autodas_dsl.language.kinds import Requirement
from autodas_dsl.scoring.bind import Sizes, sizes_of, unmet
from autodas_dsl.scoring.collecting import Absent, Collecting, collecting
from autodas_dsl.scoring.setting import Setting
from autodas_dsl.scoring.thinning import (
    LADDER,
    SCREEN,
    WHOLE,
    Sample,
    level_within,
    sizes_at,
    thinned,
)
from autodas_dsl.spaces.base import Space
from autodas_dsl.statistics.collect import Collected
from autodas_dsl.statistics.errors import within_memory
from autodas_dsl.statistics.store import Store

_LOGGER = logging.getLogger(__name__)
_IN_COMMON = (Statistic("Y"),)

Evaluator = Callable[[Sequence[Node]], list[Outcome]]

_SPARE = "free some, or go on with fewer --workers or a lower --memory: evolve --resume"

_TRIMMED_EVERY = 8
"""Networks after which freed memory is returned: what is kept of each lies scattered between
activations that are gone, which took gigabytes after a hundred networks."""


# --- what is known of them ----------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Known:
    """What is known of the statistics of architectures, wherever they are.

    Parameters
    ----------
    architectures : tuple of str
    sizes : sequence of Sizes
        One per architecture.
    fingerprint : str
        Of everything the values depend on.
    notes : tuple of str
    sample : Sample
        What they are thinned to.
    bytes : int
        That they take in memory, those of the teacher once.
    absent : mapping of Statistic to str
        Statistics that could be done without and that some network lacks, and why.
    """

    architectures: tuple[str, ...]
    sizes: Sequence[Sizes]
    fingerprint: str
    notes: tuple[str, ...]
    sample: Sample = WHOLE
    bytes: int = 0
    absent: Absent = field(default_factory=dict)

    def allowed(self, requirement: Requirement) -> bool:
        """Whether a requirement holds for every architecture."""
        return not self._unmet(requirement)

    def misfit(self, root: Node) -> str:
        """Why a formula does not fit all architectures; empty where it does."""
        if is_populated(root):
            return "it sees a network against others: searches build such sums themselves"
        if self.absent:
            read = [one for s in needed([root]) for one in (s, s.whole)]
            lacking = [s for s in read if s in self.absent]
            if lacking:
                return self.absent[lacking[0]]
        reasons = map(self._unmet, requirements_of(root))
        return next(filter(None, reasons), "")

    @cached_property
    def _unmet(self) -> Callable[[Requirement], str]:
        """Why a requirement does not hold for some architecture; formulas share most of them."""

        @cache
        def reason(requirement: Requirement) -> str:
            found = (unmet([requirement], sizes) for sizes in self.sizes)
            return next(filter(None, found), "")

        return reason


def where_fitting(misfit: Callable[[Node], str], evaluate: Evaluator, networks: int) -> Evaluator:
    """An evaluator for which formulas that are no misfits are evaluated; others have its reason."""
    reasons: dict[Node, str] = {}

    def evaluated(roots: Sequence[Node]) -> list[Outcome]:
        for root in roots:
            if root not in reasons:
                reasons[root] = misfit(root)
        fit = [root for root in roots if not reasons[root]]
        scored = iter(evaluate(fit) if fit else [])
        return [_invalid(reasons[root], networks) if reasons[root] else next(scored)
                for root in roots]  # fmt: skip

    return evaluated


def _invalid(reason: str, networks: int) -> Outcome:
    return Outcome(np.full(networks, np.nan), (reason,) * networks)


def _evaluator(collected: Sequence[Collected], memory: int) -> Evaluator:
    """Scores on these networks; a formula that is far too much work for a search is invalid.

    Memory that does not suffice is an error: whether it does depends on what else the machine does,
    and the worth of a formula must not.
    """
    engine = Engine(_alike(collected), memory=memory)

    def evaluate(roots: Sequence[Node]) -> list[Outcome]:
        with within_memory(f"a formula on {len(collected)} networks", _SPARE):
            return engine.evaluate(roots)

    return where_fitting(engine.excess, evaluate, len(collected))


def _alike(collected: Sequence[Collected]) -> list[Collected]:
    """The networks with the statistics that all of them have."""
    common = set.intersection(*(set(one.values) for one in collected)) if collected else set()
    return [
        one if len(one.values) == len(common)
        else replace(one, values={s: v for s, v in one.values.items() if s in common})
        for one in collected
    ]  # fmt: skip


# --- kept by workers ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Limits:
    """Bytes that all statistics may take together: in memory, and before they are thinned."""

    memory: float = math.inf
    thin: float = math.inf


@dataclass(frozen=True, slots=True)
class Laid:
    """How statistics are kept: thinned to a level of `LADDER`, those of students perhaps on disk."""

    level: int = 0
    shelved: bool = False


@dataclass(frozen=True, slots=True)
class Collect:
    """Asks for an architecture to be collected, or the teacher."""

    architecture: str | None
    laid: Laid


@dataclass(frozen=True, slots=True)
class Evaluate:
    """Asks for the scores of formulas on a part, whose engine may take so many bytes."""

    part: int
    laid: Laid
    memory: int
    nodes: Sequence[Node]


@dataclass(frozen=True, slots=True)
class About:
    """What is told of the statistics of one network, which stay where they are."""

    sizes: Sizes
    bytes: tuple[int, ...]
    absent: Absent


@dataclass(frozen=True, slots=True)
class Part:
    """Architectures that are evaluated together, perhaps on a sample of their statistics."""

    architectures: tuple[str, ...]
    screen: bool = False


@dataclass(frozen=True, eq=False)
class Keeping:
    """What workers keep for a search; picklable."""

    collecting: Collecting
    parts: tuple[Part, ...]

    def __call__(self) -> Callable[[Collect | Evaluate], Any]:
        """What gives an `About` or outcomes."""
        return _Kept(self)


class _Kept:
    """The statistics that this worker has collected, and evaluators over its parts.

    What a part lacks is collected when it is evaluated: a worker that takes the place of another
    needs no one to tell it what that one had.
    """

    def __init__(self, keeping: Keeping) -> None:
        self._collecting, self._parts = keeping.collecting, keeping.parts
        self._level = 0
        self._shelf: Shelf | None = None
        self._teacher, self._absent = self._collecting.of_teacher()
        self._collected: dict[str, Collected] = {}
        self._evaluators: dict[int, Evaluator] = {}

    def __call__(self, asked: Collect | Evaluate) -> About | list[Outcome]:
        self.lay(asked.laid)
        if isinstance(asked, Evaluate):
            return self._evaluator(asked.part, asked.memory)(asked.nodes)
        if asked.architecture is None:
            return About(sizes_of(self._teacher), sizes_at(self._teacher), self._absent)
        return self._collect(asked.architecture)

    def lay(self, laid: Laid) -> None:
        """Thin everything, and lay it on disk, where it is not yet."""
        if laid.level > self._level:
            before, self._level = LADDER[self._level], laid.level
            (self._teacher,) = thinned([self._teacher], LADDER[laid.level], before)
            self._each(lambda one: thinned([_read(one)], LADDER[laid.level], before)[0])
        if laid.shelved and self._shelf is None:
            self._shelf = Shelf(cache_folder())
            self._each(lambda one: one)

    def _each(self, change: Callable[[Collected], Collected]) -> None:
        for name, one in self._collected.items():  # one by one: twice all of them would not fit
            self._keep(name, change(one))
        return_freed_memory()

    def _keep(self, architecture: str, found: Collected) -> None:
        self._collected[architecture] = _shelved(found, self._shelf) if self._shelf else found

    def _collect(self, architecture: str) -> About:
        found, absent = self._collecting.of_student(architecture)
        if len(self._collected) % _TRIMMED_EVERY == 0:
            return_freed_memory()
        self._keep(architecture, *thinned([found], LADDER[self._level]))
        return About(sizes_of(found.merged(self._teacher)), sizes_at(found), absent)

    def collected(self, architectures: Sequence[str]) -> tuple[Collected, ...]:
        """What is kept of these, with the statistics of the teacher."""
        return tuple(self._collected[name].merged(self._teacher) for name in architectures)

    def _evaluator(self, number: int, memory: int) -> Evaluator:
        if number not in self._evaluators:
            part = self._parts[number]
            for architecture in part.architectures:
                if architecture not in self._collected:
                    self._collect(architecture)
            found: Sequence[Collected] = self.collected(part.architectures)
            if part.screen:
                found = thinned(map(_read, found), SCREEN, LADDER[self._level])
            self._evaluators[number] = _evaluator(found, memory)
        return self._evaluators[number]


def _shelved(collected: Collected, shelf: Shelf) -> Collected:
    """A student with its tensors on a shelf; numbers and what is one for all networks stay in
    memory, as copies: a number from a store would keep its whole file mapped."""
    return collected.changed(lambda s, v: v.clone() if s in _IN_COMMON or not kind_of(s).axes
                             else shelf.put(v))  # fmt: skip


def _read(collected: Collected) -> Collected:
    return collected.changed(lambda _, tensor: loaded(tensor))


def collected_by(
    executor: Executor, keeping: Callable[[], Any], described: Collecting,
    architectures: Sequence[str], placed: Mapping[str, int], absent: Absent, limits: Limits,
    progress: Progress = silent,
) -> tuple[Known, Laid]:  # fmt: skip
    """Have workers collect what they will evaluate.

    Activations are thinned, alike in all networks, as far as the limits ask, and statistics that
    do not fit into memory lie on disk: it depends on what all of them take, not on who holds them.

    Parameters
    ----------
    executor : Executor
    keeping : Keeping
        The state of all jobs.
    described : Collecting
    architectures : sequence of str
    placed : mapping of str to int
        For each of them the place of the jobs that will read it.
    absent : mapping of Statistic to str
        What none of them has.
    limits : Limits

    Returns
    -------
    Known
    Laid

    Raises
    ------
    StatisticError
        When a statistic that is needed cannot be collected.
    InputError
        E792 when a network ended two workers.
    """
    names = list(placed)
    told: dict[str | None, About] = {}
    totals = [0] * len(LADDER)

    def jobs(asked: Sequence[str | None]) -> Iterator[Job[Collect, About]]:
        for name in asked:
            place = 0 if name is None else placed[name]
            yield Job(keeping, Collect(name, _laid(totals, limits)), place)

    for asked in ([None], names):  # the teacher first: it is thinned like the others
        for number, about in persistent(executor, jobs(asked)):
            name = asked[number]
            if isinstance(about, Lost):
                raise _deadly("the teacher" if name is None else f"{described.space.name}:{name}")
            told[name] = about
            totals[:] = map(sum, zip(totals, about.bytes, strict=True))
            if name is not None:
                progress(1, name)
    laid = _laid(totals, limits)
    level = laid.level
    lacking = dict(absent)
    for name in (None, *names):
        lacking = {**told[name].absent, **lacking}
    notes = [f"data: {described.batch.source}"]
    if level:
        notes.append(f"memory: activations thinned to {LADDER[level]} of each layer")
    if laid.shelved:
        notes.append(f"memory: {totals[level] / 2**20:.0f} MiB of statistics lie on disk")
    _LOGGER.info(
        "statistics of %d networks are at hand, %.0f MiB", len(names), totals[level] / 2**20
    )
    known = Known(
        tuple(architectures), [told[name].sizes for name in names],
        described.fingerprint(architectures, LADDER[level]), tuple(notes), LADDER[level],
        (told[None].bytes if laid.shelved else totals)[level], lacking,
    )  # fmt: skip
    return known, laid


def _laid(totals: Sequence[int], limits: Limits) -> Laid:
    """How statistics that take so many bytes at each level of `LADDER` are kept."""
    level = level_within(totals, limits.thin)
    return Laid(level, totals[level] > limits.memory)


def _deadly(name: str) -> InputError:
    return InputError(
        "E792", f"the statistics of {name} cannot be collected: {DEADLY}",
        "use a smaller --batch-size or fewer --inputs, or leave the network out of the table",
    )  # fmt: skip


# --- at hand ------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Stored:
    """Statistics of architectures in this process.

    Parameters
    ----------
    collected : tuple of Collected
        One per architecture; the teacher's tensors are one object in all of them.
    known : Known
    """

    collected: tuple[Collected, ...]
    known: Known

    def evaluator(self, rows: Sequence[int] | npt.NDArray[Any], memory: int = MEMORY) -> Evaluator:
        """Scores of formulas on some of the architectures.

        A formula whose requirements do not hold for all architectures, or that reads a statistic
        which some of them lack, is invalid on each of them, with that as the reason; so is one that
        is far too much work for a search.

        Parameters
        ----------
        rows : sequence of int
        memory : int
            Bytes for an `Engine` to keep beside the statistics.
        """
        own = _evaluator([self.collected[row] for row in rows], memory)
        return where_fitting(self.known.misfit, own, len(rows))


def collect_table(
    architectures: Sequence[str],
    space: Space[Any],
    statistics: Collection[Statistic],
    setting: Setting,
    *,
    optional: Collection[Statistic] = (),
    seed: int = 0,
    store: Store | None = None,
    thin: int | None = None,
    progress: Progress = silent,
) -> Stored:
    """Build and run every architecture once, in this process.

    Parameters
    ----------
    architectures : sequence of str
    space : Space
    statistics : collection of Statistic
        Those of the teacher are collected once.
    setting : Setting
    optional : collection of Statistic
        Collected too; what a network or the teacher does not have is told in `Known.absent`.
    store : Store, optional
        Serves what was collected before, and keeps what was not.
    thin : int, optional
        Bytes that activations are thinned to.

    Raises
    ------
    StatisticError
        When a statistic cannot be collected, or the teacher is missing.
    """
    described, absent = collecting(space, statistics, optional, setting, seed, store)
    kept = _Kept(Keeping(described, ()))
    with InProcess() as executor:
        known, laid = collected_by(
            executor, lambda: kept, described, architectures, dict.fromkeys(architectures, 0),
            absent, Limits(thin=math.inf if thin is None else thin), progress,
        )  # fmt: skip
    kept.lay(laid)
    return Stored(kept.collected(architectures), known)

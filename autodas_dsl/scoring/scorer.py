"""Score one network after the other with the same formulas, teacher and batch."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import nn

from autodas_dsl.compiler.engine import Engine
from autodas_dsl.compiler.ir import Node, statistics_of, topological
from autodas_dsl.compiler.outcome import Outcome
from autodas_dsl.compiler.pipeline import to_ir
from autodas_dsl.compiler.populated import (
    References,
    alone,
    combined,
    is_populated,
    open_terms,
    parts,
    references_of,
)
from autodas_dsl.compiler.reading import needed, needed_by_layer, reading
from autodas_dsl.data.batches import Batch
from autodas_dsl.execution.memory import return_freed_memory
from autodas_dsl.language.documents import EXPRESSION
from autodas_dsl.language.errors import Diagnostic, FormulaError
from autodas_dsl.language.inputs import Statistic
from autodas_dsl.language.kinds import Requirement
from autodas_dsl.language.proxy import Proxy, format_formula
from autodas_dsl.scoring.bind import sizes_of, unmet
from autodas_dsl.statistics.collect import (
    Collected,
    Run,
    belongs_to_teacher,
    collect,
    collect_teacher,
    is_free,
    no_teacher,
    run_of,
)
from autodas_dsl.statistics.errors import within_memory


@dataclass(frozen=True)
class Bound:
    """A formula ready to be scored."""

    name: str
    proxy: Proxy
    node: Node
    statistics: frozenset[Statistic]
    requirements: tuple[Requirement, ...]
    references: References = field(default_factory=dict, compare=False)

    @property
    def key(self) -> str:
        """What tells its scores from those of other formulas."""
        if not self.references:
            return self.node.digest
        frozen = sorted((node.digest, values) for node, values in self.references.items())
        return hashlib.blake2b(f"{self.node.digest} {frozen}".encode(), digest_size=12).hexdigest()

    @property
    def sign(self) -> int:
        """1 where a higher score means a better network, else -1."""
        return 1 if self.proxy.better == "higher" else -1


def bind(proxy: Proxy) -> Bound:
    """Check and lower a formula.

    Raises
    ------
    FormulaError
        When it does not check.
    """
    typed = proxy.typed()
    node = to_ir(typed.score)
    name = format_formula(proxy) if proxy.name == EXPRESSION else proxy.name
    statistics = frozenset(needed([node]))
    return Bound(name, proxy, node, statistics, typed.requirements, references_of(proxy))


def distinct(formulas: Sequence[Bound]) -> tuple[Bound, ...]:
    """The formulas under distinct names: a repeated one gets a number."""
    seen: dict[str, int] = {}
    out = []
    for formula in formulas:
        seen[formula.name] = seen.get(formula.name, 0) + 1
        again = seen[formula.name]
        out.append(replace(formula, name=f"{formula.name} ({again})") if again > 1 else formula)
    return tuple(out)


@dataclass(frozen=True)
class Score:
    """The score of one formula on one network; NaN with a reason where it is invalid.

    `unmet` says that the formula does not fit these networks at all.
    """

    value: float
    reason: str = ""
    unmet: bool = False

    @property
    def valid(self) -> bool:
        return not math.isnan(self.value)


class Scorer:
    """Scores networks with a fixed set of formulas; the teacher is run once.

    Parameters
    ----------
    formulas : sequence of Bound
    batch : Batch
    teacher : nn.Module, optional
    teacher_size : int, optional
        Height and width the teacher's input is resized to.
    dtype : torch.dtype
    seed : int
        Of everything drawn at random during the passes.
    beside : sequence of Statistic
        Collected too, where a network has them.
    compiled : bool
        As `Engine` takes it.

    Raises
    ------
    InputError
        E463 when a formula needs a population, see `together.Together`.

    Notes
    -----
    A formula that reads what a network or the teacher does not have, or a teacher where there is
    none, gets a score that is `unmet`.
    """

    def __init__(
        self,
        formulas: Sequence[Bound],
        batch: Batch,
        *,
        teacher: nn.Module | None = None,
        teacher_size: int | None = None,
        dtype: torch.dtype | None = None,
        seed: int = 0,
        beside: Sequence[Statistic] = (),
        compiled: bool = False,
    ) -> None:
        self.formulas = tuple(formulas)
        for formula in self.formulas:
            for term in open_terms(formula.node, formula.references):
                raise alone(formula.name, term.op)
        self._batch = batch
        self._dtype = dtype
        self._seed = seed
        self._compiled = compiled
        self._beside = frozenset(beside)
        wanted = self._beside.union(*(f.statistics for f in self.formulas))
        of_teacher = [s for s in wanted if belongs_to_teacher(s)]
        self._absent: dict[Statistic, str] = {}
        self._teacher: Collected | None = None
        if of_teacher and teacher is not None:
            self._teacher = collect_teacher(
                teacher, batch, wanted, seed=seed, dtype=dtype, size=teacher_size,
                absent=self._absent,
            )  # fmt: skip
        elif of_teacher:
            self._absent = {s: no_teacher(s).told for s in of_teacher}
        self._companies = _companies([self._of_student(formula) for formula in self.formulas])

    def __call__(self, network: nn.Module) -> list[Score]:
        """Score one network. Each pass is run once; the statistics of formulas that share no pass are
        not held together."""
        found: dict[int, Score] = {}
        for number, places in enumerate(self._companies):
            if number:
                return_freed_memory()
            read = self._by_layer(places)
            found |= self._scored(network, places, read)[0]
            made = {s.through for s in read}
            lost = [
                place for place in places
                if not found[place].valid and not made.isdisjoint(topological([self.formulas[place].node]))
            ]  # fmt: skip
            if lost:  # the whole statistics say what is to blame
                found |= self._scored(network, lost, self._whole(lost))[0]
        return [found[place] for place in range(len(self.formulas))]

    def explain(self, network: nn.Module) -> tuple[list[Score], Collected]:
        """The scores, and the statistics they were made from."""
        places = range(len(self.formulas))
        found, collected = self._scored(network, places, self._whole(places))
        return list(found.values()), collected

    def _of_student(self, formula: Bound) -> frozenset[Statistic]:
        """What is collected of every network for a formula: nothing where it lacks something."""
        if not formula.statistics.isdisjoint(self._absent):
            return frozenset()
        return formula.statistics

    def _whole(self, places: Iterable[int]) -> frozenset[Statistic]:
        """What is collected of every network for some formulas."""
        return self._beside.union(*(self._of_student(self.formulas[place]) for place in places))

    def _by_layer(self, places: Iterable[int]) -> frozenset[Statistic]:
        """The same, with what they make of each layer in place of what they make it of.

        What formulas with requirements read is collected whole, for its sizes.
        """
        own = [f for f in (self.formulas[place] for place in places) if self._of_student(f)]
        apart = [f for f in own if f.requirements or self._compiled]
        whole = self._beside.union(*(f.statistics for f in apart))
        roots = [node for f in own if f not in apart for node in _roots(f)]
        return whole.union(needed_by_layer(roots, whole))

    def _scored(
        self, network: nn.Module, places: Sequence[int], read: Collection[Statistic]
    ) -> tuple[dict[int, Score], Collected]:
        formulas = {place: self.formulas[place] for place in places}
        missing = dict(self._absent)
        collected = collect(
            network, self._batch, read,
            teacher=self._teacher, seed=self._seed, dtype=self._dtype, absent=missing,
        )  # fmt: skip
        sizes = sizes_of(collected)
        found: dict[int, Score] = {}
        ready: list[int] = []
        for place, formula in formulas.items():
            own = [*sorted(formula.statistics), *statistics_of([reading(formula.node, read)])]
            reason = next((missing[s] for s in own if s in missing), "")
            reason = reason or unmet(formula.requirements, sizes)
            found[place] = Score(math.nan, reason, bool(reason))
            if not reason:
                ready.append(place)
        engine = Engine([collected], self._compiled)
        ordered = list(dict.fromkeys(n for place in ready for n in _roots(formulas[place])))
        with within_memory(f"a formula on a batch of {len(self._batch.x)}"):
            outcomes = dict(zip(ordered, engine.evaluate(ordered, True), strict=True))
        for place in ready:
            found[place] = _score(formulas[place], outcomes)
        return found, collected


def _companies(read: Sequence[Collection[Statistic]]) -> list[list[int]]:
    """Formulas, by their places and what they read, that share a run of the network, directly or
    through others."""
    companies: list[tuple[set[Run | None], list[int]]] = []
    for place, statistics in enumerate(read):
        student = (s for s in statistics if not (belongs_to_teacher(s) or is_free(s)))
        runs: set[Run | None] = set(map(run_of, student))
        runs = runs or {None}
        apart = [company for company in companies if company[0].isdisjoint(runs)]
        joined = [company for company in companies if not company[0].isdisjoint(runs)]
        together = sorted(place for _, places in joined for place in places)
        companies = [*apart, (runs.union(*(own for own, _ in joined)), [*together, place])]
    return [places for _, places in companies]


def _roots(formula: Bound) -> tuple[Node, ...]:
    """What the compiler evaluates of a formula."""
    return parts(formula.node) if is_populated(formula.node) else (formula.node,)


def _score(formula: Bound, outcomes: Mapping[Node, Outcome]) -> Score:
    """The score of a formula on one network."""
    if not is_populated(formula.node):
        outcome = outcomes[formula.node]
        return Score(float(outcome.scores[0]), outcome.reasons[0])
    own = {node: outcomes[node] for node in parts(formula.node)}
    found = combined(formula.node, own, formula.references, 1)
    return Score(float(found.scores[0]), found.reasons[0])


def reads_teacher(formula: Bound) -> bool:
    return any(map(belongs_to_teacher, formula.statistics))


def require_teacher(formulas: Sequence[Bound], teacher: object) -> None:
    """Refuse formulas that all read a teacher, where there is none, before anything is run.

    Raises
    ------
    InputError
        E444, for each formula.
    """
    if teacher is None and formulas and all(map(reads_teacher, formulas)):
        raise FormulaError(
            (
                Diagnostic("E444", f"`{formula.name}` reads a teacher", None, "add --teacher MODEL")
                for formula in formulas
            ),
            None,
        )


def require_scored(formulas: Sequence[Bound], reasons: Mapping[str, str]) -> None:
    """Refuse formulas of which not one could be scored.

    Parameters
    ----------
    reasons : mapping of str to str
        Why a formula fits none of the networks, by its name.

    Raises
    ------
    InputError
        E461, for each formula.
    """
    if formulas and all(formula.name in reasons for formula in formulas):
        raise FormulaError(
            (
                Diagnostic("E461", f"`{formula.name}` fits no model: {reasons[formula.name]}")
                for formula in formulas
            ),
            None,
        )

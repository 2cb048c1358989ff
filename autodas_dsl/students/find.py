"""`autodas_dsl.find_student`: the best networks of a space under limits, without training."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from operator import le
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from autodas_dsl import spaces
from autodas_dsl.compiler.population import rankdata
from autodas_dsl.data.samples import Samples
from autodas_dsl.evaluation.agreement import agreement
from autodas_dsl.execution.executors import executor_of
from autodas_dsl.execution.jobs import Executor
from autodas_dsl.execution.progress import Progress, silent
from autodas_dsl.execution.threads import one_thread
from autodas_dsl.language.errors import InputError
from autodas_dsl.language.library import load
from autodas_dsl.language.proxy import Proxy
from autodas_dsl.language.shown import Shown
from autodas_dsl.models.named import NamedModels
from autodas_dsl.models.source import ModelSource, given_source
from autodas_dsl.models.spaces import space_source
from autodas_dsl.scoring.scorebook import ScoreBook
from autodas_dsl.scoring.scorer import Score, bind, distinct, reads_teacher, require_teacher
from autodas_dsl.scoring.setting import (
    NOISE,
    NOISE_NOTE,
    Data,
    Teacher,
    data_from,
    teacher_from,
    usual_setting,
)
from autodas_dsl.scoring.table import Scoring, scores_of, table_batch
from autodas_dsl.spaces.base import Space
from autodas_dsl.students.candidates import Candidates
from autodas_dsl.students.sizes import Latency, Limits, Sizes


@dataclass(frozen=True)
class Student:
    """One network that was scored.

    Parameters
    ----------
    rank : int or None
        From 1 among the valid scores, the better network first; None where the score is invalid.
    architecture : str
    score : float
        Of one formula its score, the mean over seeds; of several the mean over them of the share
        of the scored networks that it ranks no higher. NaN where one is invalid.
    params : int
    flops : int
        Multiply-adds of one sample.
    reason : str
        Why the score is invalid.
    scores : mapping of str to float
        By formula, where there are several.
    latency : Latency or None
        Where it is limited.
    source : ModelSource
        Builds the network; ``student.source.build(seed)`` is what was scored with that seed.
    """

    rank: int | None
    architecture: str
    score: float
    params: int
    flops: int
    reason: str
    scores: Mapping[str, float]
    latency: Latency | None
    source: ModelSource = field(repr=False, compare=False)


@dataclass(frozen=True)
class Students(Shown):
    """What a student search found.

    Parameters
    ----------
    space, proxy : str
        Of several formulas the names, with a comma between them.
    best : tuple of Student
        The best first.
    largest : Student
        What taking the network with most parameters under the limits gives: the baseline that any
        formula has to beat. In a space too large to list, the largest that climbing finds.
    front : tuple of Student
        Of all that were scored those that no other beats in score and in every size (parameters,
        multiply-adds, and latency where it is limited), the smallest first; empty unless asked for.
    scored : int
        Networks scored, isomorphic ones once.
    invalid : dict of str to int
        How many scores are invalid, by reason.
    exhaustive : bool
        Whether every network under the limits was scored.
    size_agreement : float or None
        Kendall's tau-b between the scores and the parameter counts of the scored networks; near 1
        the formula does little else than count parameters. None where it is undefined.
    notes : tuple of str
        What the scores were computed from, in words.
    """

    space: str
    proxy: str
    best: tuple[Student, ...]
    largest: Student
    front: tuple[Student, ...]
    scored: int
    invalid: Mapping[str, int]
    exhaustive: bool
    size_agreement: float | None
    notes: tuple[str, ...]


def find_student(
    space: str | Space[Any] | Mapping[str, nn.Module | Callable[[], nn.Module]],
    proxy: str | Proxy | Sequence[str | Proxy],
    *,
    teacher: str | nn.Module | Teacher | None = None,
    data: str | Data | Samples | None = None,
    max_params: int | None = None,
    max_flops: int | None = None,
    max_latency: float | None = None,
    budget: int = 200,
    top: int = 5,
    pareto: bool = False,
    seeds: int = 1,
    seed: int = 0,
    classes: int | None = None,
    dtype: torch.dtype = torch.float32,
    device: str = "cpu",
    book: ScoreBook | None = None,
    workers: int | str = 1,
    executor: Any = None,
    progress: Progress = silent,
) -> Students:
    """Search a space for the networks that a formula scores best.

    All networks under the limits are scored where the budget allows it; otherwise regularised
    evolution chooses which. The result depends on the seed alone, and under a limit of latency on
    what was measured. Scores are stored in the user's cache folder: a second search is served from
    there, and one that was killed goes on.

    Parameters
    ----------
    space : str, Space, or mapping of str to nn.Module or callable
        A name, a file of your own, or networks at hand (or what makes them), whose scores are not
        stored.
    proxy : str, Proxy, or sequence of them
        A library name, a file or an expression. Several are combined by the mean of their ranks.
    teacher, data : optional
        As on the command line; by default what the space is usually scored with. They may be a
        network and samples at hand, as in `score`.
    max_params, max_flops : int, optional
        Limits; flops are multiply-adds of one sample.
    max_latency : float, optional
        Seconds that one sample may take on `device`; see `Latency`.
    budget : int
        Networks to score at most; where the largest is not among them, it is one more.
    top : int
        Networks to return at most.
    pareto : bool
        Return the front of scores and sizes, too.
    seeds : int
        Scores are the mean over so many initialisations and batches.
    seed : int
        The first of weights and batch, and that of the search.
    classes : int, optional
        Of the networks, by default the space's.
    book : ScoreBook, optional
        Where scores are stored, by default in the user's cache folder.
    workers : int or str
        Processes that score, or ``"ray"``; the result does not depend on it.
    executor : optional
        Scores instead, see `executor_of`; it is closed at the end.

    Raises
    ------
    InputError
        E710 for an unknown space, E444 without a teacher that the formula reads, E750 when no
        network is under the limits, E751 when the formula fits none, E752 when every score is
        invalid, E755 when a limit, `budget`, `top` or `seeds` leaves nothing.

    Examples
    --------
    >>> from autodas_dsl import find_student
    >>> found = find_student("cifar-resnet", "-params", budget=64, top=1)
    >>> found.best[0].architecture, found.largest.architecture
    ('1-1-1', '7-7-7')
    """
    for name, value in (("budget", budget), ("top", top), ("seeds", seeds)):
        if value < 1:
            raise InputError("E755", f"{name} is {value}; nothing can be found", "it is at least 1")
    family = _space(space)
    many = [proxy] if isinstance(proxy, str | Proxy) else proxy
    formulas = distinct([bind(load(one) if isinstance(one, str) else one) for one in many])
    setting = usual_setting(
        family, data_from(data, family.data), teacher_from(teacher),
        dtype=dtype, device=device, classes=classes,
    )  # fmt: skip
    require_teacher(formulas, setting.teacher)
    guide = setting.teacher if any(map(reads_teacher, formulas)) else None
    scorings = [
        Scoring(
            family, formulas, setting, guide,
            table_batch(family, setting, setting.data.size, seed + more), seed + more,
        )
        for more in range(seeds)
    ]  # fmt: skip
    sizes = Sizes(
        family, Limits(max_params, max_flops, max_latency), classes,
        input_shape=scorings[0].batch.x.shape[1:], device=device,
    )  # fmt: skip
    notes = [f"data: {scorings[0].batch.source}"]
    notes += [f"scores: mean of {seeds} initialisations and batches"] if seeds > 1 else []
    notes += [NOISE_NOTE] if setting.data.spec == NOISE else []
    notes += [guide.note] if guide else []
    with ExitStack() as stack:
        stack.enter_context(one_thread())
        if book is None:
            at_hand = isinstance(space, Mapping)  # networks, of which nothing can be stored
            book = stack.enter_context(ScoreBook(Path(":memory:") if at_hand else None))
        search = _Search(
            scorings,
            Candidates(family, sizes, seed),
            stack.enter_context(executor_of(workers, executor)),
            book,
            progress,
        )
        search.go(budget)
        found = search.found(top, pareto, notes)
        return replace(found, notes=(*found.notes, *filter(None, [sizes.left_out()])))


def _space(given: str | Space[Any] | Mapping[str, Any]) -> Space[Any]:
    if isinstance(given, str):
        return spaces.get(given)
    if isinstance(given, Space):
        return given
    return NamedModels(
        {
            name: given_source(one, name) if isinstance(one, nn.Module) else ModelSource(name, one)
            for name, one in given.items()
        }
    )


class _Search:
    """The scores of one search."""

    def __init__(
        self, scorings: Sequence[Scoring], candidates: Candidates, executor: Executor,
        book: ScoreBook, progress: Progress,
    ) -> None:  # fmt: skip
        self._scorings, self._formulas = scorings, scorings[0].formulas
        self._name = ", ".join(formula.name for formula in self._formulas)
        self._candidates, self._sizes = candidates, candidates.sizes
        self._executor, self._book, self._progress = executor, book, progress
        self._scores: dict[str, list[Score]] = {}
        self._exhaustive = False

    def go(self, budget: int) -> None:
        everything = self._candidates.everything(budget)
        self._exhaustive = everything is not None and len(everything) <= budget
        if everything is not None and self._exhaustive:
            self._score(everything)
        else:
            self._candidates.evolve(lambda text: self._score([text]), self._merits, budget)

    def found(self, top: int, pareto: bool, notes: list[str]) -> Students:
        """The best of what was scored.

        Raises
        ------
        InputError
            E751 or E752 when nothing was.
        """
        scored = list(self._scores)
        valid = list(filter(self._valid, scored))
        if not valid:
            raise self._nothing()
        largest = self._candidates.largest(scored)
        if largest not in self._scores:
            self._score([largest])
            valid += [largest] if self._valid(largest) else []
        merits = dict(zip(valid, self._merits(valid), strict=True))
        order = sorted(valid, key=lambda text: (-merits[text], self._sizes.params(text), text))
        places = {text: place for place, text in enumerate(order, start=1)}
        reasons = Counter(self._reason(text) for text in self._scores if not self._valid(text))
        sized = agreement([merits[one] for one in order], list(map(self._sizes.params, order)))

        def student(text: str) -> Student:
            return self._student(text, places.get(text), merits.get(text, math.nan))

        return Students(
            self._candidates.space.name, self._name, tuple(map(student, order[:top])),
            student(largest), tuple(map(student, self._front(order, merits) if pareto else ())),
            len(self._scores), dict(reasons.most_common()), self._exhaustive, sized.kendall,
            tuple(notes),
        )  # fmt: skip

    def _front(self, valid: Sequence[str], merits: Mapping[str, float]) -> list[str]:
        """Those that none of the others beats in all, the smallest first."""
        costs = {text: (-merits[text], *self._costs(text)) for text in valid}
        found: list[str] = []
        for text in sorted(valid, key=lambda text: (costs[text], text)):  # who beats it comes first
            own = costs[text]
            if not any(all(map(le, costs[one], own)) for one in found):
                found.append(text)
        return sorted(found, key=lambda text: (self._costs(text), text))

    def _costs(self, text: str) -> tuple[float, ...]:
        latency = self._sizes.latency(text)
        sizes = (self._sizes.params(text), self._sizes.flops(text))
        return (*sizes, latency.median) if latency is not None else sizes

    def _score(self, given: Sequence[str]) -> None:
        """Score those that run."""
        architectures = list(filter(self._sizes.runs, given))
        repeats = [
            scores_of(architectures, scoring, self._executor, self._book, progress)
            for scoring, progress in zip(
                self._scorings, [self._progress, *[silent] * len(self._scorings)], strict=False
            )
        ]
        for place, text in enumerate(architectures):
            self._scores[text] = list(map(_mean, *(rows[place] for rows in repeats)))

    def _valid(self, architecture: str) -> bool:
        return self._sizes.runs(architecture) and all(s.valid for s in self._scores[architecture])

    def _reason(self, architecture: str) -> str:
        return next((one.reason for one in self._scores[architecture] if not one.valid), "")

    def _merits(self, architectures: Sequence[str]) -> list[float]:
        """How good architectures are, the higher the better, invalid ones worst.

        One formula says it by its scores; several by the mean of their ranks among these.
        """
        valid = [text for text in architectures if self._valid(text)]
        if not valid:
            return [-math.inf] * len(architectures)
        oriented = np.array([[one.value for one in self._scores[text]] for text in valid])
        oriented *= [formula.sign for formula in self._formulas]
        if len(self._formulas) > 1:
            oriented = rankdata(oriented, axis=0) / len(valid)
        known = dict(zip(valid, oriented.mean(axis=1).tolist(), strict=True))
        return [known.get(text, -math.inf) for text in architectures]

    def _student(self, text: str, rank: int | None, merit: float) -> Student:
        own = self._scores[text]
        single = len(own) == 1
        space, classes = self._candidates.space, self._scorings[0].setting.classes
        return Student(
            rank, text, own[0].value if single else merit, self._sizes.params(text),
            self._sizes.flops(text), self._reason(text),
            {} if single else {f.name: one.value for f, one in zip(self._formulas, own, strict=True)},
            self._sizes.latency(text), space_source(space, text, classes),
        )  # fmt: skip

    def _nothing(self) -> InputError:
        if not self._scores:
            return next(iter(self._sizes.broken.values()))
        reasons = Counter(map(self._reason, self._scores))
        reason = reasons.most_common(1)[0][0]
        tried = f"{len(self._scores)} networks of {self._candidates.space.name} that were tried"
        if all(any(one.unmet for one in scores) for scores in self._scores.values()):
            return InputError(
                "E751", f"none of the {tried} fits `{self._name}`: {reason}",
                "choose another formula, space or teacher",
            )  # fmt: skip
        return InputError(
            "E752", f"no score of `{self._name}` is valid on the {tried}: {reason}",
            "choose another formula, or other data",
        )  # fmt: skip


def _mean(*repeats: Score) -> Score:
    """The score over seeds: the first one that is invalid, or the mean."""
    wrong = next((one for one in repeats if not one.valid), None)
    return wrong or Score(math.fsum(one.value for one in repeats) / len(repeats))

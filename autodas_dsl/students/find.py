"""`autodas_dsl.find_student`: the best networks of a space under limits, without training."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import torch

from autodas_dsl import spaces
from autodas_dsl.data.samples import Samples
from autodas_dsl.evaluation.agreement import agreement
from autodas_dsl.execution.executors import executor_of
from autodas_dsl.execution.jobs import Executor
from autodas_dsl.execution.progress import Progress, silent
from autodas_dsl.execution.threads import one_thread
from autodas_dsl.language.errors import InputError
from autodas_dsl.language.library import load
from autodas_dsl.language.proxy import Proxy
from autodas_dsl.scoring.scorebook import ScoreBook
from autodas_dsl.scoring.scorer import Score, bind, reads_teacher, require_teacher
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
from autodas_dsl.students.sizes import Limits, Sizes


@dataclass(frozen=True)
class Student:
    """One network that was scored.

    Parameters
    ----------
    rank : int or None
        From 1 among the valid scores, the better network first; None where the score is invalid.
    architecture : str
    score : float
        NaN where it is invalid.
    params : int
    flops : int
        Multiply-adds of one sample.
    reason : str
        Why the score is invalid.
    """

    rank: int | None
    architecture: str
    score: float
    params: int
    flops: int
    reason: str = ""


@dataclass(frozen=True)
class Students:
    """What a student search found.

    Parameters
    ----------
    space, proxy : str
    best : tuple of Student
        The best first.
    largest : Student
        What taking the network with most parameters under the limits gives: the baseline that any
        formula has to beat. In a space too large to list, the largest that climbing finds.
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
    scored: int
    invalid: Mapping[str, int]
    exhaustive: bool
    size_agreement: float | None
    notes: tuple[str, ...]


def find_student(
    space: str | Space[Any],
    proxy: str | Proxy,
    *,
    teacher: str | Teacher | None = None,
    data: str | Data | Samples | None = None,
    max_params: int | None = None,
    max_flops: int | None = None,
    budget: int = 200,
    top: int = 5,
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
    evolution chooses which. The result depends on the seed alone. Scores are stored in the user's
    cache folder: a second search is served from there.

    Parameters
    ----------
    space : str or Space
        A name, or a file of your own.
    proxy : str or Proxy
        A library name, a file or an expression.
    teacher, data : optional
        As on the command line; by default what the space is usually scored with. `data` may be
        samples at hand, as in `score`.
    max_params, max_flops : int, optional
        Limits; flops are multiply-adds of one sample.
    budget : int
        Networks to score at most; where the largest is not among them, it is one more.
    top : int
        Networks to return at most.
    seed : int
        Of weights, batch and search.
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
        invalid, E755 when a limit, `budget` or `top` is less than 1.

    Examples
    --------
    >>> from autodas_dsl import find_student
    >>> found = find_student("cifar-resnet", "-params", budget=64, top=1)
    >>> found.best[0].architecture, found.largest.architecture
    ('1-1-1', '7-7-7')
    """
    if budget < 1 or top < 1:
        name, value = ("budget", budget) if budget < 1 else ("top", top)
        raise InputError("E755", f"{name} is {value}; nothing can be found", "it is at least 1")
    family = spaces.get(space) if isinstance(space, str) else space
    formula = bind(load(proxy) if isinstance(proxy, str) else proxy)
    setting = usual_setting(
        family, data_from(data, family.data), teacher_from(teacher),
        dtype=dtype, device=device, classes=classes,
    )  # fmt: skip
    require_teacher([formula], setting.teacher)
    guide = setting.teacher if reads_teacher(formula) else None
    sizes = Sizes(family, Limits(max_params, max_flops), classes)
    batch = table_batch(family, setting, setting.data.size, seed)
    notes = [f"data: {batch.source}"]
    notes += [NOISE_NOTE] if setting.data.spec == NOISE else []
    notes += [guide.note] if guide else []
    with ExitStack() as stack:
        stack.enter_context(one_thread())
        search = _Search(
            Scoring(family, [formula], setting, guide, batch, seed), Candidates(family, sizes, seed),
            stack.enter_context(executor_of(workers, executor)),
            book or stack.enter_context(ScoreBook()), progress,
        )  # fmt: skip
        search.go(budget)
        return search.found(top, notes)


class _Search:
    """The scores of one search."""

    def __init__(
        self, scoring: Scoring, candidates: Candidates, executor: Executor, book: ScoreBook,
        progress: Progress,
    ) -> None:  # fmt: skip
        self._formula, self._scoring = scoring.formulas[0], scoring
        self._candidates, self._sizes = candidates, candidates.sizes
        self._executor, self._book, self._progress = executor, book, progress
        self._scores: dict[str, Score] = {}
        self._exhaustive = False

    def go(self, budget: int) -> None:
        everything = self._candidates.everything(budget)
        self._exhaustive = everything is not None and len(everything) <= budget
        if everything is not None and self._exhaustive:
            self._score(everything)
        else:
            self._candidates.evolve(self._judge, budget)

    def found(self, top: int, notes: list[str]) -> Students:
        """The best of what was scored.

        Raises
        ------
        InputError
            E751 or E752 when nothing was.
        """
        scored = list(self._scores)
        valid = [text for text in scored if self._scores[text].valid]
        if not valid:
            raise self._nothing()
        largest = self._candidates.largest(scored)
        if largest not in self._scores:
            self._score([largest])
            valid += [largest] if self._scores[largest].valid else []
        order = sorted(
            valid, key=lambda text: (-self._oriented(text), self._sizes.params(text), text)
        )
        places = {text: place for place, text in enumerate(order, start=1)}
        reasons = Counter(self._scores[t].reason for t in self._scores if not self._scores[t].valid)
        sized = agreement(
            [self._oriented(text) for text in order], [self._sizes.params(text) for text in order]
        )
        return Students(
            self._candidates.space.name, self._formula.name,
            tuple(self._student(text, places) for text in order[:top]),
            self._student(largest, places), len(self._scores), dict(reasons.most_common()),
            self._exhaustive, sized.kendall, tuple(notes),
        )  # fmt: skip

    def _score(self, architectures: Sequence[str]) -> None:
        rows = scores_of(architectures, self._scoring, self._executor, self._book, self._progress)
        self._scores.update(zip(architectures, (row[0] for row in rows), strict=True))

    def _judge(self, architecture: str) -> float:
        """How good an architecture is: the higher the better, invalid ones worst."""
        self._score([architecture])
        return self._oriented(architecture)

    def _oriented(self, architecture: str) -> float:
        one = self._scores[architecture]
        return one.value * self._formula.sign if one.valid else -math.inf

    def _student(self, text: str, places: Mapping[str, int]) -> Student:
        one = self._scores[text]
        return Student(
            places.get(text), text, one.value, self._sizes.params(text), self._sizes.flops(text),
            one.reason,
        )  # fmt: skip

    def _nothing(self) -> InputError:
        reasons = Counter(score.reason for score in self._scores.values())
        reason = reasons.most_common(1)[0][0]
        tried = f"{len(self._scores)} networks of {self._candidates.space.name} that were tried"
        if all(score.unmet for score in self._scores.values()):
            return InputError(
                "E751", f"`{self._formula.name}` fits none of the {tried}: {reason}",
                "choose another formula, space or teacher",
            )  # fmt: skip
        return InputError(
            "E752", f"`{self._formula.name}` gives no valid score on the {tried}: {reason}",
            "choose another formula, or other data",
        )  # fmt: skip

"""Sums of terms: which few of thousands of evaluated formulas, added, rank architectures best.

Every term was evaluated already, so a sum costs no network and no kernel. Terms enter as their
percentiles among the selection architectures. Sums grow by a term at a time: the
`Settings.beam` best of each size are extended by every term. All candidates are judged by a
correlation that needs one matrix product for all terms together, the `Settings.shortlist` best of
them by rank, as the mean over random parts of the selection (`bagged`). Of sums that are within
`Settings.near` of the best the one is taken that ranks most like all of them: the very best one owes
more to chance than what the good ones agree on. A further term must add more than `Settings.margin`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np
import numpy.typing as npt

from autodas_dsl.compiler.population import percentiles, rankdata
from autodas_dsl.evolution.bagged import Bagged, Linear, bags_of, centred, settled
from autodas_dsl.evolution.config import OBJECTIVES

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Scored:
    """Scores of all terms on the selection architectures of one table.

    Parameters
    ----------
    scores : float64 array [terms, n]
        NaN where invalid.
    accuracies : float64 array [n]
    """

    scores: Floats
    accuracies: Floats

    def __post_init__(self) -> None:
        if self.scores.ndim != 2 or self.scores.shape[1:] != self.accuracies.shape:
            raise ValueError(f"{self.scores.shape} scores for {self.accuracies.shape} accuracies")
        if not np.isfinite(self.accuracies).all():
            raise ValueError("an accuracy is not finite; leave unmeasured architectures out")


@dataclass(frozen=True, slots=True)
class Settings:
    """How sums are built.

    Parameters
    ----------
    terms_max : int
        Terms that a sum may have.
    bags, share : int, float
        Random parts of the selection that candidates are judged on, and how much each holds.
    seed : int
        Of the bags.
    margin : float
        What a further term must add to the mean agreement.
    twins : float
        Terms whose rank correlation is beyond this are not paired.
    shortlist : int
        Candidates judged by rank at every step.
    beam : int
        Sums of each size that are extended; 1: greedy.
    near : float
        Sums of several terms are taken for equally good when they are so near to the best; 0: the
        best one is taken.
    objective : str
        ``"mean"`` or ``"min"`` of the agreement over several tables.
    """

    terms_max: int = 3
    bags: int = 8
    share: float = 0.75
    seed: int = 0
    margin: float = 0.0
    twins: float = 0.995
    shortlist: int = 256
    beam: int = 32
    near: float = 0.01
    objective: str = "mean"

    def __post_init__(self) -> None:
        if self.objective not in OBJECTIVES:
            raise ValueError(f"objective must be one of {OBJECTIVES}, not {self.objective!r}")
        if min(self.terms_max, self.bags, self.shortlist, self.beam) < 1:
            raise ValueError("numbers of terms, bags and sums must be at least 1")
        if not 0 < self.share <= 1:
            raise ValueError("share must be above 0 and at most 1")


@dataclass(frozen=True, slots=True)
class Sum:
    """A sum of terms.

    Attributes
    ----------
    terms : tuple of int
        Rows of the score matrices, in the order in which they were added.
    signs : tuple of float
        1, or -1 where lower scores go with higher accuracy.
    value : float
        Mean agreement over the bags.
    bags : tuple of float
        Agreement in each bag, the objective over the tables.
    """

    terms: tuple[int, ...]
    signs: tuple[float, ...]
    value: float
    bags: tuple[float, ...]


class Combiner:
    """An archive of terms ready to be combined.

    Parameters
    ----------
    tables : sequence of Scored
        At least one; all with the same terms in the same order. Where two terms rank alike, on all
        tables, the first stays: order them by preference.
    settings : Settings, optional
    """

    def __init__(self, tables: Sequence[Scored], settings: Settings | None = None) -> None:
        if not tables or len({len(table.scores) for table in tables}) > 1:
            raise ValueError("give at least one table, all with the same terms")
        self.settings = settings = settings or Settings()
        self._rows = usable(tables)
        scores = [table.scores[self._rows] for table in tables]
        self._signs = _signs(tables, self._rows)
        self._values = [self._signs[:, None] * percentiles(rows) for rows in scores]
        ranks = [centred(rankdata(rows, axis=1)) for rows in scores]
        self._ranks = np.hstack(ranks) / np.sqrt(len(tables))
        self._exact: list[Bagged] = []
        self._linear: list[Linear] = []
        for place, (table, values) in enumerate(zip(tables, self._values, strict=True)):
            bags = bags_of(
                len(table.accuracies), settings.bags, settings.share, settings.seed, place
            )
            self._exact.append(Bagged(table.accuracies, bags))
            self._linear.append(Linear(values, table.accuracies))

    def sums(self) -> tuple[Sum, ...]:
        """The best term alone, then the best sum of two, of three, …; the last one is the best.

        Empty when no term is usable.
        """
        chosen: list[_Members] = []
        for leaders in self._levels():
            best = self._chosen(leaders)
            if chosen and best.value <= chosen[-1].value + self.settings.margin:
                break
            chosen.append(best)
        return tuple(map(self._public, chosen))

    def leaders(self, size: int) -> tuple[Sum, ...]:
        """The best sums of so many terms, or of as many as there are, best first."""
        levels = list(islice(self._levels(), size))
        return tuple(map(self._public, levels[-1])) if levels else ()

    # --- steps

    def _levels(self) -> Iterator[list[_Members]]:
        """The best sums of one term, of two, …, best first."""
        leaders = [_Members()]
        for _ in range(self.settings.terms_max):
            leaders = self._extended(leaders)
            if not leaders:
                return
            yield leaders

    def _extended(self, bases: Sequence[_Members]) -> list[_Members]:
        """The best sums with one term more than one of the bases, best first."""
        likely: dict[tuple[int, ...], tuple[float, _Members]] = {}
        room = min(self.settings.shortlist, len(self._rows))
        for members, promise in zip(bases, self._promise(bases), strict=True):
            best = np.argsort(-promise, kind="stable")[:room]
            for place in best[np.isfinite(promise[best])].tolist():
                grown = _Members((*members.places, place))
                likely.setdefault(grown.key, (-float(promise[place]), grown))
        chosen = sorted(likely.values(), key=lambda item: (item[0], item[1].key))[:room]
        return self._judged([members for _, members in chosen])[: self.settings.beam]

    def _promise(self, bases: Sequence[_Members]) -> Floats:
        """The linear agreement of each base with each further term; -inf for its twins."""
        found = settled(self._linearly(bases))
        for promise, members in zip(found, bases, strict=True):
            promise[self._near(members.places)] = -np.inf
        return found

    def _judged(self, sums: Sequence[_Members]) -> list[_Members]:
        """Sums with their agreement by rank, best first."""
        if not sums:
            return []
        agreement = self._agreement(self._added(sums))
        judged = [
            replace(members, bags=tuple(found.tolist()))
            for members, found in zip(sums, agreement, strict=True)
        ]
        return sorted(judged, key=lambda members: (-round(members.value, 9), members.key))

    def _chosen(self, leaders: Sequence[_Members]) -> _Members:
        """Of sums as good as the best the one most like all of them; of single terms the best."""
        bar = leaders[0].value - self.settings.near
        some = [m for m in leaders if m.value >= bar] if len(leaders[0].places) > 1 else leaders[:1]
        ranks = np.hstack([centred(rankdata(rows, axis=1)) for rows in self._added(some)])
        return some[int(np.argmax(settled(ranks @ ranks.mean(axis=0))))]

    # --- judging

    def _added(self, sums: Sequence[_Members]) -> list[Floats]:
        """Sums of equally many terms on every table, ``[sums, n]`` each."""
        places = np.array([members.places for members in sums], dtype=np.int64)
        return [settled(values[places].sum(axis=1)) for values in self._values]

    def _agreement(self, sums: Sequence[Floats]) -> Floats:
        """Agreement of sums, given per table ``[sums, n]``, in each bag: ``[sums, bags]``."""
        found = [exact(rows) for exact, rows in zip(self._exact, sums, strict=True)]
        return self._over_tables(found)

    def _linearly(self, bases: Sequence[_Members]) -> Floats:
        """The linear agreement of each base with each term added, ``[bases, terms]``."""
        sums = self._added(bases)
        found = [linear(rows) for linear, rows in zip(self._linear, sums, strict=True)]
        return self._over_tables(found)

    def _over_tables(self, found: Sequence[Floats]) -> Floats:
        combine = np.min if self.settings.objective == "min" else np.mean
        return np.asarray(combine(found, axis=0))

    def _near(self, places: Sequence[int]) -> npt.NDArray[np.bool_]:
        """Terms that rank as a member does, or nearly."""
        likeness = np.abs(self._ranks @ self._ranks[list(places)].T)
        return np.asarray((likeness > self.settings.twins).any(axis=1))

    def _public(self, members: _Members) -> Sum:
        places = list(members.places)
        return Sum(
            tuple(self._rows[places].tolist()), tuple(self._signs[places].tolist()),
            members.value, members.bags,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Members:
    """A sum on its way: places among the usable terms."""

    places: tuple[int, ...] = ()
    bags: tuple[float, ...] = ()

    @property
    def value(self) -> float:
        return float(np.mean(self.bags))

    @property
    def key(self) -> tuple[int, ...]:
        return tuple(sorted(self.places))


def usable(tables: Sequence[Scored]) -> npt.NDArray[np.int64]:
    """Terms that may enter a sum, ascending.

    They are valid everywhere and not constant on every table; of those that rank alike on all
    tables, forwards or backwards, it is the first.
    """
    scores = np.hstack([table.scores for table in tables])
    valid = np.flatnonzero(np.isfinite(scores).all(axis=1))
    twice = [2 * rankdata(table.scores[valid], axis=1) for table in tables]
    forward = np.hstack(twice).astype(">u4")
    backward = np.hstack([2 * rows.shape[1] + 2 - rows for rows in twice]).astype(">u4")
    constant = (forward == backward).all(axis=1)
    first: dict[bytes, int] = {}
    for place, term in enumerate(valid.tolist()):
        if not constant[place]:
            key = min(forward[place].tobytes(), backward[place].tobytes())
            first.setdefault(key, term)
    return np.array(list(first.values()), dtype=np.int64)


def _signs(tables: Sequence[Scored], rows: npt.NDArray[np.int64]) -> Floats:
    """1 for terms that agree with the accuracies, -1 for those that agree reversed, ``[rows]``."""
    found = [
        centred(rankdata(table.scores[rows], axis=1)) @ centred(rankdata(table.accuracies)[None])[0]
        for table in tables
    ]
    return np.where(settled(np.mean(found, axis=0)) >= 0, 1.0, -1.0)

"""How the statistics of many networks lie in memory: same-shaped units stacked in blocks.

Blocks are cache-sized. They depend on what is stored alone, never on the formulas, on the memory
or on other networks' shapes, so that results do not either.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import torch
from torch import Tensor

from autodas_dsl.compiler.interpret import Values
from autodas_dsl.compiler.places import NET, TEACHER, UNIT, WEIGHTS, tier_of, usual_domain
from autodas_dsl.compiler.spectra import SPECTRA
from autodas_dsl.language.inputs import Statistic, kind_of

BLOCK = 1 << 17  # values of the largest statistic in a block
_ALIGNMENT = 64  # bytes; where a slice starts changes the last bits of some results

Units = list[Tensor]
Key = TypeVar("Key")


@dataclass
class Room:
    """Bytes that stacked blocks may still take."""

    left: int


@dataclass
class Block:
    """Units of one shape; `units` are indices into the domain."""

    units: Tensor
    sources: Mapping[Statistic, Units]
    room: Room
    _kept: dict[Statistic, Tensor] = field(default_factory=dict)
    _spectra: dict[tuple[str, Statistic], Tensor] = field(default_factory=dict)

    def tensor(self, statistic: Statistic) -> Tensor:
        """The units' values, stacked along a new first axis; kept while there is room."""
        if statistic not in self._kept:
            return self._keep(self._kept, statistic, _stack(self.sources[statistic]))
        return self._kept[statistic]

    def spectrum(self, which: str, statistic: Statistic) -> Tensor:
        """A key of `SPECTRA`, of matrices: ``[units R]``. Many formulas share this costly step."""
        key = (which, statistic)
        if key not in self._spectra:
            return self._keep(self._spectra, key, SPECTRA[which](self.tensor(statistic)))
        return self._spectra[key]

    def _keep(self, kept: dict[Key, Tensor], key: Key, made: Tensor) -> Tensor:
        if made.nbytes <= self.room.left:
            self.room.left -= made.nbytes
            kept[key] = made
        return made


def _stack(units: Units) -> Tensor:
    single = units[0]
    if len(units) == 1 and single.is_contiguous() and single.data_ptr() % _ALIGNMENT == 0:
        return single.unsqueeze(0)
    return torch.stack(units)


@dataclass(frozen=True)
class Arrangement:
    """What is known of a set of networks as a whole.

    Attributes
    ----------
    domains : mapping
        The domain of each statistic.
    lists : frozenset of str
        Domains that are layer lists.
    """

    domains: Mapping[Statistic, str]
    lists: frozenset[str]


def arrange(collected: Sequence[Values]) -> Arrangement:
    """Look at all networks; all must have the same statistics."""
    domains: dict[Statistic, str] = {}
    lists: dict[tuple[str, tuple[int, ...]], str] = {}
    for statistic in sorted(set().union(*(c.values for c in collected)), key=_registration):
        values = [c.values[statistic] for c in collected]
        domain = usual_domain(statistic)
        if domain == TEACHER and not _alike(values):
            domain = NET
        if kind_of(statistic).layers:
            domain = _list_domain(statistic, tuple(len(v) for v in values), lists)
        domains[statistic] = domain
    return Arrangement(domains, frozenset(lists.values()))


def _registration(statistic: Statistic) -> tuple[bool, str]:
    """One entry per layer before one per call: the former give a list's domain its name."""
    return statistic.name == "A" or statistic.every, str(statistic)


def _list_domain(
    statistic: Statistic, counts: tuple[int, ...], known: dict[tuple[str, tuple[int, ...]], str]
) -> str:
    """The domain of a layer list; lists of one kind with other lengths get their own."""
    layers = usual_domain(statistic)
    if (layers, counts) not in known:
        taken = any(other == layers for other, _ in known)
        known[layers, counts] = re.sub(r"\W+", "_", f"{layers}_{statistic}") if taken else layers
    return known[layers, counts]


class Layout:
    """The statistics of networks, laid out for evaluation.

    Parameters
    ----------
    collected : sequence of Values
        The teacher's statistics are read from the first.
    arrangement : Arrangement
    room : Room
        For stacked blocks; those that do not fit are stacked anew at each use.

    Attributes
    ----------
    networks : int
    owner : dict of domain to int64 array [units]
        The network each unit belongs to; units of a network are contiguous and in order.
    counts : dict of domain to tuple of int
        Units of each network.
    numbers : dict of Statistic to float64 array [units]
        Statistics that are numbers, per layer or per network.
    """

    def __init__(self, collected: Sequence[Values], arrangement: Arrangement, room: Room) -> None:
        self.networks = len(collected)
        self.owner: dict[str, Tensor] = {}
        self.counts: dict[str, tuple[int, ...]] = {}
        self.numbers: dict[Statistic, Tensor] = {}
        self._arrangement = arrangement
        self._units: dict[Statistic, Units] = {}
        self._blocks: dict[tuple[str, int, bool], list[Block]] = {}
        self._firsts: dict[str, Tensor] = {}
        self._finite: dict[Statistic, bool] = {}
        self._room = room
        self._add_domain(NET, (1,) * len(collected))
        self._add_domain(TEACHER, (1,))
        for statistic in sorted(arrangement.domains, key=str):
            self._add(statistic, [c.values[statistic] for c in collected])

    def _add_domain(self, name: str, counts: tuple[int, ...]) -> None:
        self.counts[name] = counts
        self.owner[name] = torch.repeat_interleave(torch.arange(len(counts)), torch.tensor(counts))

    def _add(self, statistic: Statistic, values: list[Tensor | tuple[Tensor, ...]]) -> None:
        kind = kind_of(statistic)
        domain = self._arrangement.domains[statistic]
        if domain in self._arrangement.lists:
            self._add_domain(domain, tuple(len(v) for v in values))
        if domain == TEACHER:
            values = values[:1]
        if kind.axes:
            self._units[statistic] = [
                u for v in values for u in ((v,) if isinstance(v, Tensor) else v)
            ]
        else:
            self.numbers[statistic] = torch.cat([_vector(v) for v in values])

    def is_finite(self, statistic: Statistic) -> bool:
        """Whether every value is finite; looked at once."""
        if statistic not in self._finite:
            units = [self.numbers[statistic]] if statistic in self.numbers else (
                self._units[statistic])  # fmt: skip
            self._finite[statistic] = all(bool(torch.isfinite(u.sum())) for u in units)
        return self._finite[statistic]

    # --- blocks -------------------------------------------------------------------------------

    def blocks(self, domain: str, tier: int, weights: bool = False) -> list[Block]:
        """The blocks that values of a tier are computed in.

        Parameters
        ----------
        weights : bool
            Only weights are read, so that of equal ones the first will do; see `firsts`.
        """
        key = (domain, tier, weights)
        if key not in self._blocks:
            self._blocks[key] = self._cut(*key)
        return self._blocks[key]

    def firsts(self, domain: str) -> Tensor:
        """For each unit the first with equal weights.

        Networks of one seed draw alike until they differ: half of their weights are repetitions.
        """
        if domain not in self._firsts:
            self._firsts[domain] = torch.tensor(_first_equal(self._units[WEIGHTS]))
        return self._firsts[domain]

    def _cut(self, domain: str, tier: int, weights: bool) -> list[Block]:
        """Group units by the shapes of all statistics that may meet here, then cut."""
        single = tier == UNIT or domain == TEACHER
        columns = {
            s: units for s, units in self._units.items()
            if self._arrangement.domains[s] == domain and (single or tier_of([s]) <= tier)
            and (s == WEIGHTS or not weights)
        }  # fmt: skip
        looked_at = range(len(self.owner[domain]))
        groups: dict[tuple[torch.Size, ...], list[int]] = {}
        for unit in self.firsts(domain).unique().tolist() if weights else looked_at:
            groups.setdefault(tuple(c[unit].shape for c in columns.values()), []).append(unit)
        blocks = []
        for shapes, members in groups.items():
            largest = max((shape.numel() for shape in shapes), default=BLOCK)
            step = 1 if single else max(1, BLOCK // max(1, largest))
            for start in range(0, len(members), step):
                piece = members[start : start + step]
                sources = {s: [column[u] for u in piece] for s, column in columns.items()}
                blocks.append(Block(torch.tensor(piece), sources, self._room))
        return blocks

    def entries(self, statistic: Statistic, network: int) -> list[Tensor]:
        """The entries of a layer list of one network."""
        counts = self.counts[self._arrangement.domains[statistic]]
        first = sum(counts[:network])
        return self._units[statistic][first : first + counts[network]]


def _first_equal(units: Units) -> list[int]:
    """For each tensor the place of the first that equals it, value by value."""
    alike: dict[tuple[torch.Size, float], list[int]] = {}
    firsts = []
    for place, unit in enumerate(units):
        before = alike.setdefault((unit.shape, float(unit.sum())), [])
        first = next((other for other in before if torch.equal(units[other], unit)), place)
        if first == place:
            before.append(place)
        firsts.append(first)
    return firsts


def _vector(value: Tensor | tuple[Tensor, ...]) -> Tensor:
    if isinstance(value, tuple):
        raise TypeError("per-layer numbers are one tensor")
    return value.double().reshape(-1)


def _alike(values: Sequence[Tensor | tuple[Tensor, ...]]) -> bool:
    """Whether one tensor stands for all networks."""
    first = values[0]
    return isinstance(first, Tensor) and all(
        v is first or (isinstance(v, Tensor) and torch.equal(v, first)) for v in values
    )

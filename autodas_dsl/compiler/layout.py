"""How the statistics of many networks lie in memory: same-shaped units stacked in blocks.

A domain is a set of units: the layers of all networks (``lin``, ``act``, ``bn``), the networks
(``net``) or the one teacher (``teacher``). Blocks are cache-sized. They depend on what is stored
alone, never on the formulas, on the memory or on other networks' shapes, so that results do not
either. Indices lie beside the statistics, on their device.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import accumulate, pairwise
from typing import Protocol

import torch
from torch import Tensor

from autodas_dsl.compiler.backend import backend_of
from autodas_dsl.compiler.cost import Costs, Entry
from autodas_dsl.compiler.ir import Node
from autodas_dsl.compiler.shelf import loaded
from autodas_dsl.compiler.spectra import SPECTRA
from autodas_dsl.language.inputs import Statistic, kind_of

NET = "net"
TEACHER = "teacher"
WEIGHTS = Statistic("W")
UNIT = 0  # the tier whose blocks hold one unit each
BLOCK = 1 << 17  # values of the largest statistic in a block, which a processor's cache holds
_BLOCK_AWAY = 1 << 24  # on other devices, where fewer operations are to be started
_ALIGNMENT = 64  # bytes; where a slice starts changes the last bits of some results
_SWOLLEN = 8  # times as large as statistics, a value is computed for one unit at a time

Units = list[Tensor]


class Values(Protocol):
    """The statistics of one network (`statistics.collect.Collected`)."""

    @property
    def values(self) -> Mapping[Statistic, Entry]: ...

    @property
    def layers(self) -> Mapping[str, tuple[str, ...]]: ...


class Placement:
    """What a plan must know about the statistics at hand; this one when there are none: domains by
    kind, every statistic finite."""

    def domain(self, statistic: Statistic) -> str:
        """Lists of one kind that differ in length are different domains."""
        layers = kind_of(statistic).layers
        if layers is not None:
            return layers
        return TEACHER if statistic.name.endswith("_t") or statistic.name == "Y" else NET

    def is_finite(self, statistic: Statistic) -> bool:
        """Whether every value of a statistic is known to be finite."""
        return True

    def grows(self, node: Node, sources: Iterable[Node]) -> bool:
        """Whether a value is much larger than the statistics that are read beside it: it has more
        axes than any of them."""
        return len(node.kind.axes) > max((len(s.kind.axes) for s in sources), default=0)


ANYWHERE = Placement()


def tier_of(statistics: Iterable[Statistic]) -> int:
    """Which blocks suit values made of these statistics: those of matrices hold more units than
    those of maps."""
    return max((len(kind_of(s).axes) for s in statistics), default=UNIT)


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
    _kept: dict[tuple[str, Statistic], Tensor] = field(default_factory=dict)

    def tensor(self, statistic: Statistic, spectrum: str = "") -> Tensor:
        """The units' values, stacked along a new first axis; kept while there is room.

        Parameters
        ----------
        spectrum : str
            A key of `SPECTRA`, of matrices: ``[units R]``. Many formulas share this costly step.
        """
        key = (spectrum, statistic)
        if key in self._kept:
            return self._kept[key]
        made = self._made(statistic, spectrum)
        if made.nbytes <= self.room.left:
            self.room.left -= made.nbytes
            self._kept[key] = made
        return made

    def _made(self, statistic: Statistic, spectrum: str) -> Tensor:
        if spectrum:
            return SPECTRA[spectrum](self.tensor(statistic))
        return _stack([loaded(unit) for unit in self.sources[statistic]])


def _stack(units: Units) -> Tensor:
    single = units[0]
    if len(units) == 1 and single.is_contiguous() and single.data_ptr() % _ALIGNMENT == 0:
        return single.unsqueeze(0)
    return torch.stack(units)


def _domains(collected: Sequence[Values]) -> dict[Statistic, str]:
    """The domain of each statistic; all networks must have the same statistics."""
    domains: dict[Statistic, str] = {}
    lists: dict[tuple[str, tuple[int, ...]], str] = {}
    for statistic in sorted(set().union(*(c.values for c in collected)), key=_registration):
        values = [c.values[statistic] for c in collected]
        domain = ANYWHERE.domain(statistic)
        if domain == TEACHER and not _alike(values):
            domain = NET
        if kind_of(statistic).layers:
            domain = _list_domain(statistic, tuple(len(v) for v in values), lists)
        domains[statistic] = domain
    return domains


def _registration(statistic: Statistic) -> tuple[bool, str]:
    """One entry per layer before one per call: the former give a list's domain its name."""
    return statistic.name == "A" or statistic.every, str(statistic)


def _list_domain(
    statistic: Statistic, counts: tuple[int, ...], known: dict[tuple[str, tuple[int, ...]], str]
) -> str:
    """The domain of a layer list; lists of one kind with other lengths get their own."""
    layers = ANYWHERE.domain(statistic)
    if (layers, counts) not in known:
        taken = any(other == layers for other, _ in known)
        known[layers, counts] = re.sub(r"\W+", "_", f"{layers}_{statistic}") if taken else layers
    return known[layers, counts]


class Layout(Placement):
    """The statistics of networks, laid out for evaluation.

    Parameters
    ----------
    collected : sequence of Values
        The teacher's statistics are read from the first.
    memory : int
        Bytes for stacked blocks; those that do not fit are stacked anew at each use.

    Attributes
    ----------
    networks : int
    room : Room
    owner : dict of domain to int64 array [units]
        The network each unit belongs to; units of a network are contiguous and in order.
    bounds : dict of domain to list of (int, int)
        The first unit of each network, and the one after its last.
    numbers : dict of Statistic to float64 array [units]
        Statistics that are numbers, per layer or per network.
    """

    def __init__(self, collected: Sequence[Values], memory: int) -> None:
        self.networks = len(collected)
        self.room = Room(memory)
        self.owner: dict[str, Tensor] = {}
        self.bounds: dict[str, list[tuple[int, int]]] = {}
        self.numbers: dict[Statistic, Tensor] = {}
        self._collected = collected
        self._domains = _domains(collected)
        self._device = _device(collected)
        self._block = BLOCK if self._device.type == "cpu" else _BLOCK_AWAY
        self._units: dict[Statistic, Units] = {}
        self._blocks: dict[tuple[str, int, bool], list[Block]] = {}
        self._firsts: dict[str, Tensor] = {}
        self._lengths: dict[str, list[tuple[Tensor, Tensor]]] = {}
        self._finite: dict[Statistic, bool] = {}
        self._add_domain(NET, [1] * len(collected))
        self._add_domain(TEACHER, [1])
        for statistic in sorted(self._domains, key=str):
            self._add(statistic, [c.values[statistic] for c in collected])

    def _add_domain(self, name: str, counts: Sequence[int]) -> None:
        self.bounds[name] = list(pairwise(accumulate(counts, initial=0)))
        owners = [network for network, count in enumerate(counts) for _ in range(count)]
        self.owner[name] = self._index(owners)

    def _index(self, values: object) -> Tensor:
        return torch.tensor(values, dtype=torch.int64, device=self._device)

    def _add(self, statistic: Statistic, values: list[Entry]) -> None:
        domain = self._domains[statistic]
        if kind_of(statistic).layers:
            self._add_domain(domain, [len(v) for v in values])
        if domain == TEACHER:
            values = values[:1]
        if kind_of(statistic).axes:
            self._units[statistic] = [
                u for v in values for u in ((v,) if isinstance(v, Tensor) else v)
            ]
        else:
            self.numbers[statistic] = torch.cat([_vector(v) for v in values]).to(self._device)

    # --- what a plan must know ----------------------------------------------------------------

    def domain(self, statistic: Statistic) -> str:
        return self._domains[statistic]

    def is_finite(self, statistic: Statistic) -> bool:
        """Looked at once."""
        if statistic not in self._finite:
            units = [self.numbers[statistic]] if statistic in self.numbers else (
                self._units[statistic])  # fmt: skip
            self._finite[statistic] = all(backend_of(u).is_finite(u) for u in map(loaded, units))
        return self._finite[statistic]

    def grows(self, node: Node, sources: Iterable[Node]) -> bool:
        largest = max(map(self.costs.values, sources), default=1)
        return super().grows(node, sources) or self.costs.values(node) > _SWOLLEN * largest

    @cached_property
    def costs(self) -> Costs:
        return Costs(one.values for one in self._collected)

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
            self._firsts[domain] = self._index(_first_equal(self._units[WEIGHTS]))
        return self._firsts[domain]

    def _cut(self, domain: str, tier: int, weights: bool) -> list[Block]:
        """Group units by the shapes of all statistics that may meet here, then cut."""
        single = tier == UNIT or domain == TEACHER
        columns = {
            s: units for s, units in self._units.items()
            if self._domains[s] == domain and (single or tier_of([s]) <= tier)
            and (s == WEIGHTS or not weights)
        }  # fmt: skip
        looked_at = range(len(self.owner[domain]))
        groups: dict[tuple[torch.Size, ...], list[int]] = {}
        for unit in self.firsts(domain).unique().tolist() if weights else looked_at:
            groups.setdefault(tuple(c[unit].shape for c in columns.values()), []).append(unit)
        blocks = []
        for shapes, members in groups.items():
            largest = max((shape.numel() for shape in shapes), default=BLOCK)
            step = 1 if single else max(1, self._block // max(1, largest))
            for start in range(0, len(members), step):
                piece = members[start : start + step]
                sources = {s: [column[u] for u in piece] for s, column in columns.items()}
                blocks.append(Block(self._index(piece), sources, self.room))
        return blocks

    # --- layer lists --------------------------------------------------------------------------

    def entries(self, statistic: Statistic, network: int) -> list[Tensor]:
        """The entries of a layer list of one network."""
        first, end = self.bounds[self._domains[statistic]][network]
        return [loaded(unit) for unit in self._units[statistic][first:end]]

    def of_length(self, domain: str) -> list[tuple[Tensor, Tensor]]:
        """Networks with equally many layers: which, and their units ``[networks layers]``."""
        if domain not in self._lengths:
            members: dict[int, list[int]] = {}
            for network, (first, end) in enumerate(self.bounds[domain]):
                members.setdefault(end - first, []).append(network)
            self._lengths[domain] = [
                (self._index(own), self._index([range(*self.bounds[domain][n]) for n in own]))
                for length, own in sorted(members.items())
                if length
            ]
        return self._lengths[domain]


def _device(collected: Sequence[Values]) -> torch.device:
    """Where the statistics lie; numbers may lie elsewhere, as they are small."""
    tensors = (v if isinstance(v, Tensor) else v[0] for c in collected[:1]
               for s, v in c.values.items() if kind_of(s).axes and len(v))  # fmt: skip
    return next((loaded(tensor).device for tensor in tensors), torch.device("cpu"))


def _first_equal(units: Units) -> list[int]:
    """For each tensor the place of the first that equals it, value by value."""
    alike: dict[tuple[torch.Size, float], list[int]] = {}
    firsts = []
    for place, unit in enumerate(map(loaded, units)):
        before = alike.setdefault((unit.shape, float(unit.sum())), [])
        first = next((other for other in before if torch.equal(loaded(units[other]), unit)), place)
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

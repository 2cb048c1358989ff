"""How the statistics of many networks lie in memory: same-shaped units stacked in buckets.

A unit is one layer of one network (domains ``lin``, ``act``, ``bn``) or one network (``net``).
Blocks cut buckets into cache-sized pieces; they depend on what is stored alone, never on the
formulas, so that results do not either.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from autodas_dsl.compiler.interpret import Values
from autodas_dsl.language.inputs import Statistic, kind_of
from autodas_dsl.language.kinds import LISTS

BLOCK = 1 << 18  # values of the largest statistic in a block
NET = "net"


@dataclass(frozen=True)
class Block:
    """Units of one shape.

    `units` are flat indices into the domain; `tensors` have the units as leading axis, of size 1
    where all units share one value.
    """

    units: Tensor
    tensors: dict[Statistic, Tensor]


@dataclass(frozen=True)
class Layout:
    """Statistics of `networks` networks.

    Parameters
    ----------
    networks : int
    owner : dict of domain to int64 array [units]
        The network each unit belongs to; units of a network are contiguous and in order.
    counts : dict of domain to tuple of int
        Units of each network.
    blocks : dict of domain to tuple of Block
    numbers : dict of Statistic to float64 array [units]
        Statistics that are numbers, per layer or per network.
    """

    networks: int
    owner: dict[str, Tensor]
    counts: dict[str, tuple[int, ...]]
    blocks: dict[str, tuple[Block, ...]]
    numbers: dict[Statistic, Tensor] = field(default_factory=dict)


def build_layout(collected: Sequence[Values]) -> Layout:
    """Lay the statistics of networks out for evaluation.

    Parameters
    ----------
    collected : sequence of Values
        All with the same statistics. Tensors that are one object in all networks (the teacher's)
        are stored once.
    """
    names = sorted(set().union(*(c.values for c in collected)), key=str)
    domains = sorted({kind_of(s).layers or NET for s in names} | {NET})
    owner: dict[str, Tensor] = {}
    counts: dict[str, tuple[int, ...]] = {}
    blocks: dict[str, tuple[Block, ...]] = {}
    for domain in domains:
        counts[domain] = tuple(_count(c, domain) for c in collected)
        repeats = torch.tensor(counts[domain])
        owner[domain] = torch.repeat_interleave(torch.arange(len(collected)), repeats)
        tensors = [s for s in names if (kind_of(s).layers or NET) == domain and kind_of(s).axes]
        blocks[domain] = tuple(_blocks(collected, domain, tensors))
    numbers = {
        s: torch.cat([_vector(c.values[s]) for c in collected])
        for s in names if not kind_of(s).axes
    }  # fmt: skip
    return Layout(len(collected), owner, counts, blocks, numbers)


def _count(collected: Values, domain: str) -> int:
    if domain == NET:
        return 1
    lists = [v for s, v in collected.values.items() if kind_of(s).layers == domain]
    return len(lists[0]) if lists else 0


def _vector(value: Tensor | tuple[Tensor, ...]) -> Tensor:
    if isinstance(value, tuple):
        raise TypeError("per-layer numbers are one tensor")
    return value.double().reshape(-1)


def _units(collected: Values, domain: str, statistic: Statistic) -> list[Tensor]:
    value = collected.values[statistic]
    if isinstance(value, tuple):
        return list(value)
    return [value] if domain == NET else list(value.unbind(0))


def _blocks(collected: Sequence[Values], domain: str, statistics: list[Statistic]) -> list[Block]:
    """Group units by the shapes of all their statistics, then cut into blocks."""
    if domain in LISTS and not statistics:
        return []
    columns = [[u for c in collected for u in _units(c, domain, s)] for s in statistics]
    total = len(columns[0]) if columns else len(collected)
    groups: dict[tuple[tuple[int, ...], ...], list[int]] = {}
    for unit in range(total):
        groups.setdefault(tuple(tuple(col[unit].shape) for col in columns), []).append(unit)
    blocks = []
    for shapes, units in groups.items():
        largest = max((torch.Size(shape).numel() for shape in shapes), default=1)
        step = max(1, BLOCK // max(1, largest))
        for start in range(0, len(units), step):
            piece = units[start : start + step]
            tensors = {
                s: _stack([col[u] for u in piece])
                for s, col in zip(statistics, columns, strict=True)
            }
            blocks.append(Block(torch.tensor(piece), tensors))
    return blocks


def _stack(units: list[Tensor]) -> Tensor:
    if len(units) == 1 or all(unit is units[0] for unit in units):
        return units[0].unsqueeze(0)
    return torch.stack(units)

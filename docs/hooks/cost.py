"""What scoring one network with a formula costs in passes, from the entries of its statistics."""

from __future__ import annotations

from collections import Counter, defaultdict
from enum import IntEnum

from autodas_dsl.language.inputs import INPUTS
from autodas_dsl.language.proxy import Proxy
from autodas_dsl.statistics.collect import belongs_to_teacher
from autodas_dsl.statistics.collectors import collector_of

FREE = ("none", "one meta forward")
FORWARD, BACKWARD = "forward", "forward and backward"
"""Costs as the table of statistics says them, the cheapest first; there are dearer ones."""


class Budget(IntEnum):
    """What may be run of a network before it is scored."""

    NOTHING = 0
    FORWARD = 1
    BACKWARD = 2
    MORE = 3

    @property
    def words(self) -> str:
        return ("nothing is run", "a forward pass", "forward and backward", "more passes")[self]


def budget(proxy: Proxy) -> Budget:
    """The least budget that pays for a formula, a pass of the teacher left out."""
    costs = list(_student(proxy).elements())
    if not costs:
        return Budget.NOTHING
    if len(costs) > 1:
        return Budget.MORE
    return {FORWARD: Budget.FORWARD, BACKWARD: Budget.BACKWARD}.get(costs[0], Budget.MORE)


def in_words(proxy: Proxy) -> str:
    """``2 × forward, the teacher's forward``: one item for each kind of pass."""
    items = [f"{n} × {cost}" if n > 1 else cost for cost, n in _student(proxy).items()]
    items += [f"the teacher's {cost}" for cost in _passes(proxy, teacher=True)]
    return ", ".join(items) or Budget.NOTHING.words


def reads_teacher(proxy: Proxy) -> bool:
    return any(belongs_to_teacher(statistic) for statistic in proxy.typed().statistics)


def _student(proxy: Proxy) -> Counter[str]:
    return _passes(proxy, teacher=False)


def _passes(proxy: Proxy, teacher: bool) -> Counter[str]:
    """Passes of one network by their cost: statistics of one probe share a pass, the dearest of
    them is what it costs."""
    groups: defaultdict[str, set[str]] = defaultdict(set)
    for statistic in proxy.typed().statistics:
        if belongs_to_teacher(statistic) == teacher:
            shared = collector_of(statistic).shares_pass
            group = statistic.probe if shared else str(statistic)
            groups[group].add(INPUTS[statistic.base].needs)
    found = (max(costs, key=_dearness) for costs in groups.values())
    return Counter(sorted(cost for cost in found if cost not in FREE))


def _dearness(cost: str) -> int:
    known = (*FREE, FORWARD, BACKWARD)
    return known.index(cost) if cost in known else len(known)

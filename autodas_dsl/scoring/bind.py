"""Requirements of a formula against the sizes that two networks really have."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from autodas_dsl.language.inputs import kind_of
from autodas_dsl.language.kinds import Requirement, Size
from autodas_dsl.statistics.collect import Collected

_OWNERS = {"s": "student", "t": "teacher"}


@dataclass(frozen=True)
class Sizes:
    """What size symbols stand for in one student and its teacher.

    Parameters
    ----------
    single : dict of str to int
    layered : dict of str to list of int
        Symbols of layer lists, their value in every layer.
    """

    single: dict[str, int] = field(default_factory=dict)
    layered: dict[str, list[int]] = field(default_factory=dict)

    def of(self, size: Size, layer: int | None = None) -> int | None:
        """The number behind a size, or None where it reads a statistic that was not collected."""
        known = dict(self.single)
        if layer is not None:
            known |= {name: values[layer] for name, values in self.layered.items()
                      if layer < len(values)}  # fmt: skip
        try:
            return size.evaluate(known, self.layered)
        except KeyError:
            return None

    def layers(self, size: Size) -> int:
        return max((len(self.layered[n]) for n in size.symbols() if n in self.layered), default=0)


def sizes_of(collected: Collected) -> Sizes:
    """What each size symbol stands for."""
    found = Sizes()
    for statistic, value in collected.values.items():
        kind = kind_of(statistic)
        for place, axis in enumerate(kind.axes):
            if axis.size.op != "symbol":
                continue
            name = str(axis.size)
            if isinstance(value, tuple):
                found.layered[name] = [entry.shape[place] for entry in value]
                if name == "B":
                    found.single[name] = value[0].shape[place]
            else:
                found.single[name] = value.shape[place]
    return found


def unmet(requirements: Iterable[Requirement], sizes: Sizes) -> str:
    """Why a formula does not fit these networks; empty when it does.

    Returns
    -------
    str
        Such as ``requires C_s = C_t: student has 64, teacher 256; use align([F_s, F_t])``.
    """
    for requirement in requirements:
        reason = _violated(requirement, sizes)
        if reason:
            return reason
    return ""


def _violated(requirement: Requirement, sizes: Sizes) -> str:
    count = max(sizes.layers(requirement.left), sizes.layers(requirement.right))
    for layer in range(count) if requirement.layers else [None]:
        left = sizes.of(requirement.left, layer)
        right = sizes.of(requirement.right, layer)
        if left is None or right is None:
            return f"requires {requirement}, which these statistics do not show"
        if left != right:
            return _explain(requirement, left, right, layer)
    return ""


def _explain(requirement: Requirement, left: int, right: int, layer: int | None) -> str:
    sides = [_owner(requirement.left), _owner(requirement.right)]
    if sides == ["student", "teacher"] or sides == ["teacher", "student"]:
        maps = requirement.left.symbols() | requirement.right.symbols()
        advice = "; use align([F_s, F_t])" if any(m[:1] in "CHW" for m in maps) else ""
        return f"requires {requirement}: {sides[0]} has {left}, {sides[1]} {right}{advice}"
    where = f" in layer {layer + 1}" if layer is not None else ""
    return f"requires {requirement}: {left} is not {right}{where}"


def _owner(size: Size) -> str:
    owners = {_OWNERS.get(name.partition("[")[0][-2:].lstrip("_"), "") for name in size.symbols()}
    return owners.pop() if len(owners) == 1 else ""

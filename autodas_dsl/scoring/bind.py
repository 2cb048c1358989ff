"""Requirements of a formula against the sizes that two networks really have."""

from __future__ import annotations

from collections.abc import Iterable

from autodas_dsl.language.inputs import kind_of
from autodas_dsl.language.kinds import Requirement, Size
from autodas_dsl.statistics.collect import Collected

_OWNERS = {"s": "student", "t": "teacher"}
_BY_LAYER = "\0"


def sizes_of(collected: Collected) -> dict[str, int]:
    """What each size symbol stands for; symbols of layer lists are keyed by layer too."""
    found: dict[str, int] = {}
    for statistic, value in collected.values.items():
        kind = kind_of(statistic)
        entries = value if isinstance(value, tuple) else (value,)
        if not kind.axes:
            continue
        for layer, tensor in enumerate(entries):
            for axis, length in zip(kind.axes, tensor.shape, strict=True):
                if axis.size.op == "symbol":
                    place = f"{_BY_LAYER}{layer}" if kind.layers else ""
                    found[f"{axis.size}{place}"] = length
    return found


def unmet(requirements: Iterable[Requirement], sizes: dict[str, int]) -> str:
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


def _violated(requirement: Requirement, sizes: dict[str, int]) -> str:
    layers = _layer_count(requirement, sizes) if requirement.layers else None
    for layer in range(layers) if layers is not None else [None]:
        left = _evaluate(requirement.left, sizes, layer)
        right = _evaluate(requirement.right, sizes, layer)
        if left is not None and right is not None and left != right:
            return _explain(requirement, left, right, layer)
    return ""


def _layer_count(requirement: Requirement, sizes: dict[str, int]) -> int:
    symbols = requirement.left.symbols() | requirement.right.symbols()
    layers = [int(k.partition(_BY_LAYER)[2]) for k in sizes
              if _BY_LAYER in k and k.partition(_BY_LAYER)[0] in symbols]  # fmt: skip
    return max(layers, default=-1) + 1


def _evaluate(size: Size, sizes: dict[str, int], layer: int | None) -> int | None:
    """The number, or None where a symbol belongs to no collected statistic."""
    known = {}
    for name in size.symbols():
        key = name if name in sizes else f"{name}{_BY_LAYER}{layer}"
        if key not in sizes:
            return None
        known[name] = sizes[key]
    return size.evaluate(known)


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

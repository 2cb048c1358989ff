"""A slow and obvious evaluator, the oracle: one network, one node after the other, no fusing."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache

import torch
from torch import Tensor

from autodas_dsl.compiler import kernels
from autodas_dsl.compiler.cost import Entry
from autodas_dsl.compiler.emit import SCOPE, aligned_index, source_kind, text_of
from autodas_dsl.compiler.ir import (
    LIST_OPERATORS,
    Node,
    hides,
    is_join,
    removes_level,
    topological,
)
from autodas_dsl.compiler.layout import Values
from autodas_dsl.compiler.outcome import Invalid, NotFinite, ShapeMismatch
from autodas_dsl.compiler.reading import reading
from autodas_dsl.compiler.shelf import loaded
from autodas_dsl.language.foreign import is_out_of_memory
from autodas_dsl.language.inputs import Statistic
from autodas_dsl.language.kinds import LISTS, Kind
from autodas_dsl.language.operators import OPERATORS

__all__ = ["Entry", "Invalid", "NotFinite", "ShapeMismatch", "Values", "evaluate", "interpret"]


def interpret(root: Node, collected: Values) -> float:
    """The score of one formula on one network.

    Raises
    ------
    NotFinite
        When the score is invalid.
    """
    try:
        value = float(_single(evaluate(root, collected)))
    except NotFinite:
        value = float(_single(evaluate(root, collected, strict=False)))
        if not math.isfinite(value):
            raise
    if not math.isfinite(value):
        raise NotFinite(root, "", value)
    return value


@dataclass(frozen=True)
class _Nothing:
    """The statistics of no network."""

    values: Mapping[Statistic, Entry] = field(default_factory=dict)
    layers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def constant(root: Node) -> float:
    """The value of a node below which there is no statistic; NaN where it is invalid."""
    try:
        return float(_single(evaluate(root, _Nothing())))
    except NotFinite:
        return math.nan


def evaluate(root: Node, collected: Values, *, strict: bool = True) -> Entry:
    """The value of any node: a tensor, or one per layer.

    Parameters
    ----------
    strict : bool
        Raise at the first value that is not finite where a level is removed; else it is NaN, which
        1^x and x^0 make 1.

    Raises
    ------
    NotFinite
    """
    done: dict[Node, Entry] = {}
    root = reading(root, collected.values)
    for node in topological([root]):
        blame = _Blame(node, collected, done) if strict else None
        done[node] = _value(node, [done[arg] for arg in node.args], collected, blame)
    return done[root]


def _value(node: Node, args: list[Entry], collected: Values, blame: _Blame | None) -> Entry:
    if node.op == "number":
        return torch.tensor(node.value, dtype=torch.float64)
    if node.op == "stat":
        value = collected.values[node.statistic]
        if isinstance(value, tuple):
            return tuple(map(loaded, value))
        return loaded(value) if node.kind.axes else value.double()
    if node.op in OPERATORS and OPERATORS[node.op].sees_population:
        raise Invalid(f"`{node.op}` needs other networks to compare with")
    count = _entries(node, args)
    if node.op in LIST_OPERATORS:
        return _list_operator(node, args[0], blame)
    layers = _widest_list(node)
    if layers is None:
        return _apply(node, [_single(arg) for arg in args], blame, 0)
    if all(not arg.kind.axes for arg in node.args):  # over the layers, or of the layer list
        return _apply(node, [_single(arg) for arg in args], blame, None)
    units = [[_unit(arg, k.kind, i) for arg, k in zip(args, node.args, strict=True)]
             for i in range(count)]  # fmt: skip
    results = tuple(_apply(node, unit, blame, i) for i, unit in enumerate(units))
    return results if node.kind.axes else torch.stack(results)


def _entries(node: Node, args: list[Entry]) -> int:
    """How many layers a node works through."""
    counts = [len(a) for a, own in zip(args, node.args, strict=True) if own.kind.layers]
    if len(set(counts)) > 1:
        shown = " and ".join(map(str, counts))
        raise ShapeMismatch(
            node,
            f"combines layer lists of {shown} entries; a layer that is used more than once has "
            "one weight and several outputs",
        )
    if counts and not counts[0]:
        layers = next(own.kind.layers for own in node.args if own.kind.layers)
        raise ShapeMismatch(node, f"needs a layer list; this network has no {LISTS[layers]}")
    return counts[0] if counts else 0


def _widest_list(node: Node) -> str | None:
    """The layer list that a node works through entry by entry, if any."""
    return next((arg.kind.layers for arg in node.args if arg.kind.layers), None)


def _unit(value: Entry, kind: Kind, layer: int) -> Tensor:
    if isinstance(value, tuple) or kind.layers:
        return value[layer]
    return value


def _single(value: Entry) -> Tensor:
    if isinstance(value, tuple):
        raise TypeError("a layer list where one value was expected")
    return value


def _list_operator(node: Node, value: Entry, blame: _Blame | None) -> Entry:
    if isinstance(value, Tensor):
        if blame:
            blame.check(value, 0)
        elif not bool(torch.isfinite(value).all()):
            return value.new_tensor(math.nan)
        return value[0 if node.op == "first" else -1] if node.op != "total" else value.sum()
    if node.op == "total" and len({tuple(v.shape) for v in value}) > 1:
        raise ShapeMismatch(
            node, "adds layers of one shape; the layers of this network have different shapes"
        )
    result = getattr(kernels, node.op)(value)
    return result if isinstance(result, Tensor) else _single(result)


def _apply(node: Node, args: list[Tensor], blame: _Blame | None, layer: int | None) -> Tensor:
    """One unit: spread the arguments by axis name, apply, test finiteness.

    Without a layer, numbers of all layers at once.
    """
    if blame and hides(node):
        for arg in args:
            entries = enumerate(arg.reshape(-1)) if layer is None else [(layer, arg)]
            for place, entry in entries:
                blame.check(entry, place)
    try:
        result = operation(node)(*_spread(node, args))
    except RuntimeError as error:
        if is_out_of_memory(error):
            raise
        shapes = ", ".join(str(list(arg.shape)) for arg in args)
        message = str(error).partition("\n")[0]
        raise ShapeMismatch(node, f"does not fit {shapes}: {message}") from error
    if blame is None:
        return _with_nan(node, result, args)
    if removes_level(node):
        blame.check(result, layer or 0)
        return result.double()
    return result


def _with_nan(node: Node, result: Tensor, args: list[Tensor]) -> Tensor:
    """NaN where an argument is not finite and the operator would not show it, or a level goes."""
    if hides(node):
        for arg, own in zip(args, node.args, strict=True):
            axes = 1 if is_join(node) else len(own.kind.axes)
            result = kernels.or_nan(result, arg, len(node.kind.axes), axes)
    return kernels.finite(result).double() if removes_level(node) else result


def _spread(node: Node, args: list[Tensor]) -> list[Tensor]:
    if node.op not in OPERATORS or len(args) != 2 or OPERATORS[node.op].is_distance:
        return args
    if OPERATORS[node.op].signature not in ("x, y -> x", "x, y -> dot"):
        return args
    wide = source_kind(node)
    out = []
    for arg, own in zip(args, node.args, strict=True):
        index = aligned_index(own.kind, wide) if own.kind.axes else ""
        out.append(eval(f"a{index}", {"a": arg}) if index else arg)
    return out


@lru_cache(maxsize=4096)
def operation(node: Node) -> Callable[..., Tensor]:
    names = [f"a{i}" for i in range(len(node.args))]
    operation: Callable[..., Tensor] = eval(
        f"lambda {', '.join(names)}: {text_of(node, names)}", dict(SCOPE)
    )
    return operation


class _Blame:
    """Finds the operator that first gave a value that is not finite."""

    def __init__(self, node: Node, collected: Values, done: dict[Node, Entry]) -> None:
        self.node, self.collected, self.done = node, collected, done

    def check(self, value: Tensor, layer: int) -> None:
        if bool(torch.isfinite(value).all()):
            return
        culprit = self._search(layer)
        bad = value[~torch.isfinite(value)].flatten()[0] if value.dim() else value
        layers = _widest_list(self.node)
        names = self.collected.layers.get(layers, ()) if layers else ()
        name = (
            names[layer] if any(a.kind.axes for a in self.node.args) and layer < len(names) else ""
        )
        raise NotFinite(culprit, name, bad.item())

    def _search(self, layer: int) -> Node:
        """Down the arguments to the deepest node whose value at this layer is not finite."""
        node = self.node
        while True:
            for arg in node.args:
                if arg in self.done and not _is_finite(self.done[arg], arg.kind, layer):
                    node = arg
                    break
            else:
                return node


def _is_finite(value: Entry, kind: Kind, layer: int) -> bool:
    if isinstance(value, tuple):
        return bool(torch.isfinite(value[layer]).all()) if layer < len(value) else True
    return bool(torch.isfinite(value).all())

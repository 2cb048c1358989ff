"""The torch text of one node: its operator's template with dimensions and attributes filled in."""

from __future__ import annotations

import math
from typing import Any

from autodas_dsl.compiler.ir import Node
from autodas_dsl.compiler.places import Places
from autodas_dsl.language.kinds import REST, Kind
from autodas_dsl.language.operators import OPERATORS, Operator, axis_dims, reduced_axes

INTERNAL = {"flat": "{0}.flatten(-2)", "unflat": "{0}.view_as({1})"}
SPECTRAL = {
    "svdvals": ("singular", "{0}"),
    "norm_nuc": ("singular", "torch.sum({0}, -1)"),
    "rank": ("singular", "kernels.rank_from({0}, {1})"),
    "eigvals": ("eigen", "{0}"),
    "erank": ("eigen", "kernels.erank_from({0})"),
    "cond": ("eigen", "kernels.cond_from({0})"),
}
"""Operators made of singular values or eigenvalues: which, and the text over them ({1}: the matrix)."""

LIST_OPERATORS = frozenset({"concat", "first", "last", "total"})


def text_of(node: Node, args: list[str]) -> str:
    """The torch expression of a node over the given argument texts.

    Arguments of elementwise operators must already broadcast by position.
    """
    if node.op in INTERNAL:
        return INTERNAL[node.op].format(*args)
    entry = OPERATORS[node.op]
    return entry.torch.format(*args, **_fields(entry, node))


def spectrum_read(node: Node) -> str:
    """Which spectrum of a statistic a node is made of; those are worth keeping.

    Of eigenvalues only where the statistic is square by its kind: others may fail, and the failure
    belongs to the operator.
    """
    if node.op not in SPECTRAL or node.args[0].op != "stat":
        return ""
    which, _ = SPECTRAL[node.op]
    rows, columns = node.args[0].kind.axes
    return "" if which == "eigen" and rows.size != columns.size else which


def removes_level(node: Node) -> bool:
    """A number whose argument is no number: where finiteness is tested."""
    return bool(node.args) and not node.kind.axes and any(
        a.kind.axes or (a.kind.layers and not node.kind.layers) for a in node.args
    )  # fmt: skip


def hides(node: Node) -> bool:
    return node.op in OPERATORS and OPERATORS[node.op].hides


_KEEP_FINITE = frozenset(
    {"abs", "neg", "sign", "relu", "leaky_relu", "sigmoid", "tanh", "flat", "unflat", "softmax"}
)


def surely_finite(node: Node, places: Places) -> bool:
    """Finite whatever the networks are: a finite statistic under operators that keep it so."""
    while node.op in _KEEP_FINITE:
        node = node.args[0]
    return node.op == "stat" and places.is_finite(node.statistic)


def source_kind(node: Node) -> Kind:
    """The kind that dimensions of a node count in: that of its widest argument."""
    return max((arg.kind for arg in node.args), key=lambda kind: len(kind.axes))


def _fields(entry: Operator, node: Node) -> dict[str, Any]:
    kind = source_kind(node)
    values = entry.values(node.attrs)
    fields: dict[str, Any] = {k: _plain(v) for k, v in values.items() if k != "axis"}
    word = str(values.get("axis", ""))
    if entry.aligns:
        return {**fields, "axis": repr(word)}
    fields["ndim"] = len(kind.axes)
    if entry.is_distance:
        fields["ndim"], fields["other_ndim"] = (len(arg.kind.axes) for arg in node.args)
    if entry.is_reduction:
        # a layer list is one dimension of numbers, the networks' dimension being taken apart
        gone = reduced_axes(kind, values)
        fields["dims"] = _dims(kind, gone) if kind.axes else (-1,)
        return fields
    fields["dims"] = _dims(kind, kind.names) if kind.axes else (-1,)
    if word:
        fields["axis"] = _dims(kind, axis_dims(kind, word))[0]
    elif entry.is_distance and "C" in kind.names:
        fields["axis"] = _dims(kind, ("C",))[0]
    if entry.is_distance and "axis" in fields:
        along = kind.names[fields["axis"]]
        fields["others"] = _dims(kind, tuple(n for n in kind.names if n != along))
        fields["positions"] = _dims(kind, tuple(n for n in kind.names if n in REST))
        fields["samples"] = _dims(kind, tuple(n for n in kind.names if n not in (along, *REST)))
    return fields


def _plain(value: str | float) -> object:
    if isinstance(value, float) and value == int(value) and math.isfinite(value):
        return int(value)
    return value


def _dims(kind: Kind, names: tuple[str, ...]) -> tuple[int, ...]:
    return tuple(kind.names.index(name) - len(kind.axes) for name in names)


def aligned_index(kind: Kind, result: Kind) -> str:
    """The index that spreads a narrower value over a result's axes; empty where none is needed."""
    if kind.names == result.names:
        return ""
    slots = [":" if name in kind.names else "None" for name in result.names]
    return f"[..., {', '.join(slots)}]"

"""Stages to Python: plain text over ``torch.*`` that a person can read and a traceback can show."""

from __future__ import annotations

import linecache
import math
import re
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import torch

from autodas_dsl.compiler import kernels
from autodas_dsl.compiler.ir import Node, hides, is_join
from autodas_dsl.compiler.layout import Placement
from autodas_dsl.compiler.plan import Stage
from autodas_dsl.compiler.spectra import SPECTRAL
from autodas_dsl.compiler.user import USER
from autodas_dsl.language.kinds import REST, Kind
from autodas_dsl.language.operators import OPERATORS, Operator, axis_dims, reduced_axes

SCOPE: Mapping[str, Any] = {"torch": torch, "kernels": kernels, "math": math, "user": USER}
"""What emitted text may name."""

_INTERNAL = {"flat": "{0}.flatten(-2)", "unflat": "{0}.view_as({1})"}
_UNITES = ("x, y -> x", "x, y -> dot")
_JOINED = {"first": "{0}[..., 0]", "last": "{0}[..., -1]", "total": "torch.sum({0}, -1)"}


class Names:
    """Variable names of nodes, the same in all stages of one program."""

    def __init__(self) -> None:
        self._names: dict[Node, str] = {}
        self._counts: Counter[str] = Counter()

    def __getitem__(self, node: Node) -> str:
        if node not in self._names:
            self._names[node] = self._new(node)
        return self._names[node]

    def _new(self, node: Node) -> str:
        if node.op == "stat":
            text = str(node.statistic).replace("-", "").replace("=", "")
            return re.sub(r"\W+", "_", text).strip("_")
        letter = "t" if node.kind.axes else "n"
        self._counts[letter] += 1
        return f"{letter}{self._counts[letter]}"


def _read(which: str, name: str) -> str:
    return f"{which}_{name}" if which else name


def emit(stage: Stage, names: Names, values: Mapping[Node, float], placement: Placement) -> str:
    """The source of one stage.

    Parameters
    ----------
    values : mapping
        Values of nodes that no statistic enters.
    placement : Placement
        Knows which statistics are finite: operators that hide what is not need not look at them.
    """
    writer = _Writer(stage, names, values, placement)
    lines = _with_deletions(stage, names, [writer.line(node) for node in stage.nodes])
    params = ["per_network", "per_layer"] if stage.form == "numbers" else []
    params += [_read(which, names[node]) for which, node in stage.reads]
    params += [names[node] for node in stage.imports]
    exported = ", ".join(names[node] for node in stage.exports)
    tail = "," if len(stage.exports) == 1 else ""
    return "\n".join(
        [f"def {stage.name}({', '.join(params)}):", *(f"    {line}" for line in lines),
         f"    return {exported}{tail}"]
    )  # fmt: skip


def _with_deletions(stage: Stage, names: Names, lines: list[str]) -> list[str]:
    last: dict[Node, int] = {}
    for number, node in enumerate(stage.nodes):
        for arg in node.args:
            last[arg] = number
    own = set(stage.nodes) - set(stage.exports)
    dying: dict[int, list[str]] = {}
    for node, number in last.items():
        if node in own and node.kind.axes:
            dying.setdefault(number, []).append(names[node])
    out = []
    for number, line in enumerate(lines):
        out.append(line)
        if number in dying:
            out.append(f"del {', '.join(dying[number])}")
    return out


class _Writer:
    def __init__(
        self, stage: Stage, names: Names, constants: Mapping[Node, float], placement: Placement
    ) -> None:
        self.stage, self.names = stage, names
        self.constants, self.placement = constants, placement

    def line(self, node: Node) -> str:
        if self.stage.form == "gather":
            text = text_of(node, [self.names[node.args[0]]])
        elif is_join(node):
            text = self._join(node)
        elif node.op in SPECTRAL and (SPECTRAL[node.op][0], node.args[0]) in self.stage.reads:
            which, template = SPECTRAL[node.op]
            own = self.names[node.args[0]]
            text = template.format(_read(which, own), own)
        else:
            arguments = self._layered if self.stage.form == "numbers" else self._spread
            text = self._guarded(node, text_of(node, arguments(node)))
        return f"{self.names[node]} = {text}"

    def _join(self, node: Node) -> str:
        """The reduction of layer lists, as a function of the numbers of one network."""
        own = ["v"] if len(node.args) == 1 else [f"v{i + 1}" for i in range(len(node.args))]
        inner = _JOINED[node.op].format("v") if node.op in _JOINED else text_of(node, own)
        if hides(node):
            for name in own:
                inner = f"kernels.or_nan({inner}, {name}, 0, 1)"
        domain = self.stage.domains[node.args[0]]
        lists = ", ".join(self.names[arg] for arg in node.args)
        return f'kernels.finite(per_network("{domain}", lambda {", ".join(own)}: {inner}, {lists}))'

    def _guarded(self, node: Node, text: str) -> str:
        """NaN where an argument is not finite and the operator would not show it."""
        if hides(node):
            for arg in node.args:
                if arg not in self.constants and not surely_finite(arg, self.placement):
                    ndims = f"{len(node.kind.axes)}, {len(arg.kind.axes)}"
                    text = f"kernels.or_nan({text}, {self.names[arg]}, {ndims})"
        return text

    def _layered(self, node: Node) -> list[str]:
        """Arguments of an operation on numbers, one per layer where the result is."""
        texts = []
        for arg in node.args:
            name = self._constant(node, arg) or self.names[arg]
            if node.kind.layers and arg not in self.constants and not arg.kind.layers:
                name = f'per_layer("{self.stage.domains[node]}", {name})'
            texts.append(name)
        return texts

    def _constant(self, node: Node, arg: Node) -> str:
        if arg not in self.constants:
            return ""
        literal = _literal(self.constants[arg])
        return (
            literal if OPERATORS[node.op].infix else f"torch.tensor({literal}, dtype=torch.float64)"
        )

    def _spread(self, node: Node) -> list[str]:
        """Arguments of an operation on tensors, shaped to broadcast by position."""
        unites = node.op in OPERATORS and OPERATORS[node.op].signature in _UNITES
        wide = source_kind(node)
        texts = []
        for arg in node.args:
            name = self.names[arg] if arg not in self.constants else self._constant(node, arg)
            if unites and arg not in self.constants and not arg.kind.axes:
                like = next(a for a in node.args if a.kind.axes)
                name = f"kernels.spread({name}, {self.names[like]}, {len(wide.axes)})"
            elif unites and arg.kind.axes:
                name += aligned_index(arg.kind, wide)
            texts.append(name)
        return texts


def _literal(value: float) -> str:
    if math.isnan(value):
        return "math.nan"
    if math.isinf(value):
        return "math.inf" if value > 0 else "-math.inf"
    return repr(int(value)) if value == int(value) and abs(value) < 2**53 else repr(value)


def load(source: str, filename: str) -> dict[str, Callable[..., Any]]:
    """Run emitted source; a traceback then shows its lines.

    Returns
    -------
    dict
        Function name to function.
    """
    scope = dict(SCOPE)
    exec(compile(source, filename, "exec"), scope)
    linecache.cache[filename] = (len(source), None, source.splitlines(True), filename)
    return scope


# --- one node -------------------------------------------------------------------------------------


def text_of(node: Node, args: list[str]) -> str:
    """The torch expression of a node over the given argument texts.

    Arguments of elementwise operators must already broadcast by position.
    """
    if node.op in _INTERNAL:
        return _INTERNAL[node.op].format(*args)
    entry = OPERATORS[node.op]
    return entry.torch.format(*args, **_fields(entry, node))


_KEEP_FINITE = frozenset(
    {"abs", "neg", "sign", "relu", "leaky_relu", "sigmoid", "tanh", "flat", "unflat", "softmax"}
)


def surely_finite(node: Node, placement: Placement) -> bool:
    """Finite whatever the networks are: a finite statistic under operators that keep it so."""
    while node.op in _KEEP_FINITE:
        node = node.args[0]
    return node.op == "stat" and placement.is_finite(node.statistic)


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

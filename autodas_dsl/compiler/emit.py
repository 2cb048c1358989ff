"""Steps to Python: plain text over ``torch.*`` that a person can read and a traceback can show."""

from __future__ import annotations

import linecache
import math
import re
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import torch

from autodas_dsl.compiler import kernels
from autodas_dsl.compiler.ir import Node
from autodas_dsl.compiler.places import Places
from autodas_dsl.compiler.plan import Step, is_join
from autodas_dsl.compiler.templates import (
    SPECTRAL,
    aligned_index,
    hides,
    source_kind,
    surely_finite,
    text_of,
)
from autodas_dsl.compiler.user import USER
from autodas_dsl.language.operators import OPERATORS

_UNITES = ("x, y -> x", "x, y -> dot")
_JOINED = {"first": "{0}[..., 0]", "last": "{0}[..., -1]", "total": "torch.sum({0}, -1)"}


class Names:
    """Variable names of nodes, the same in all steps of one program."""

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


def _spectrum(which: str, name: str) -> str:
    return f"{which}_{name}"


def emit(step: Step, names: Names, values: Mapping[Node, float], places: Places) -> str:
    """The source of one step.

    Parameters
    ----------
    values : mapping
        Values of nodes that no statistic enters.
    places : Places
        Knows which statistics are finite: operators that hide what is not need not look at them.
    """
    writer = _Writer(step, names, values, places)
    lines = _with_deletions(step, names, [writer.line(node) for node in step.nodes])
    params = [names[n] for n in step.stats]
    params += [_spectrum(which, names[n]) for which, n in step.spectra]
    params += [names[n] for n in step.imports]
    if step.form == "numbers":
        params = ["per_network", "per_layer", *params]
    exported = ", ".join(names[node] for node in step.exports)
    tail = "," if len(step.exports) == 1 else ""
    return "\n".join(
        [f"def {step.name}({', '.join(params)}):", *(f"    {line}" for line in lines),
         f"    return {exported}{tail}"]
    )  # fmt: skip


def _with_deletions(step: Step, names: Names, lines: list[str]) -> list[str]:
    last: dict[Node, int] = {}
    for number, node in enumerate(step.nodes):
        for arg in node.args:
            last[arg] = number
    own = set(step.nodes) - set(step.exports)
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
        self, step: Step, names: Names, constants: Mapping[Node, float], places: Places
    ) -> None:
        self.step, self.names, self.constants, self.places = step, names, constants, places
        self.spectra = frozenset(step.spectra)

    def line(self, node: Node) -> str:
        if self.step.form == "gather":
            text = text_of(node, [self.names[node.args[0]]])
        elif is_join(node):
            text = self._join(node)
        elif node.op in SPECTRAL and (SPECTRAL[node.op][0], node.args[0]) in self.spectra:
            which, template = SPECTRAL[node.op]
            own = self.names[node.args[0]]
            text = template.format(_spectrum(which, own), own)
        else:
            arguments = self._layered if self.step.form == "numbers" else self._spread
            text = self._guarded(node, text_of(node, arguments(node)))
        return f"{self.names[node]} = {text}"

    def _join(self, node: Node) -> str:
        """The reduction of layer lists, as a function of the numbers of one network."""
        own = ["v"] if len(node.args) == 1 else [f"v{i + 1}" for i in range(len(node.args))]
        inner = _JOINED[node.op].format("v") if node.op in _JOINED else text_of(node, own)
        if hides(node):
            for name in own:
                inner = f"kernels.or_nan({inner}, {name}, 0, 1)"
        domain = self.step.domains[node.args[0]]
        lists = ", ".join(self.names[arg] for arg in node.args)
        return f'kernels.finite(per_network("{domain}", lambda {", ".join(own)}: {inner}, {lists}))'

    def _guarded(self, node: Node, text: str) -> str:
        """NaN where an argument is not finite and the operator would not show it."""
        if hides(node):
            for arg in node.args:
                if arg not in self.constants and not surely_finite(arg, self.places):
                    ndims = f"{len(node.kind.axes)}, {len(arg.kind.axes)}"
                    text = f"kernels.or_nan({text}, {self.names[arg]}, {ndims})"
        return text

    def _layered(self, node: Node) -> list[str]:
        """Arguments of an operation on numbers, one per layer where the result is."""
        texts = []
        for arg in node.args:
            name = self._constant(node, arg) or self.names[arg]
            if node.kind.layers and arg not in self.constants and not arg.kind.layers:
                name = f'per_layer("{self.step.domains[node]}", {name})'
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
    scope: dict[str, Any] = {"torch": torch, "kernels": kernels, "math": math, "user": USER}
    exec(compile(source, filename, "exec"), scope)
    linecache.cache[filename] = (len(source), None, source.splitlines(True), filename)
    return scope

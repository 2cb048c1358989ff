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
from autodas_dsl.compiler.plan import Step
from autodas_dsl.compiler.templates import (
    aligned_index,
    hides,
    removes_level,
    source_kind,
    text_of,
)
from autodas_dsl.compiler.user import USER
from autodas_dsl.language.operators import OPERATORS

_UNITES = ("x, y -> x", "x, y -> dot")
_INFIX = frozenset({"add", "sub", "mul", "div", "pow"})
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


def emit(step: Step, names: Names, constants: Mapping[Node, float], tidy: bool) -> str:
    """The source of one step.

    Parameters
    ----------
    constants : mapping
        Values of nodes that no statistic enters.
    tidy : bool
        Delete tensors after their last use, so that they do not pile up.
    """
    writer = _Writer(names, constants)
    lines = [writer.line(step, node) for node in step.nodes]
    if tidy:
        lines = _with_deletions(step, names, lines)
    params = [names[n] for n in (*step.stats, *step.imports)]
    if step.form == "join":
        params.insert(0, "per_network")
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
    def __init__(self, names: Names, constants: Mapping[Node, float]) -> None:
        self.names, self.constants = names, constants

    def line(self, step: Step, node: Node) -> str:
        if step.form == "gather":
            return f"{self.names[node]} = {text_of(node, [self.names[node.args[0]]])}"
        text = self._joined(node) if step.form == "join" else self._checked(node)
        return f"{self.names[node]} = {text}"

    def _joined(self, node: Node) -> str:
        """The reduction of layer lists, as a function of the numbers of one network."""
        given = ["v", "w"][: len(node.args)]
        inner = _JOINED[node.op].format("v") if node.op in _JOINED else text_of(node, given)
        if hides(node):
            inner = f"kernels.or_nan({inner}, v, 0, 1)"
        sources = ", ".join(self.names[arg] for arg in node.args)
        reduce = f"lambda {', '.join(given)}: {inner}"
        return f'kernels.finite(per_network("{node.args[0].kind.layers}", {reduce}, {sources}))'

    def _checked(self, node: Node) -> str:
        text = text_of(node, self._arguments(node))
        if hides(node):
            for arg in node.args:
                if arg not in self.constants:
                    ndims = f"{len(node.kind.axes)}, {len(arg.kind.axes)}"
                    text = f"kernels.or_nan({text}, {self.names[arg]}, {ndims})"
        return f"kernels.finite({text})" if removes_level(node) else text

    def _arguments(self, node: Node) -> list[str]:
        unites = node.op in OPERATORS and OPERATORS[node.op].signature in _UNITES
        wide = source_kind(node)
        texts = []
        for arg in node.args:
            if arg in self.constants:
                literal = _literal(self.constants[arg])
                plain = node.op in _INFIX
                texts.append(literal if plain else f"torch.tensor({literal}, dtype=torch.float64)")
            elif unites and wide.axes and not arg.kind.axes:
                like = next(a for a in node.args if a.kind.axes)
                texts.append(
                    f"kernels.spread({self.names[arg]}, {self.names[like]}, {len(wide.axes)})"
                )
            elif unites and arg.kind.axes:
                texts.append(self.names[arg] + aligned_index(arg.kind, wide))
            else:
                texts.append(self.names[arg])
        return texts


def _literal(value: float) -> str:
    if math.isnan(value):
        return "math.nan"
    if math.isinf(value):
        return "math.inf" if value > 0 else "-math.inf"
    return repr(int(value)) if value == int(value) and abs(value) < 2**53 else repr(value)


def load(source: str, name: str) -> dict[str, Callable[..., Any]]:
    """Run emitted source; a traceback then shows its lines.

    Returns
    -------
    dict
        Function name to function.
    """
    filename = f"<autodas-dsl {name}>"
    scope: dict[str, Any] = {"torch": torch, "kernels": kernels, "math": math, "user": USER}
    exec(compile(source, filename, "exec"), scope)
    linecache.cache[filename] = (len(source), None, source.splitlines(True), filename)
    return scope

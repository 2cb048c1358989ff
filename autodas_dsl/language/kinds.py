"""Kinds: what a value is, as far as the checker knows before any network is seen.

A kind is a layer list (or none) and named axes, each with a symbolic size::

    W        lin  [C R]        one tensor per Conv/Linear layer
    F_s           [B C H W]    one tensor
    |W|_F    lin  []           one number per layer
    params        []           one number

Readers see ``H``, ``W`` and ``R`` together as ``HW``, "the rest".
"""

from __future__ import annotations

import math
from collections import ChainMap
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

LISTS = {"lin": "Conv/Linear layer", "act": "activation", "bn": "BatchNorm layer", "block": "block",
         "att": "attention", "mod": "module"}  # fmt: skip
REST = ("H", "W", "R")


LIST_SIZES = ("first", "last", "total", "concat")
_NONE: Mapping[str, Sequence[int]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Size:
    """A symbolic axis size: a symbol, an integer, a product, quotient or minimum of sizes, or the
    size of a layer list's ``first``, ``last``, ``total`` or ``concat``.

    Quotients are rounded down, but never to nothing.
    """

    op: str  # "symbol" | "integer" | "mul" | "div" | "min" | "first" | "last" | "total" | "concat"
    args: tuple[str | int | Size, ...]

    def __str__(self) -> str:
        if self.op in ("symbol", "integer"):
            return str(self.args[0])
        if self.op not in ("mul", "div"):
            return f"{self.op}({', '.join(map(str, self.args))})"
        return {"mul": "*", "div": "/"}[self.op].join(
            f"({a})" if isinstance(a, Size) and a.op in ("mul", "div") else str(a)
            for a in self.args
        )

    def evaluate(
        self, sizes: Mapping[str, int], layered: Mapping[str, Sequence[int]] = _NONE
    ) -> int:
        """The number behind this size.

        Parameters
        ----------
        sizes : mapping
            What symbols stand for, those of layer lists at the layer in question.
        layered : mapping
            For symbols of layer lists, their value in every layer.

        Raises
        ------
        KeyError
            When a symbol is in neither.
        """
        if self.op == "integer":
            return int(self.args[0])  # type: ignore[arg-type]
        if self.op == "symbol":
            return sizes[str(self.args[0])]
        inner = [a for a in self.args if isinstance(a, Size)]
        if self.op in LIST_SIZES:
            return self._of_list(inner[0], sizes, layered)
        numbers = [a.evaluate(sizes, layered) for a in inner]
        if self.op == "div":
            return max(1, numbers[0] // math.prod(numbers[1:]))
        return math.prod(numbers) if self.op == "mul" else min(numbers)

    def _of_list(
        self, inner: Size, sizes: Mapping[str, int], layered: Mapping[str, Sequence[int]]
    ) -> int:
        names = [name for name in inner.symbols() if name in layered]
        count = len(layered[names[0]]) if names else 1
        each = [
            inner.evaluate(ChainMap({name: layered[name][i] for name in names}, sizes), layered)  # type: ignore[arg-type]
            for i in range(count)
        ]
        if self.op == "concat":
            return sum(each)
        return each[-1] if self.op == "last" else each[0]

    def symbols(self) -> frozenset[str]:
        if self.op == "symbol":
            return frozenset({str(self.args[0])})
        return frozenset().union(*(a.symbols() for a in self.args if isinstance(a, Size)))


def symbol(name: str) -> Size:
    return Size("symbol", (name,))


def integer(value: int) -> Size:
    return Size("integer", (value,))


MAX_FACTORS = 64


def product(sizes: Iterable[Size]) -> Size:
    """The product of sizes, flattened, so that equal products are equal objects.

    Raises
    ------
    KindError
        When it has so many factors that no tensor of that size can be held.
    """
    parts: list[Size] = []
    for size in sizes:
        parts.extend(size.args if size.op == "mul" else (size,))  # type: ignore[arg-type]
    parts = [p for p in parts if p != integer(1)]
    if len(parts) > MAX_FACTORS:
        raise KindError("the result is far too large to compute", "reduce it on the way")
    if not parts:
        return integer(1)
    return parts[0] if len(parts) == 1 else Size("mul", tuple(parts))


def quotient(size: Size, by: int) -> Size:
    return size if by == 1 else Size("div", (size, integer(by)))


def of_list(which: str, size: Size) -> Size:
    """The size of an axis after a layer list became one tensor."""
    return size if size.op == "integer" else Size(which, (size,))


def smaller(a: Size, b: Size) -> Size:
    return a if a == b else Size("min", tuple(sorted((a, b), key=str)))


@dataclass(frozen=True, slots=True)
class Axis:
    name: str
    size: Size


@dataclass(frozen=True, slots=True)
class Kind:
    """A layer list (``"lin"``, ``"act"``, ``"bn"`` or None) and the axes of one entry."""

    layers: str | None = None
    axes: tuple[Axis, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(axis.name for axis in self.axes)

    @property
    def is_number(self) -> bool:
        return self.layers is None and not self.axes

    def size(self, name: str) -> Size:
        return next(axis.size for axis in self.axes if axis.name == name)

    def __str__(self) -> str:
        """As a reader sees it: ``lin [C HW]``, ``[B C HW]``, ``number``, ``lin number``."""
        shown: list[str] = []
        for name in self.names:
            label = "HW" if name in REST else name
            if label not in shown:
                shown.append(label)
        body = f"[{' '.join(shown)}]" if shown else "number"
        return f"{self.layers} {body}" if self.layers else body

    def describe(self) -> str:
        """In words, for messages: "one number per layer", "one [B C HW] tensor"."""
        entry = "number" if not self.axes else f"{Kind(None, self.axes)!s} tensor"
        return f"one {entry}" if self.layers is None else f"one {entry} per {LISTS[self.layers]}"


NUMBER = Kind()


@dataclass(frozen=True, slots=True)
class Pair:
    """The kind of ``[a, b]``: two kinds, neither of them a pair."""

    first: Kind
    second: Kind

    def __str__(self) -> str:
        return f"({self.first}, {self.second})"

    def describe(self) -> str:
        if self.first == self.second:
            return f"a pair, each {self.first.describe()}"
        return f"a pair: {self.first.describe()} and {self.second.describe()}"


AnyKind = Kind | Pair


@dataclass(frozen=True, slots=True)
class Requirement:
    """An equality of sizes that only the networks can confirm, e.g. ``C_s = C_t``.

    `layers` names the list when the equality must hold in every layer; `words` say it better than
    an equation, where they are given.
    """

    left: Size
    right: Size
    layers: str | None = None
    words: str = ""

    def __str__(self) -> str:
        where = f" in every {LISTS[self.layers]}" if self.layers else ""
        return f"{self.words or f'{self.left} = {self.right}'}{where}"


class KindError(Exception):
    """A kind rule does not hold. `reason` is one clause, `help` says what to write instead."""

    def __init__(self, reason: str, help: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.help = help


Require = Callable[[Requirement], None]


def ask_equal(left: Size, right: Size, layers: str | None, require: Require) -> None:
    """Ask for equal sizes, unless they are equal as symbols."""
    if left != right:
        require(Requirement(left, right, layers))


def merge_rest(kind: Kind) -> Kind:
    """The same kind with ``H`` and ``W`` read as one axis ``R``."""
    if "H" not in kind.names:
        return kind
    rest = Axis("R", product(axis.size for axis in kind.axes if axis.name in ("H", "W")))
    return Kind(kind.layers, (*(a for a in kind.axes if a.name not in ("H", "W")), rest))


def unite(a: Kind, b: Kind, require: Require) -> Kind:
    """The kind of an elementwise operation on two values.

    A number broadcasts to all, a per-layer number to its own list, a tensor to one whose axes
    contain its own by name. Sizes that differ as symbols become requirements.

    Raises
    ------
    KindError
        When neither operand broadcasts to the other.
    """
    if a.is_number or b.is_number:
        return b if a.is_number else a
    if a.layers != b.layers:
        raise KindError(
            f"{a.describe()} does not combine with {b.describe()}",
            "reduce one of them to a number with mean(…) or sum(…)",
        )
    if ("R" in a.names) != ("R" in b.names) and a.axes and b.axes:
        a, b = (merge_rest(a), b) if "R" in b.names else (a, merge_rest(b))
        a, b = merge_rest(a), merge_rest(b)
    wide, narrow = (a, b) if len(a.axes) >= len(b.axes) else (b, a)
    missing = [name for name in narrow.names if name not in wide.names]
    if missing:
        raise KindError(
            f"{a.describe()} does not combine with {b.describe()}: "
            "neither has all the axes of the other",
            "reduce the extra axes first, e.g. mean[HW](…)",
        )
    for axis in narrow.axes:
        other = wide.size(axis.name)
        left, right = (other, axis.size) if wide is a else (axis.size, other)
        ask_equal(left, right, a.layers, require)
    return wide

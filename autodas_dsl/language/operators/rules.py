"""Kind rules: what an operator's signature says about the kinds of its arguments."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from autodas_dsl.language.kinds import (
    NUMBER,
    REST,
    Axis,
    Kind,
    KindError,
    Require,
    Requirement,
    Size,
    ask_equal,
    integer,
    merge_rest,
    of_list,
    product,
    quotient,
    smaller,
    symbol,
    unite,
)
from autodas_dsl.language.operators.entry import Operator, Value


@dataclass(frozen=True, slots=True)
class Use:
    """An operator applied to arguments: their kinds, and the values of its attributes."""

    op: Operator
    kinds: Sequence[Kind]
    values: Mapping[str, Value]
    require: Require


Rule = Callable[[Use], Kind]


def result_kind(
    operator: Operator, kinds: Sequence[Kind], values: Mapping[str, Value], require: Require
) -> Kind:
    """The kind of an operator's result.

    Parameters
    ----------
    operator : Operator
    kinds : sequence of Kind
        One per argument; pairs are taken apart before.
    values : mapping
        Attribute values with defaults filled in (`Operator.values`).
    require : callable
        Receives each `Requirement` found.

    Raises
    ------
    KindError
        When the arguments do not fit the signature.
    """
    return _rule(operator)(Use(operator, kinds, values, require))


def _rule(operator: Operator) -> Rule:
    if operator.is_reduction:
        return _reduce
    if operator.is_distance:
        return _distance
    if operator.signature in _FIXED:
        return _FIXED[operator.signature]
    return _list_pattern if operator.left.startswith("list(") else _pattern


def axis_dims(kind: Kind, word: str) -> tuple[str, ...]:
    """The physical axes that an axis word such as ``C``, ``HW`` or ``CHW`` names in a kind.

    Raises
    ------
    KindError
        When the word is no axis word, or the kind lacks one of the axes.
    """
    labels = re.findall("HW|G|B|C", word)
    if "".join(labels) != word or not labels:
        raise KindError(f"`{word}` is not an axis", "axes are B, C, HW and G, joined as in CHW")
    found: list[str] = []
    for label in labels:
        here = [n for n in kind.names if n == label or (label == "HW" and n in REST)]
        if not here:
            raise KindError(f"there is no axis {label} in {kind.describe()}")
        found += here
    return tuple(name for name in kind.names if name in found)


def reduced_axes(kind: Kind, values: Mapping[str, Value]) -> tuple[str, ...]:
    """The axes that a reduction removes; empty when it removes the layer list."""
    if "axis" in values:
        return axis_dims(kind, str(values["axis"]))
    return kind.names


def _same(use: Use) -> Kind:
    kind = use.kinds[0]
    if "axis" in use.values:
        axis_dims(kind, str(use.values["axis"]))
    return kind


def _tensor(use: Use) -> Kind:
    if not use.kinds[0].axes:
        raise KindError(f"`{use.op.name}` works on a tensor; this is {use.kinds[0].describe()}")
    return _same(use)


def _population(use: Use) -> Kind:
    if not use.kinds[0].is_number:
        raise KindError(
            f"`{use.op.name}` works on one number of each network; "
            f"this is {use.kinds[0].describe()}",
            "reduce it with mean(…) or sum(…) first",
        )
    return NUMBER


def _dot(use: Use) -> Kind:
    kind = unite(use.kinds[0], use.kinds[1], use.require)
    if not kind.axes:
        raise KindError(f"`dot` works on tensors; this is {kind.describe()}", "use *")
    return Kind(kind.layers)


def _matmul(use: Use) -> Kind:
    a, b = (merge_rest(k) for k in use.kinds)
    if a.layers != b.layers or len(a.axes) != 2 or len(b.axes) != 2:
        raise KindError(
            f"`@` multiplies two matrices; these are {a.describe()} and {b.describe()}",
            "mm(x), batch(x) and chancov(x) give matrices",
        )
    ask_equal(a.axes[1].size, b.axes[0].size, a.layers, use.require)
    name = "C" if a.axes[0].name != "C" else "R"
    return Kind(a.layers, (a.axes[0], Axis(name, b.axes[1].size)))


def _reduce(use: Use) -> Kind:
    kind = use.kinds[0]
    if kind.is_number:
        raise KindError(f"`{use.op.name}` has nothing to reduce: this is already one number")
    if "axis" not in use.values and not kind.axes:
        return NUMBER
    gone = reduced_axes(kind, use.values)
    return Kind(kind.layers, tuple(a for a in kind.axes if a.name not in gone))


def _distance(use: Use) -> Kind:
    a, b = use.kinds
    if a.layers == b.layers and ("R" in a.names) != ("R" in b.names):
        a, b = merge_rest(a), merge_rest(b)
    alike = a.names == b.names or use.op.match == "B"
    if a.layers != b.layers or not alike:
        raise KindError(
            f"`{use.op.name}` compares two values of one kind; "
            f"these are {a.describe()} and {b.describe()}"
        )
    needed = axis_dims(a, str(use.values["axis"])) if "axis" in use.values else ()
    for label in use.op.needs.split():
        needed += axis_dims(a, label)
    if not a.axes and not a.layers:
        raise KindError(f"`{use.op.name}` compares tensors; these are numbers", "use abs(a - b)")
    for label in use.op.needs.split():
        axis_dims(b, label)
    for axis in a.axes:
        other = b.size(axis.name) if axis.name in b.names else axis.size
        if use.op.match == "all" or axis.name in _match(use.op, a):
            ask_equal(axis.size, other, a.layers, use.require)
    return Kind(a.layers) if a.axes else NUMBER


def _match(op: Operator, kind: Kind) -> tuple[str, ...]:
    """Axes that must agree: `match` lists labels; one that the kind lacks is passed over, and
    ``last`` is the kind's last axis."""
    labels = op.match.split()
    return tuple(
        n
        for n in kind.names
        if n in labels
        or (n in REST and "HW" in labels)
        or ("last" in labels and n == kind.names[-1])
    )


_FIXED: dict[str, Rule] = {
    "x -> x": _same,
    "tensor -> tensor": _tensor,
    "number -> number": _population,
    "x, y -> x": lambda use: unite(use.kinds[0], use.kinds[1], use.require),
    "x, y -> dot": _dot,
    "a, b -> a @ b": _matmul,
}


def _pattern(use: Use) -> Kind:
    kind, tokens = use.kinds[0], use.op.left.split()
    if "H" not in tokens and "..." not in tokens:
        kind = merge_rest(kind)
    sizes, rest = _bind(use, tokens, kind)
    for requirement in _divisible(use.op.right, sizes, use.values, kind.layers):
        use.require(requirement)
    axes: list[Axis] = []
    for token in use.op.right.split():
        if token == "...":
            axes += rest
            continue
        name, _, text = token.partition("=")
        axes.append(Axis(name, _size(text or name, sizes, rest, use.values)))
    return Kind(kind.layers, tuple(axes))


def _list_pattern(use: Use) -> Kind:
    kind = use.kinds[0]
    if kind.layers is None:
        raise KindError(f"`{use.op.name}` works on a layer list; this is {kind.describe()}")
    inner = use.op.left.removeprefix("list(").removesuffix(")")
    # the batch is the same in every layer, other sizes are those of one layer or of all together
    sizes = {a.name: a.size if a.name == "B" else of_list(use.op.name, a.size) for a in kind.axes}
    if inner == "x":
        if use.op.name == "total":
            _one_shape(kind, use.require)
        return Kind(None, tuple(Axis(a.name, sizes[a.name]) for a in kind.axes))
    units = of_list(use.op.name, product(a.size for a in kind.axes if a.name != "B"))
    _bind(use, inner.split(), kind)
    return Kind(None, (kind.axes[0], Axis("C", units)))


def _one_shape(kind: Kind, require: Require) -> None:
    for axis in kind.axes:
        common = of_list("first", axis.size)
        if axis.name != "B" and common != axis.size:
            require(Requirement(axis.size, common, kind.layers))


def _bind(use: Use, tokens: list[str], kind: Kind) -> tuple[dict[str, Size], list[Axis]]:
    named = [t for t in tokens if t != "..."]
    wanted = f"`{use.op.name}` needs {_shown(tokens)}; this is {kind.describe()}"
    if "H" in tokens and "R" in kind.names:
        raise KindError(f"`{use.op.name}` needs a map; the positions of this one are flattened")
    if len(kind.axes) < len(named) or (len(kind.axes) > len(named) and "..." not in tokens):
        raise KindError(wanted)
    sizes: dict[str, Size] = {}
    for token, axis in zip(named, kind.axes, strict=False):
        if token.isupper() and token != axis.name:
            raise KindError(wanted)
        if token in sizes:
            ask_equal(sizes[token], axis.size, kind.layers, use.require)
        sizes.setdefault(token, axis.size)
    return sizes, list(kind.axes[len(named) :])


def _shown(tokens: list[str]) -> str:
    text = " ".join(tokens).replace("H W", "HW")
    return {"i i": "a square matrix", "i j": "a matrix"}.get(text, f"[{text}]")


def _size(
    text: str, sizes: Mapping[str, Size], rest: list[Axis], values: Mapping[str, Value]
) -> Size:
    if text.startswith("min("):
        first, second = text[4:-1].split(",")
        other = sizes[second] if second in sizes else integer(_whole(values[second]))
        return smaller(sizes[first], other)
    factors: list[Size] = []
    for factor in text.split("."):
        base, _, divisor = factor.partition("/")
        if base == "*":
            factors += [axis.size for axis in rest]
        elif base in values:
            factors.append(integer(_whole(values[base])))
        else:
            by = _whole(values[divisor.strip("/")]) if divisor else 1
            factors.append(quotient(sizes.get(base, symbol(base)), by))
    return product(factors)


def _whole(value: Value) -> int:
    return int(float(value))


def _divisible(
    right: str, sizes: Mapping[str, Size], values: Mapping[str, Value], layers: str | None
) -> Iterator[Requirement]:
    """What ``H/s`` in a pattern asks for, ``H//s`` not."""
    for base, divisor in re.findall(r"(\w+)/(\w+)", right):
        size, by = sizes[base], _whole(values[divisor])
        if by > 1:
            multiple = product([quotient(size, by), integer(by)])
            yield Requirement(size, multiple, layers, f"{size} divisible by {by}")

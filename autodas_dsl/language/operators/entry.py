"""What one operator is, and how its signature becomes a kind rule.

A signature is one line of text:

``x -> x``
    the kind stays; with an `axis`, that axis must be there.
``x, y -> x``
    elementwise on two values, broadcast by axis name.
``x -> less``
    a reduction: removes all axes of a tensor, or the named ones, or the layer list.
``a, b -> distance``
    a distance between two values (or the members of a pair) that agree on the axes in `match`.
``B C H W -> B C H=H/r W=W/r``
    a pattern: axes by name, ``...`` for the rest, lower-case letters for any axis (twice the same
    letter: equal sizes), sizes as products, quotients and minima of axes and attributes, ``*`` for
    the product of the rest. ``H/s`` must come out even, ``H//s`` not.
``list(B ...) -> B C``
    an operation on a whole layer list.
``number -> number``
    an operation on one number of each network of a population.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

Value = str | float
Attrs = tuple[tuple[str, Value], ...]

GROUPS = {
    "arithmetic": "Arithmetic",
    "elementwise": "Elementwise",
    "normalise": "Normalise",
    "transform": "Transforms",
    "spectral": "Spectra",
    "distance": "Distances",
    "norm": "Norms",
    "reduction": "Reductions",
    "population": "Against a population",
}

LAWS = {
    "commutative": "f(x, y) = f(y, x)",
    "associative": "f(f(x, y), z) = f(x, f(y, z))",
    "idempotent": "f(f(x)) = f(x)",
    "involution": "f(f(x)) = x",
    "even": "f(-x) = f(x)",
    "odd": "f(-x) = -f(x)",
    "increasing": "x < y implies f(x) <= f(y)",
    "shift-invariant": "f(x + c) = f(x) for a number c",
    "scale-invariant": "f(c x) = f(x) for a number c > 0",
    "homogeneous": "f(c x) = |c| f(x) for a number c",
    "linear": "f(c x + y) = c f(x) + f(y) for a number c",
    "zero-on-equal": "f(x, x) = 0",
    "symmetric": "f(a, b) = f(b, a)",
    "nonnegative": "f >= 0",
}

LEVELS = ("sum", "product", "unary", "power", "atom")
"""How tightly a piece of text holds together, the loosest first: the rules of the grammar."""


@dataclass(frozen=True, slots=True)
class Attribute:
    """An attribute of an operator, written ``name=value`` in brackets.

    `low` and `high` bound the value; `integer` restricts it to whole numbers; `choices` lists the
    allowed values where only a few make sense. `search` are the values that evolution draws from.
    """

    name: str
    default: float
    low: float
    high: float
    integer: bool = False
    choices: tuple[float, ...] = ()
    search: tuple[float, ...] = ()
    doc: str = ""

    @property
    def allowed(self) -> str:
        """``one of 1, 2, 4``, ``a whole number from 1 to 64`` or ``from 0 to 1``."""
        if self.choices:
            return f"one of {', '.join(map(format_number, self.choices))}"
        whole = "a whole number " if self.integer else ""
        return f"{whole}from {format_number(self.low)} to {format_number(self.high)}"


def format_number(value: float) -> str:
    """The shortest text that reads back as the same float64."""
    text = repr(value)
    mantissa, mark, exponent = text.partition("e")
    mantissa = mantissa.removesuffix(".0")
    return f"{mantissa}e{int(exponent)}" if mark else mantissa


def format_value(value: Value) -> str:
    """The value of an attribute as it is written."""
    return value if isinstance(value, str) else format_number(value)


@dataclass(frozen=True)
class Operator:
    """One operator: everything the language knows about it.

    Parameters
    ----------
    name : str
        Canonical name.
    signature : str
        See the module docstring.
    torch : str
        The emitted expression: ``{0}``, ``{1}`` arguments, ``{axis}`` one negative dimension,
        ``{dims}`` a tuple of them, attribute names their values. Holds for any leading axes.
    doc : str
        The definition, one sentence.
    group : str
        A key of `GROUPS`.
    latex : str
        A template, braces doubled: ``{0}``, ``{1}`` arguments, attribute names their values,
        ``{axis}`` the axis or layer index as a subscript where it must be shown, ``{within}`` the
        same as the tail of a subscript, ``{attrs}`` other attributes as a superscript, ``{times}``
        the sign of a product.
    over_layers : str
        The LaTeX of a reduction that takes the layer list away, where it is another; ``{count}`` is
        the number of layers.
    text, unicode : str
        How it is written, by default ``name{attrs}({0}, {1})`` and as in `text`. ``{0:product}`` is
        in parentheses when it holds together less tightly than a product (see `LEVELS`). In
        Unicode, ``{times}`` is the sign of a product and ``{power}`` the second argument as an
        exponent. Without ``{attrs}``, a call with attributes is written by name.
    binds : str
        How tightly its text holds together, one of `LEVELS`.
    signs : str
        Characters that the grammar reads as the operator, the canonical one first.
    graph : str
        Its label in a computation graph.
    axis : str
        The default axis word (``"C"``), when the operator works along an axis.
    axes : tuple of str
        Axis words it accepts; the first is the default.
    attrs : tuple of Attribute
    aliases : tuple of str
    laws : frozenset of str
        Keys of `LAWS`, each of them tested.
    sympy : str
        The sympy expression where the operator *is* that function; empty: an opaque function.
    match : str
        For distances: the axis names whose sizes must agree, or ``"all"``.
    hides : bool
        The result can be finite although the input is not: inputs are tested.
    search : bool
        Evolution may draw it.
    example : str
        A formula that uses it; derived from the signature when empty.
    function : callable or None
        What ``user.NAME`` in `torch` calls, for a user's own operator.
    definition : str
        A hash of the file of a user's own operator; empty for those of this package, which its
        version defines.
    """

    name: str
    signature: str
    torch: str
    doc: str
    group: str
    latex: str
    axes: tuple[str, ...] = ()
    attrs: tuple[Attribute, ...] = ()
    aliases: tuple[str, ...] = ()
    laws: frozenset[str] = frozenset()
    sympy: str = ""
    match: str = "all"
    needs: str = ""
    hides: bool = False
    search: bool = True
    example: str = ""
    function: Callable[..., Any] | None = field(default=None, compare=False, repr=False)
    definition: str = ""
    text: str = ""
    unicode: str = ""
    binds: str = "atom"
    signs: str = ""
    graph: str = ""
    over_layers: str = ""

    @property
    def arity(self) -> int:
        return 2 if self.left.count(",") == 1 else 1

    @property
    def letters(self) -> tuple[str, str]:
        """What its arguments are called in documentation."""
        return ("a", "b") if self.left == "a, b" else ("x", "y")

    @property
    def word(self) -> str:
        """What stands before the brackets: ``max`` for `maximum`."""
        head = self.text.partition("{")[0]
        return head if head.isidentifier() else self.name

    @property
    def is_named(self) -> bool:
        """Whether it is written by its name, not by signs or by a word of another operator."""
        return self.text.startswith(f"{self.name}{{attrs}}(")

    @property
    def infix(self) -> str:
        """The sign between its two arguments, if there is one."""
        return self.signs[:1] if self.arity == 2 else ""

    @property
    def aligns(self) -> bool:
        """Whether it makes the members of a pair alike: each result depends on both."""
        return self.signature == "align"

    @property
    def sees_population(self) -> bool:
        """Whether its value depends on the other networks of a population."""
        return self.group == "population"

    @property
    def left(self) -> str:
        return self.signature.partition("->")[0].strip()

    @property
    def right(self) -> str:
        return self.signature.partition("->")[2].strip()

    @property
    def is_reduction(self) -> bool:
        return self.right == "less"

    @property
    def is_distance(self) -> bool:
        return self.right == "distance"

    @property
    def axis(self) -> str:
        return self.axes[0] if self.axes and not self.is_reduction else ""

    def attribute(self, name: str) -> Attribute | None:
        return next((a for a in self.attrs if a.name == name), None)

    def values(self, attrs: Attrs) -> dict[str, Value]:
        """All attribute values, defaults filled in; ``axis`` among them where there is one."""
        found: dict[str, Value] = {a.name: a.default for a in self.attrs}
        if self.axis:
            found["axis"] = self.axis
        found.update(dict(attrs))
        return found

    def trimmed(self, attrs: Mapping[str, Value]) -> Attrs:
        """Attributes without those at their default, in the order of declaration."""
        defaults = self.values(())
        order = ["axis", *(a.name for a in self.attrs)]
        return tuple((k, attrs[k]) for k in order if k in attrs and attrs[k] != defaults.get(k))


def op(
    name: str,
    signature: str,
    torch: str | Callable[..., Any],
    doc: str,
    *,
    group: str,
    latex: str = "",
    axis: str = "",
    attrs: tuple[Attribute, ...] = (),
    aliases: tuple[str, ...] = (),
    laws: str = "",
    sympy: str = "",
    match: str = "all",
    needs: str = "",
    hides: bool = False,
    search: bool = True,
    example: str = "",
    **notation: str,
) -> Operator:
    """One entry of the operator table; words in `axis` and `laws` are separated by spaces.

    `torch` is a template or, for a user's own operator, a function of tensors with any number of
    leading axes; it is also given those of ``axis``, ``dims``, ``ndim`` and the attributes that it
    has parameters for. `latex` is by default the name over its arguments. `notation` are those
    fields of `Operator` that say how an entry of this package is written otherwise: signs are those
    of the grammar.

    Raises
    ------
    ValueError
        When `group` or a law is not a known one, or the function asks for more than there is.
    """
    unknown = [law for law in laws.split() if law not in LAWS]
    if unknown or group not in GROUPS:
        raise ValueError(f"operator `{name}`: unknown group or law: {group!r}, {unknown}")
    if group == "population" and torch:
        raise ValueError(f"operator `{name}`: an operator with code sees one network at a time")
    function = None if isinstance(torch, str) else torch
    arity = signature.partition("->")[0].count(",") + 1
    if not isinstance(torch, str):
        given = {"dims", "ndim", *(a.name for a in attrs), *(["axis"] if axis else [])}
        torch = _call_of(name, torch, arity, given)
    arguments = ", ".join(["{0}", "{1}"][:arity])
    latex = latex or rf"\operatorname{{{{{name}}}}}{{axis}}\!\left({arguments}\right)"
    notation.setdefault("text", f"{name}{{attrs}}({arguments})")
    notation.setdefault("unicode", notation["text"])
    notation.setdefault("over_layers", latex)
    entry = Operator(
        name, signature, torch, doc, group, latex, tuple(axis.split()), attrs, aliases,
        frozenset(laws.split()), sympy, match, needs, hides, search, example, function, **notation,
    )  # fmt: skip
    return entry if entry.graph else replace(entry, graph=entry.infix or entry.word)


def _call_of(name: str, function: Callable[..., Any], arity: int, given: set[str]) -> str:
    """The template that calls a function with tensors and with what else it has parameters for."""
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except ValueError:  # functions compiled from C do not tell
        parameters = []
    extra = parameters[arity:]
    unknown = [p.name for p in extra if p.name not in given and p.default is p.empty]
    if unknown:
        raise ValueError(
            f"operator `{name}`: its function has parameters it is not given: {', '.join(unknown)}"
        )
    texts = [f"{{{i}}}" for i in range(arity)]
    texts += [f"{p.name}={{{p.name}}}" for p in extra if p.name in given]
    return f"user.{name}({', '.join(texts)})"

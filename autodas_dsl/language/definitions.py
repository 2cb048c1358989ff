"""What is wrong with the templates of a user's own operator or statistic."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator
from string import Formatter

from autodas_dsl.language.inputs import Input
from autodas_dsl.language.operators import Operator

_TORCH = ("0", "1", "axis", "dims", "ndim", "other_ndim", "others", "positions", "samples")
_OPERATOR_LATEX = ("0", "1", "axis", "within", "attrs")
_STATISTIC_LATEX = ("index", "probe", "parts")


def definition_faults(entry: Operator | Input) -> Iterator[str]:
    """What would fail only when a formula uses the entry, in words."""
    if isinstance(entry, Input):
        if entry.kind.layers not in (None, "lin"):
            yield f"its layer list is `{entry.kind.layers}`; it can be none, or lin"
        yield from _template("latex", entry.latex, _STATISTIC_LATEX)
        return
    if entry.left.startswith("list("):
        yield "only built-in operators take whole layer lists"
    own = [attribute.name for attribute in entry.attrs]
    allowed = [name for name in (*_TORCH, *own) if name != "1" or entry.arity == 2]
    if entry.is_reduction or not (entry.axes or entry.is_distance):
        allowed.remove("axis")
    wrong = list(_template("torch", entry.torch, allowed))
    yield from wrong or _python(entry.torch)
    yield from _template("latex", entry.latex, (*_OPERATOR_LATEX, *own))


def _template(what: str, text: str, allowed: Collection[str]) -> Iterator[str]:
    try:
        fields = [name for _, name, _, _ in Formatter().parse(text) if name is not None]
    except ValueError as error:
        yield f"its {what} template {text!r} does not read: {error}; braces are doubled"
        return
    for name in fields:
        if name not in allowed:
            known = ", ".join(f"{{{word}}}" for word in allowed)
            yield f"its {what} names {{{name}}}; there are {known}"


def _python(template: str) -> Iterator[str]:
    fields = {name for _, name, _, _ in Formatter().parse(template) if name and not name.isdigit()}
    text = template.format("x", "y", **dict.fromkeys(fields, "1"))
    try:
        ast.parse(text, mode="eval")
    except SyntaxError as error:
        yield f"its torch text {text!r} is no Python expression: {error.msg}"

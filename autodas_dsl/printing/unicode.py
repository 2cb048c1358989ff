"""Formulas in the Unicode spelling that the parser reads back: ``‖logsoftmax(∂L/∂W)‖_F``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from autodas_dsl.language.format import Part, Printer
from autodas_dsl.language.operators import Attrs, Operator
from autodas_dsl.language.parse import SUPERSCRIPTS
from autodas_dsl.language.proxy import Proxy
from autodas_dsl.language.tree import Expr, Name, Number
from autodas_dsl.language.typed import Typed

_MARKS = {exponent: mark for mark, exponent in SUPERSCRIPTS.items()}


class _Unicode(Printer[Typed]):
    def opened(self, node: Typed) -> tuple[Expr, Sequence[Typed]]:
        return node.expr, node.children

    def template(self, entry: Operator) -> str:
        return entry.unicode

    def name(self, name: Name) -> str:
        name = replace(name, text=_word(name.text))
        if name.prefix == "grad" and not name.prefix_attrs:
            return f"∂L/∂{super().name(replace(name, prefix=''))}"
        return super().name(name)

    def attrs(self, attrs: Attrs) -> str:
        return super().attrs(attrs).replace("-", "−")

    def fields(self, below: Sequence[Typed], parts: Sequence[Part]) -> Mapping[str, str]:
        exponent = below[-1].expr
        mark = _MARKS.get(exponent.value) if isinstance(exponent, Number) else None
        tensors = all(node.member.axes for node in below)
        return {"times": "⊙" if tensors else "·", "power": mark or f"^{parts[-1]:unary}"}


def unicode(proxy: Proxy) -> str:
    """The lets and the score of a proxy, one line each; `parse` reads every formula back.

    Raises
    ------
    FormulaError
        When the proxy does not check.
    """
    found = proxy.typed()
    lines = [f"let {_word(name)} = {unicode_of(body)}" for name, body in found.lets]
    return "\n".join([*lines, unicode_of(found.score)])


def unicode_of(node: Typed) -> str:
    """One typed expression."""
    return _Unicode().part(node).text


def _word(text: str) -> str:
    """A name; its subscript s or t as such."""
    if text.endswith(("_s", "_t")) and not text[:-2].endswith("_"):
        return text[:-2] + {"s": "ₛ", "t": "ₜ"}[text[-1]]
    return text

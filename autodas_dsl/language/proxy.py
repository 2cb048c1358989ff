"""One ``.proxy`` document in memory: what it holds, its check, its one canonical text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from autodas_dsl.language.check import (
    Checked,
    Library,
    LibraryNames,
    Proxied,
    check,
    no_library,
)
from autodas_dsl.language.errors import Diagnostic
from autodas_dsl.language.format import Comment, format_expression, format_item
from autodas_dsl.language.inputs import Statistic
from autodas_dsl.language.references import Reference, population_calls, reference_faults
from autodas_dsl.language.spans import Source, Span
from autodas_dsl.language.tree import Call, Expr, Name, walk
from autodas_dsl.language.visible import visible, visible_lines


@dataclass(frozen=True)
class Formula:
    """A ``let`` or the ``score``: its tree, its comments, and its place in the document."""

    name: str
    expr: Expr
    comments: tuple[Comment, ...] = field(default=(), compare=False)
    offset: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Written:
    """The `inputs` header as it stands in the text."""

    names: tuple[str, ...]
    span: Span


@dataclass(frozen=True)
class Proxy:
    """One ``.proxy`` document.

    Parameters
    ----------
    name : str
        Equal to the file's stem.
    score : Formula
    lets : tuple of Formula
        In the order of definition.
    about, source : str
    better : str
        ``"higher"`` or ``"lower"``.
    extra : tuple of (key, text)
        ``x-…`` headers, preserved.
    reported, measured : tuple of str
        One line of facts each: from the literature, and measured with this software.
    references : tuple of Reference
        The frozen population of each ``percentile`` and ``standardise``; without them it is the
        networks that are scored together.
    notes : tuple of (anchor, text)
        Comments on lines of their own, each before the item it stands above.
    text : Source or None
        Where it was read from, for diagnostics.
    inputs : Written or None
        The header as written; it stands for the derived one where the formula cannot be checked.
    """

    name: str
    score: Formula
    lets: tuple[Formula, ...] = ()
    about: str = ""
    source: str = ""
    better: str = "higher"
    extra: tuple[tuple[str, str], ...] = ()
    reported: tuple[str, ...] = ()
    measured: tuple[str, ...] = ()
    notes: tuple[tuple[str, str], ...] = field(default=(), compare=False)
    text: Source | None = field(default=None, compare=False, repr=False)
    inputs: Written | None = field(default=None, compare=False, repr=False)
    references: tuple[Reference, ...] = ()

    @property
    def expression(self) -> Expr:
        return self.score.expr

    def as_proxied(self) -> Proxied:
        return Proxied(self.name, tuple((f.name, f.expr) for f in self.lets), self.score.expr)

    def check(self, library: Library = no_library, names: LibraryNames = list) -> Checked:
        """Kinds, statistics and requirements; spans of diagnostics are those of the document."""
        return _check_document(self, library, names)

    def __str__(self) -> str:
        return format_document(self)

    def _repr_latex_(self) -> str:
        """What a notebook shows in the place of the constructor."""
        import autodas_dsl  # the public interface, which loads the printer when it is asked for

        return f"$\\displaystyle {autodas_dsl.show(self, 'latex')}$"


def input_names(statistics: Iterable[Statistic]) -> list[str]:
    """Statistics as the `inputs` header lists them."""
    return sorted(str(statistic) for statistic in statistics)


def _check_document(proxy: Proxy, library: Library, names: LibraryNames) -> Checked:
    """Check formula by formula, so that each diagnostic lands on its own line."""
    lets = tuple((f.name, f.expr) for f in proxy.lets)
    checked = check(proxy.score.expr, lets, library, names)
    formulas = [*proxy.lets, proxy.score]
    placed: list[Diagnostic] = []
    for found in checked.diagnostics:
        owner = next((f for f in formulas if _owns(f, found)), proxy.score)
        placed.append(moved(found, owner.offset))
    used = {n.text for f in formulas for n in walk(f.expr) if isinstance(n, Name)}
    for let in proxy.lets:
        if let.name not in used:
            span = Span(let.expr.span.start + let.offset, let.expr.span.end + let.offset)
            placed.append(Diagnostic("E316", f"the let `{let.name}` is never used", span,
                                     "delete it", "warning"))  # fmt: skip
    checked.diagnostics = placed + reference_faults(proxy.references, [f.expr for f in formulas])
    return checked


def _owns(formula: Formula, found: Diagnostic) -> bool:
    return any(
        found.span is node.span or (isinstance(node, Call) and found.span is node.head)
        for node in walk(formula.expr)
    )


def moved(found: Diagnostic, by: int) -> Diagnostic:
    span = Span(found.span.start + by, found.span.end + by) if found.span else None
    return Diagnostic(found.code, found.message, span, found.help, found.severity)


def format_document(proxy: Proxy, checked: Checked | None = None) -> str:
    """The canonical text of a document; `inputs` is derived and always written.

    Parameters
    ----------
    proxy : Proxy
    checked : Checked, optional
        What the check with the library found; without it `inputs` of a formula that names library
        proxies stays as written.
    """
    if checked is None:
        checked = proxy.check()
    notes = list(proxy.notes)
    lines: list[str] = []
    for anchor, text in _entries(proxy, checked):
        mine = [note for note in notes if note[0] == anchor]
        lines += [visible(note[1]) for note in mine]
        notes = [note for note in notes if note not in mine]
        lines.append(text)
    if notes:
        lines += ["", *(visible(text) for _, text in notes)]
    return "\n".join(lines) + "\n"


def _entries(proxy: Proxy, checked: Checked) -> Iterator[tuple[str, str]]:
    """The lines of a document, each with the anchor of the comments that stand above it."""
    yield "proxy", f"proxy/1 {visible(proxy.name)}"
    yield "", ""
    for key, text in (("about", proxy.about), ("source", proxy.source)):
        if text:
            yield key, f"{key}: {_quote(text)}"
    yield "better", f"better: {visible(proxy.better)}"
    names = _names_to_write(proxy, checked)
    if names:
        yield "inputs", f"inputs: {visible(', '.join(names))}"
    for key, text in proxy.extra:
        yield key, visible(f"{key}: {text}")
    yield "", ""
    for let in proxy.lets:
        text = format_item(f"let {visible(let.name)}", let.expr, let.comments)
        yield f"let {let.name}", visible_lines(text)
    yield "score", visible_lines(format_item("score", proxy.score.expr, proxy.score.comments))
    if proxy.references:
        yield "", ""
    terms = population_calls([*(let.expr for let in proxy.lets), proxy.score.expr])
    for one in sorted(
        proxy.references, key=lambda r: terms.index(r.call) if r.call in terms else -1
    ):
        yield "reference", visible(f"reference: {one}")
    for key, facts in (("reported", proxy.reported), ("measured", proxy.measured)):
        if facts:
            yield "", ""
        for fact in facts:
            yield key, visible(f"{key}: {fact}")


def _names_to_write(proxy: Proxy, checked: Checked) -> list[str]:
    if checked.ok:
        return input_names(checked.statistics)
    return list(proxy.inputs.names) if proxy.inputs else []


def inputs_fault(proxy: Proxy, checked: Checked) -> Diagnostic | None:
    """What is wrong with the written `inputs`, as far as the formula could be checked."""
    if proxy.inputs is None or not checked.ok:
        return None
    derived = input_names(checked.statistics)
    if sorted(proxy.inputs.names) == derived:
        return None
    return Diagnostic(
        "E315", f"the formula reads {', '.join(derived) or 'no statistic'}", proxy.inputs.span,
        "autodas-dsl fmt writes `inputs` for you: delete the line",
    )  # fmt: skip


def _quote(text: str) -> str:
    shown = "\n".join(map(visible, text.split("\n")))
    escaped = shown.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def format_formula(proxy: Proxy) -> str:
    """The lets and the score alone, one line each."""
    return "\n".join(
        [f"let {f.name} = {format_expression(f.expr)}" for f in proxy.lets]
        + [format_expression(proxy.score.expr)]
    )

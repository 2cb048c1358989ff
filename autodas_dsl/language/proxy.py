"""One ``.proxy`` document in memory: what it holds, its check, its one canonical text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from autodas_dsl.language.check import Checked, Lets, Library, check
from autodas_dsl.language.errors import Diagnostic, Fix, FormulaError
from autodas_dsl.language.format import Comment, format_expression, format_item
from autodas_dsl.language.inputs import Statistic
from autodas_dsl.language.references import Reference, population_calls, reference_faults
from autodas_dsl.language.spans import Source, Span
from autodas_dsl.language.tree import Expr, Name, walk
from autodas_dsl.language.typed import TypedFormula
from autodas_dsl.language.visible import visible, visible_lines


@dataclass(frozen=True)
class Formula:
    """A ``let`` or the ``score``: its tree, its comments and its lines, in places of the document."""

    name: str
    expr: Expr
    comments: tuple[Comment, ...] = field(default=(), compare=False)
    span: Span | None = field(default=None, compare=False)


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

    @property
    def definitions(self) -> Lets:
        """Names and trees of the lets."""
        return tuple((let.name, let.expr) for let in self.lets)

    def check(self, library: Library | None = None) -> Checked:
        """Kinds, statistics and requirements, or everything that is wrong.

        Parameters
        ----------
        library : mapping, optional
            What names of proxies mean; the library of this package when absent.
        """
        known: Checked | None = self.__dict__.get("_checked")
        if known is None:
            from autodas_dsl.language.library import LIBRARY  # made of documents such as this

            known = _check_document(self, LIBRARY if library is None else library)
            if known.ok:  # what checks stays right, whatever operators are added
                self.__dict__["_checked"] = known
        return known

    def typed(self) -> TypedFormula:
        """The typed trees of the lets and the score.

        Raises
        ------
        FormulaError
            With every mistake that the checker finds.
        """
        found = self.check()
        if found.typed is None or not found.ok:
            raise FormulaError(found.errors, self.text)
        return found.typed

    def __str__(self) -> str:
        return format_document(self)

    def _repr_latex_(self) -> str:
        """What a notebook shows in the place of the constructor."""
        import autodas_dsl  # the public interface, which loads the printer when it is asked for

        return f"$\\displaystyle {autodas_dsl.show(self, 'latex')}$"


def input_names(statistics: Iterable[Statistic]) -> list[str]:
    """Statistics as the `inputs` header lists them."""
    return sorted(str(statistic) for statistic in statistics)


def _check_document(proxy: Proxy, library: Library) -> Checked:
    checked = check(proxy.expression, proxy.definitions, library)
    formulas = [*proxy.lets, proxy.score]
    used = {n.text for f in formulas for n in walk(f.expr) if isinstance(n, Name)}
    for let in proxy.lets:
        if let.name not in used:
            checked.diagnostics.append(
                Diagnostic("E316", f"the let `{let.name}` is never used", let.expr.span,
                           "delete it", "warning", Fix("", False, let.span) if let.span else None)
            )  # fmt: skip
    checked.diagnostics += reference_faults(proxy.references, [f.expr for f in formulas])
    derived = input_names(checked.statistics)
    if checked.ok and proxy.inputs is not None and sorted(proxy.inputs.names) != derived:
        checked.diagnostics.append(
            Diagnostic(
                "E315", f"the formula reads {', '.join(derived) or 'no statistic'}",
                proxy.inputs.span, "autodas-dsl fmt writes `inputs` for you: delete the line",
                fix=Fix(f"inputs: {', '.join(derived)}" if derived else "", sure=True),
            )
        )  # fmt: skip
    return checked


def format_document(proxy: Proxy) -> str:
    """The canonical text of a document; `inputs` is derived and written where it checks."""
    notes = list(proxy.notes)
    lines: list[str] = []
    for anchor, text in _entries(proxy):
        mine = [note for note in notes if note[0] == anchor]
        lines += [visible(note[1]) for note in mine]
        notes = [note for note in notes if note not in mine]
        lines.append(text)
    if notes:
        lines += ["", *(visible(text) for _, text in notes)]
    return "\n".join(lines) + "\n"


def _entries(proxy: Proxy) -> Iterator[tuple[str, str]]:
    """The lines of a document, each with the anchor of the comments that stand above it."""
    yield "proxy", f"proxy/1 {visible(proxy.name)}"
    yield "", ""
    for key, text in (("about", proxy.about), ("source", proxy.source)):
        if text:
            yield key, f"{key}: {_quote(text)}"
    yield "better", f"better: {visible(proxy.better)}"
    names = _names_to_write(proxy)
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


def _names_to_write(proxy: Proxy) -> list[str]:
    typed = proxy.check().typed
    if typed is not None:
        return input_names(typed.statistics)
    return list(proxy.inputs.names) if proxy.inputs else []


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

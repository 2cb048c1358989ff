"""Whole proxies in LaTeX: definitions, numbered equations, aligned lines, cells of tables."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from autodas_dsl.language.errors import InputError
from autodas_dsl.language.format import terms
from autodas_dsl.language.operators import OPERATORS
from autodas_dsl.language.proxy import Proxy
from autodas_dsl.language.tree import Call
from autodas_dsl.language.typed import Typed
from autodas_dsl.printing.latex import before_comma, latex_of, score_symbol, symbol_latex
from autodas_dsl.printing.tex import read_tex, width

LAYOUTS = ("plain", "equation", "align")


@dataclass(frozen=True, slots=True)
class LatexOptions:
    """How a formula is set.

    Parameters
    ----------
    layout : str
        ``"plain"``: what stands between dollar signs; ``"equation"``: one numbered equation;
        ``"align"``: one numbered ``align`` with a line per definition, broken at `width`.
    width : int
        Where lines of ``align`` break, in characters of the printed formula; at least 20.
    digits : int, optional
        Significant digits of numbers; all of them when absent.
    """

    layout: str = "plain"
    width: int = 72
    digits: int | None = None

    def __post_init__(self) -> None:
        if self.layout not in LAYOUTS:
            raise InputError("E803", f"there is no LaTeX layout `{self.layout}`",
                             f"it is one of {', '.join(LAYOUTS)}")  # fmt: skip
        if self.width < 20:
            raise InputError("E804", f"lines cannot break at {self.width} characters",
                             "give a width of 20 or more")  # fmt: skip
        if self.digits is not None and self.digits < 1:
            raise InputError("E805", f"numbers cannot have {self.digits} significant digits",
                             "give 1 or more")  # fmt: skip


PLAIN = LatexOptions()


def latex(proxy: Proxy, options: LatexOptions = PLAIN) -> str:
    """A proxy in LaTeX: the score, and its let names as definitions.

    Parameters
    ----------
    proxy : Proxy
    options : LatexOptions

    Raises
    ------
    FormulaError
        When the proxy does not check.
    InputError
        E801 or E802 for a template, of a user's own operator, that is not LaTeX.
    """
    sides = _sides(proxy)
    if options.layout == "align":
        return _align(sides, options)
    printed = [(left, latex_of(right, options.digits).text) for left, right in sides]
    printed[1:-1] = [(left, before_comma(right)) for left, right in printed[1:-1]]
    lines = [f"{left} = {right}" for left, right in printed]
    for line in lines:
        read_tex(line)
    text = lines[0]
    if len(lines) > 1:
        text += r"\quad\text{where}\quad " + r",\quad ".join(lines[1:])
    if options.layout == "plain":
        return text
    return "\n".join((r"\begin{equation}", rf"  \label{{eq:{proxy.name}}}", f"  {text}",
                      r"\end{equation}"))  # fmt: skip


def shown(proxy: Proxy, **options: Any) -> str:
    """As `latex`, with the fields of `LatexOptions` by name."""
    return latex(proxy, LatexOptions(**options))


def cell(proxy: Proxy, options: LatexOptions) -> str:
    """The right-hand side for a cell of a table, on several lines where it is wide.

    Raises
    ------
    FormulaError
        When the proxy does not check.
    """
    rows: list[str] = []
    for number, (left, right) in enumerate(_sides(proxy)):
        head = rf"\text{{where }} {left} = " if number else ""
        first, *rest = _broken(right, options)
        rows += [head + first, *(rf"\quad {{}}{line}" for line in rest)]
    for row in rows:
        read_tex(row)
    if len(rows) == 1:
        return rows[0]
    body = r" \\[4pt] ".join(rows)
    return rf"\begin{{array}}[t]{{@{{}}l@{{}}}} {body} \end{{array}}"


def _sides(proxy: Proxy) -> list[tuple[str, Typed]]:
    """Left and right of the score and of each let."""
    found = proxy.typed()
    lets = [
        (symbol_latex(name, r"\ell" if body.member.layers else ""), body)
        for name, body in found.lets
    ]
    return [(score_symbol(proxy.name), found.score), *lets]


def _align(sides: list[tuple[str, Typed]], options: LatexOptions) -> str:
    lines: list[str] = []
    for number, (left, right) in enumerate(sides):
        lead = r"\text{where}\quad " if number == 1 else ""
        for row, text in enumerate(_broken(right, options)):
            read_tex(text)
            head = f"{lead}{left} &= " if row == 0 else r"&\quad "
            lines.append(f"  {head}{text}")
    tail = [r" \notag \\"] * (len(lines) - 1) + [""]
    body = [line + end for line, end in zip(lines, tail, strict=True)]
    return "\n".join((r"\begin{align}", *body, r"\end{align}"))


def _broken(node: Typed, options: LatexOptions) -> list[str]:
    """Lines of about the width, broken before the terms of the sum at the root.

    A term that is wider on its own is broken before its factors.
    """
    lines = [""]
    for term, piece in _terms(node, options):
        wide = width(read_tex(piece)) > options.width
        for part in _factors(term, piece, options) if wide else [piece]:
            joined = f"{lines[-1]} {part}".strip()
            if lines == [""] or width(read_tex(joined)) <= options.width:
                lines[-1] = joined
            else:
                lines.append(part)
    return lines


def _factors(term: Typed, text: str, options: LatexOptions) -> list[str]:
    """The factors of a term as they are printed in `text`, each with its sign."""
    expr = term.expr
    if not isinstance(expr, Call) or "{times}" not in OPERATORS[expr.op].latex:
        return [text]
    before, found, after = text.partition(latex_of(term.children[0], options.digits).text)
    if not found or before not in ("", "+ ", "- ") or after.startswith(r"\,"):
        return [text]
    return [*_factors(term.children[0], before + found, options), after.strip()]


def _terms(node: Typed, options: LatexOptions) -> list[tuple[Typed, str]]:
    """The terms of a sum, and as they are printed, each with its sign."""
    spine: list[Typed] = []
    current = node
    for _ in terms(node.expr)[1:]:
        spine.append(current)
        current = current.children[0]
    done = latex_of(current, options.digits).text
    found = [(current, done)]
    for outer in reversed(spine):
        assert isinstance(outer.expr, Call)
        whole = latex_of(outer, options.digits).text
        found.append((outer.children[1], whole[len(done) :].strip()))
        done = whole
    return found

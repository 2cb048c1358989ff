"""A booktabs table of formulas and how well they rank, from numbers that were measured elsewhere."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from autodas_dsl.language.errors import InputError
from autodas_dsl.language.proxy import Proxy
from autodas_dsl.language.tree import complexity
from autodas_dsl.language.typed import inlined
from autodas_dsl.language.visible import visible
from autodas_dsl.printing.latex import score_symbol
from autodas_dsl.printing.latex_page import LatexOptions, cell

_ESCAPED = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
            **{c: f"\\{c}" for c in "&%$#_{}"}}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Measured:
    """A correlation and its 95 % interval, where there is one."""

    value: float
    low: float | None = None
    high: float | None = None

    def __post_init__(self) -> None:
        numbers = [n for n in (self.value, self.low, self.high) if n is not None]
        if not all(math.isfinite(n) and -1 <= n <= 1 for n in numbers):
            raise InputError("E812", f"{numbers} is no correlation with its interval",
                             "correlations lie between -1 and 1")  # fmt: skip


@dataclass(frozen=True, slots=True)
class TableRow:
    """One formula of the table.

    Parameters
    ----------
    proxy : Proxy
    kendall, spearman : Measured or None
        None where the correlation is not defined.
    baseline : bool
        Set below the line, with the other baselines.
    """

    proxy: Proxy
    kendall: Measured | None
    spearman: Measured | None
    baseline: bool = False


def booktabs(
    rows: Sequence[TableRow],
    *,
    notes: Sequence[str] = (),
    options: LatexOptions | None = None,
    decimals: int = 3,
) -> str:
    r"""A ``tabular`` for ``\input``: name, formula, complexity, tau and rho with intervals.

    Parameters
    ----------
    rows : sequence of TableRow
        In the order to be printed; baselines go below a line.
    notes : sequence of str
        What the numbers are: table, target, split, number of architectures. Printed as comments
        and as the last lines of the table.
    options : LatexOptions, optional
        `width` is where formulas break, `digits` the significant digits of their numbers.
    decimals : int
        Of the correlations; intervals have at most two.

    Raises
    ------
    InputError
        E813 without rows.
    FormulaError
        When a proxy does not check.
    """
    if not rows:
        raise InputError("E813", "a table needs at least one formula", "name proxies to print")
    options = options or LatexOptions(width=44)
    own = [row for row in rows if not row.baseline]
    baselines = [row for row in rows if row.baseline]
    body = [_row(row, options, decimals) for row in own]
    if own and baselines:
        body.append(r"  \midrule")
    body += [_row(row, options, decimals) for row in baselines]
    tail = [rf"  \multicolumn{{5}}{{@{{}}l@{{}}}}{{\scriptsize {_text(n)}}} \\" for n in notes]
    return "\n".join([
        r"% needs \usepackage{amsmath,booktabs}",
        *(f"% {visible(note)}" for note in notes),
        r"\begingroup\footnotesize\setlength{\tabcolsep}{4pt}",
        r"\begin{tabular}{@{}llrll@{}}",
        r"  \toprule",
        r"  Proxy & Formula & Nodes & Kendall $\tau$ & Spearman $\rho$ \\",
        r"  \midrule",
        *body,
        r"  \bottomrule",
        *tail,
        r"\end{tabular}",
        r"\endgroup",
        "",
    ])  # fmt: skip


def _row(row: TableRow, options: LatexOptions, decimals: int) -> str:
    cells = [
        f"${score_symbol(row.proxy.name)}$",
        f"${cell(row.proxy, options)}$",
        str(complexity(inlined(row.proxy.typed().score, proxies=False))),
        _measured(row.kendall, decimals),
        _measured(row.spearman, decimals),
    ]
    space = r" \addlinespace" if "array" in cells[1] else ""
    return f"  {' & '.join(cells)} \\\\{space}"


def _measured(found: Measured | None, decimals: int) -> str:
    if found is None:
        return "--"
    text = _fixed(found.value, decimals)
    if found.low is None or found.high is None:
        return text
    coarse = min(decimals, 2)
    interval = f"[{_fixed(found.low, coarse)}, {_fixed(found.high, coarse)}]"
    return rf"{text} {{\scriptsize {interval}}}"


def _fixed(value: float, decimals: int) -> str:
    """A number with a real minus sign, and no minus on zero."""
    text = f"{abs(value):.{decimals}f}"
    negative = value < 0 and float(text) != 0
    return f"$-${text}" if negative else text


def _text(note: str) -> str:
    return "".join(_ESCAPED.get(letter, letter) for letter in visible(note))

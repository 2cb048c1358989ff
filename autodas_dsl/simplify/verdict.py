"""What a judge says about two formulas. The judges run networks or numbers and live above."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from autodas_dsl.language.tree import Expr


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether two formulas agree, and if not, in one clause, why."""

    agrees: bool
    reason: str = ""


Judge = Callable[[Expr, Expr], Verdict]

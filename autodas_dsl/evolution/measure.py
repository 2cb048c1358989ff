"""What is reported about formulas when a search is over: agreement on both halves of each table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from autodas_dsl.compiler.outcome import Outcome
from autodas_dsl.evaluation.bootstrap import Interval, interval
from autodas_dsl.evaluation.correlations import Agreement, agreement
from autodas_dsl.evolution.task import Networks, Task
from autodas_dsl.language.format import format_number

PARAMS = "params"


@dataclass(frozen=True, slots=True)
class Measured:
    """Agreement of one formula with the accuracies of some architectures.

    `interval` is a 95 % bootstrap interval of Spearman; None when it is undefined.
    """

    task: str
    target: str
    split: str
    half: str
    agreement: Agreement
    interval: Interval | None


def measured(task: Task, half: str, networks: Networks, outcome: Outcome) -> Measured:
    """Measure scores on the selection or report half of a table."""
    found = agreement(outcome.scores, networks.accuracies)
    if found.reason:
        found = replace(found, reason=first_reason([outcome]) or found.reason)
    return Measured(
        task.name, task.target, task.split, half,
        found,
        interval(outcome.scores, networks.accuracies),
    )  # fmt: skip


def fact_line(found: Measured, params: Measured | None) -> str:
    """The text of a `measured:` line in a document."""
    whole = found.agreement
    parts = [found.task, f"target={found.target}"]
    parts += [f"split={found.split}"] if found.split else []
    parts += [f"half={found.half}", f"n={whole.n}"]
    parts += [f"invalid={whole.invalid}"] if whole.invalid else []
    for name, value in (("kendall", whole.kendall), ("spearman", whole.spearman)):
        parts.append(f"{name}={shown(value)}")
    if found.interval is not None:
        low, high = shown(found.interval.low), shown(found.interval.high)
        parts.append(f"interval={low}..{high}")
    if params is not None:
        parts.append(f"params={shown(params.agreement.spearman)}")
    return " ".join(parts)


def shown(value: float | None) -> str:
    """Four decimals; "undefined" where there is no number."""
    return "undefined" if value is None else format_number(round(value, 4))


def first_reason(outcomes: Sequence[Outcome]) -> str:
    """Why the first invalid score is invalid, or the empty text."""
    return next((reason for o in outcomes for reason in o.reasons if reason), "")

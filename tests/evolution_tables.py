"""A small search problem without networks: scores are made up from the text of a formula.

Every leaf of a core tree has fixed numbers per architecture, every operator mixes those of its
arguments; so equal formulas score alike, and parts of a good formula are good.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Sequence

import numpy as np

from autodas_dsl.compiler.ir import Node
from autodas_dsl.compiler.outcome import Outcome
from autodas_dsl.evolution.config import Config
from autodas_dsl.evolution.task import Networks, Task

ARCHITECTURES = 40
FEW = Config(
    inputs=("W", "grad W", "F_s"), operators=("norm", "reduction", "arithmetic"), terms="instinct"
)  # fmt: skip
"""Few words: what can be made of them is found out anew in every search."""


def numbers(text: str, n: int) -> np.ndarray:
    """Fixed numbers in [0, 1) for a text."""
    seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")
    return np.random.Generator(np.random.Philox(seed)).random(n)


def values(node: Node, n: int) -> np.ndarray:
    """What a formula scores on `n` made-up architectures."""
    if node.op == "number":
        return np.full(n, node.value)
    if node.op == "stat":
        return numbers(str(node.statistic), n)
    inner = [values(arg, n) for arg in node.args]
    mixed = numbers(node.op, n)
    return sum(inner) / len(inner) * 0.8 + 0.2 * mixed


class Fake:
    """An evaluator over made-up architectures."""

    def __init__(self, n: int = ARCHITECTURES, start: int = 0, pause: float = 0.0) -> None:
        self.n = n
        self.start = start
        self.pause = pause
        self.seen: list[str] = []

    def __call__(self, nodes: Sequence[Node]) -> list[Outcome]:
        self.seen += map(repr, nodes)
        if self.pause:
            time.sleep(self.pause)
        return [self._outcome(node) for node in nodes]

    def _outcome(self, node: Node) -> Outcome:
        n = self.n
        if node.op == "sqrt":
            return Outcome(np.full(n, np.nan), ("`sqrt` gave NaN",) * n)
        return Outcome(values(node, self.start + n)[self.start :], ("",) * n)


def accuracies(n: int = ARCHITECTURES, start: int = 0) -> np.ndarray:
    """Made-up accuracies that a formula over W and F_s follows closely."""
    whole = start + n
    good = numbers("W", whole) + 0.5 * numbers("F_s", whole) + 0.1 * numbers("noise", whole)
    return good[start:]


def fake_task(
    name: str = "fake",
    evaluator: Callable[[Sequence[Node]], list[Outcome]] | None = None,
    report: bool = True,
    screen: bool = False,
) -> Task:
    half = Networks(Fake(start=ARCHITECTURES), accuracies(start=ARCHITECTURES))
    quarter = Networks(Fake(10), accuracies(10))
    return Task(
        name, "kd", Networks(evaluator or Fake(), accuracies()), half if report else None,
        (quarter,) if screen else (), "half", "made-up",
    )  # fmt: skip


class Deadly(Fake):
    """Ends its process on every formula about `layers`."""

    def _outcome(self, node: Node) -> Outcome:
        if "layers" in repr(node):
            os._exit(9)
        return super()._outcome(node)


def stillborn() -> Fake:
    """A worker that never comes to life."""
    os._exit(9)

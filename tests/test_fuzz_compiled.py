"""Random formulas on made-up networks: emitted code and interpreter agree, also when simplified.

By default 600. ``AUTODAS_FUZZ_COMPILED=5000`` tries that many, ``AUTODAS_FUZZ_SEED=7`` others.
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import pytest
from evaluation import agree
from fake_networks import Fake, networks
from random_formulas import random_formula
from strategies import seeded_scores

from autodas_dsl.compiler.engine import Engine
from autodas_dsl.compiler.interpret import NotFinite, ShapeMismatch, interpret
from autodas_dsl.compiler.pipeline import to_ir
from autodas_dsl.language.check import check
from autodas_dsl.language.documents import expression_proxy
from autodas_dsl.language.format import format_expression
from autodas_dsl.language.inputs import Statistic
from autodas_dsl.language.tree import Expr, complexity
from autodas_dsl.simplify.proof import Proof
from autodas_dsl.simplify.simplify import Judges, simplify

COUNT = int(os.environ.get("AUTODAS_FUZZ_COMPILED", "600"))
SEED = int(os.environ.get("AUTODAS_FUZZ_SEED", "0"))
SLICE = 100
WITH_SYMPY = 2  # of each thousand: a process of its own and seconds each
NETS = networks()
PROOF = Proof()
JUDGES = Judges(PROOF.unequal, None, PROOF.reordered)
slices = pytest.mark.parametrize("start", range(0, COUNT, SLICE))


@dataclass(frozen=True)
class Arrays:
    """The statistics of a network as the NumPy evaluator reads them."""

    net: Fake

    def __getitem__(self, statistic: Statistic) -> Any:
        value = self.net.values[statistic]
        return tuple(x.numpy() for x in value) if isinstance(value, tuple) else value.numpy()


@cache
def population(start: int) -> tuple[Expr, ...]:
    """Half as the search makes them, half with every attribute and statistic."""
    first = SEED * 1_000_000 + start
    found = [random_formula(slot) for slot in range(first, first + SLICE // 2)]
    return (*found, *seeded_scores(SLICE // 2, seed=first, alone=True))


def meaning(expr: Expr, net: Fake) -> float | None:
    """The score by the interpreter, NaN when it is invalid; None where the shapes do not fit."""
    try:
        return interpret(to_ir(expr), net)
    except ShapeMismatch:
        return None
    except NotFinite:
        return math.nan


def differences(formulas: Sequence[Expr], raw: Sequence[Expr]) -> list[str]:
    """Where emitted code scores formulas otherwise than the interpreter scores their raw forms."""
    wrong = []
    outcomes = Engine(NETS).evaluate([to_ir(expr) for expr in formulas])
    for expr, other, outcome in zip(formulas, raw, outcomes, strict=True):
        for net, emitted, reason in zip(NETS, outcome.scores, outcome.reasons, strict=True):
            wanted = meaning(other, net)
            if wanted is None and expr != other:
                continue  # a simpler formula may require less of the networks
            fits = wanted is not None
            fine = agree(emitted, wanted, Arrays(net), other) if fits else math.isnan(emitted)
            if not fine or math.isnan(emitted) != bool(reason):
                wrong.append(f"{format_expression(expr)}: {emitted} ({reason}), not {wanted}")
    return wrong


def test_the_networks_have_every_statistic() -> None:
    named = set().union(*(check(expr).statistics for expr in population(0)))
    assert named <= set(NETS[0].values)


@slices
def test_emitted_code_is_the_interpreter(start: int) -> None:
    assert differences(population(start), population(start)) == []


@slices
def test_simplified_formulas_score_as_the_raw_ones(start: int) -> None:
    raw, simple = [], []
    for number, expr in enumerate(population(start)):
        ask = None if (start + number) % 1000 < WITH_SYMPY else lambda expr: []
        result = simplify(expression_proxy(format_expression(expr)), JUDGES, ask=ask)
        if not result.steps:
            assert result.proxy == result.raw
            assert result.reason
        else:
            raw.append(expr)
            simple.append(result.proxy.expression)
            assert complexity(simple[-1]) < complexity(expr)
    assert raw
    assert differences(simple, raw) == []

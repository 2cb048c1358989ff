"""Random formulas on made-up networks: emitted code and interpreter agree, also when simplified.

By default 1,000. ``AUTODAS_FUZZ_COMPILED=5000`` tries that many, ``AUTODAS_FUZZ_SEED=7`` others.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cache
from typing import Any

import pytest
from evaluation import agree, interpreted
from fake_networks import Fake, networks
from random_formulas import random_formula
from strategies import seeded_scores

from autodas_dsl.algebra.simplify import Judges, simplify
from autodas_dsl.compiler.engine import Engine
from autodas_dsl.compiler.interpret import Invalid, ShapeMismatch, interpret
from autodas_dsl.compiler.lower import lower
from autodas_dsl.language.check import check
from autodas_dsl.language.documents import expression_proxy
from autodas_dsl.language.format import format_expression
from autodas_dsl.language.inputs import Statistic
from autodas_dsl.language.tree import Expr, complexity
from autodas_dsl.scoring.proof import Proof

COUNT = int(os.environ.get("AUTODAS_FUZZ_COMPILED", "1000"))
SEED = int(os.environ.get("AUTODAS_FUZZ_SEED", "0"))
SLICE = 100
WITH_SYMPY = 2  # of each thousand: a process of its own and seconds each
NETS = networks()
PROOF = Proof()
JUDGES = Judges(PROOF.equal, None, PROOF.same_order)
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
    return (*found, *seeded_scores(SLICE // 2, seed=first))


def fits(expr: Expr, net: Fake) -> bool:
    try:
        interpret(lower(expr), net)
    except Invalid as error:
        return not isinstance(error, ShapeMismatch)
    return True


def differences(formulas: list[Expr], expected: list[Expr]) -> list[str]:
    """Where emitted code, or the interpreter, scores otherwise than another formula's meaning."""
    wrong = []
    outcomes = Engine(NETS).evaluate([lower(expr) for expr in formulas])
    for expr, other, outcome in zip(formulas, expected, outcomes, strict=True):
        for net, emitted, reason in zip(NETS, outcome.scores, outcome.reasons, strict=True):
            if expr != other and not fits(other, net):
                continue  # a formula that requires less may be simpler
            plain, wanted = interpreted(lower(expr), net), interpreted(lower(other), net)
            if (emitted == emitted) == bool(reason):
                wrong.append(f"{format_expression(expr)}: {emitted} because of {reason!r}")
            if not agree(emitted, wanted, Arrays(net), other) or not agree(
                plain, wanted, Arrays(net), other
            ):
                wrong.append(f"{format_expression(expr)}: {emitted} {plain} {wanted}")
    return wrong


def test_the_networks_have_every_statistic() -> None:
    named = set().union(*(check(expr).statistics for expr in population(0)))
    assert named <= set(NETS[0].values)


@slices
def test_emitted_code_is_the_interpreter(start: int) -> None:
    formulas = list(population(start))
    assert differences(formulas, formulas) == []


@slices
def test_simplified_formulas_score_as_the_raw_ones(start: int) -> None:
    raw, simple = [], []
    for number, expr in enumerate(population(start)):
        ask = None if (start + number) % 1000 < WITH_SYMPY else lambda expr: []
        result = simplify(expression_proxy(format_expression(expr)), JUDGES, ask=ask)
        assert not result.sympy_stopped, result.reason
        if result.steps:
            raw.append(expr)
            simple.append(result.proxy.expression)
            assert complexity(simple[-1]) < complexity(expr)
    assert raw
    assert differences(simple, raw) == []

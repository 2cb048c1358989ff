"""Engine, interpreter and NumPy agree: on generated trees, on the library, on poisoned values."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from evaluation import Formula, agree, interpreted, score, text
from reference import REFERENCE
from strategies import seeded_scores
from worlds import Shapes, World, collected, shapes

from autodas_dsl.compiler import kernels
from autodas_dsl.compiler.engine import Engine
from autodas_dsl.compiler.pipeline import to_ir
from autodas_dsl.compiler.populated import is_populated
from autodas_dsl.language.check import check
from autodas_dsl.language.kinds import Kind
from autodas_dsl.language.library import library_names, library_proxy
from autodas_dsl.language.parse import parse
from autodas_dsl.language.proxy import Proxy
from autodas_dsl.language.tree import Expr

COUNT = 3000
SLICE = 250
EQUAL = shapes()
UNEQUAL = shapes(teacher=10, layers=4)


def compare(formulas: list[Formula], worlds: list[World], shape: Shapes) -> list[str]:
    """Evaluate all three ways; the disagreements."""
    statistics = set()
    kept: list[Formula] = []
    for formula in formulas:
        checked = formula.check() if isinstance(formula, Proxy) else check(formula)
        assert checked.ok, text(formula)
        if all(shape.meet(needed) for needed in checked.requirements):
            statistics |= checked.statistics
            kept.append(formula)
    stored = [collected(world, statistics) for world in worlds]
    nodes = [to_ir(formula) for formula in kept]
    outcomes = Engine(stored).evaluate(nodes)
    wrong = []
    for formula, node, outcome in zip(kept, nodes, outcomes, strict=True):
        for world, values, emitted in zip(worlds, stored, outcome.scores, strict=True):
            plain, reference = interpreted(node, values), score(formula, world)
            if not (
                agree(emitted, reference, world, formula)
                and agree(plain, reference, world, formula)
            ):
                wrong.append(f"{text(formula)}: {emitted} {plain} {reference}")
    return wrong


@pytest.fixture(scope="module")
def generated() -> list[Expr]:
    return seeded_scores(COUNT, seed=0, alone=True)


@pytest.mark.parametrize("start", range(0, COUNT, SLICE))
def test_generated_trees(generated: list[Expr], start: int) -> None:
    worlds = [World(EQUAL, seed=1), World(EQUAL, seed=2)]
    assert compare(list(generated[start : start + SLICE]), worlds, EQUAL) == []


def test_generated_trees_on_poisoned_values(generated: list[Expr]) -> None:
    """NaN, infinities and zeros among the statistics: invalid in the same places."""
    worlds = [World(EQUAL, seed=seed, poison=0.1) for seed in range(3)]
    assert compare(list(generated[::8]), worlds, EQUAL) == []


def test_generated_trees_where_student_and_teacher_differ(generated: list[Expr]) -> None:
    worlds = [World(UNEQUAL, seed=3)]
    assert compare(list(generated[::8]), worlds, UNEQUAL) == []


def test_library() -> None:
    every = [library_proxy(name) for name in library_names()]
    proxies: list[Formula] = [proxy for proxy in every if not is_populated(to_ir(proxy))]
    for shape, seed in ((EQUAL, 4), (EQUAL, 5), (UNEQUAL, 6)):
        assert compare(proxies, [World(shape, seed)], shape) == []


def test_a_population_scores_as_each_formula_alone(generated: list[Expr]) -> None:
    formulas = [e for e in generated[:120] if not check(e).requirements]
    statistics = set().union(*(check(e).statistics for e in formulas))
    stored = [collected(World(EQUAL, seed), statistics) for seed in (7, 8)]
    nodes = [to_ir(e) for e in formulas]
    together = Engine(stored).evaluate(nodes)
    for node, outcome in zip(nodes, together, strict=True):
        alone = Engine(stored).evaluate([node])[0]
        assert np.array_equal(alone.scores, outcome.scores, equal_nan=True)


def test_an_invalid_score_says_why() -> None:
    """The same formulas as above can be invalid; then there is a reason, else none."""
    formula = parse("log(-|sum(mean(W))|)")
    values = collected(World(EQUAL, seed=9), check(formula).statistics)
    outcome = Engine([values]).evaluate([to_ir(formula)])[0]
    assert math.isnan(outcome.scores[0])
    assert outcome.reasons[0]
    valid = parse("log(1 + |sum(mean(W))|)")
    outcome = Engine([values]).evaluate([to_ir(valid)])[0]
    assert outcome.reasons == ("",)


@pytest.mark.parametrize(
    "text", ["1^logdet(log(NTK[n=3]) / 1000)", "max(0.1 - min[B](reldist(0 * sign(E_s))))^0"]
)
def test_a_power_hides_what_is_not_finite(text: str) -> None:
    assert compare([parse(text)], [World(EQUAL, seed=1)], EQUAL) == []
    values = collected(World(EQUAL, seed=1), check(parse(text)).statistics)
    assert interpreted(to_ir(parse(text)), values) == 1


@pytest.mark.parametrize(
    "text",
    ["1 / 0", "sign(1 / 0)", "params * relu(log(0))", "max(1, log(0 - 1))", "0 / 0 + params"],
)
def test_constants_that_are_not_finite(text: str) -> None:
    formula = parse(text)
    world = World(EQUAL, seed=9)
    stored = collected(world, check(formula).statistics)
    outcome = Engine([stored]).evaluate([to_ir(formula)])[0]
    assert math.isnan(outcome.scores[0])
    assert math.isnan(interpreted(to_ir(formula), stored))
    assert math.isnan(score(formula, world))


def test_relative_distances_of_equal_and_of_close_rows() -> None:
    rows = torch.randn(5, 64, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    rows[1] = rows[0]
    for x in (rows, 100 + rows / 1000):
        exact = REFERENCE["reldist"]([x.numpy()], {}, [Kind()])
        np.testing.assert_allclose(kernels.reldist(x, 2).numpy(), exact, rtol=1e-10)
        assert exact[0, 1] == 0
    single = (100 + rows / 1000).float()
    exact = REFERENCE["reldist"]([single.double().numpy()], {}, [Kind()])
    np.testing.assert_allclose(kernels.reldist(single, 2).numpy(), exact, rtol=1e-5)

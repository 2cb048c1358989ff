"""Constants fitted when a search is over: on made-up numbers, where a constant changes rankings."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from evolution_tables import numbers
from hypothesis import given, settings
from hypothesis import strategies as st

from autodas_dsl.compiler.ir import Node
from autodas_dsl.compiler.outcome import Outcome
from autodas_dsl.compiler.pipeline import to_ir
from autodas_dsl.evolution.config import Config
from autodas_dsl.evolution.constants import CONSTANTS, STEPS, ConstantFitter
from autodas_dsl.evolution.evaluator import FitnessEvaluator
from autodas_dsl.evolution.fitness import jackknife_error, left_out
from autodas_dsl.evolution.generate import Generator
from autodas_dsl.evolution.individual import Individual
from autodas_dsl.evolution.null import null_level
from autodas_dsl.evolution.run import evolve
from autodas_dsl.evolution.task import Networks, Task
from autodas_dsl.evolution.vary import Varier
from autodas_dsl.evolution.vocabulary import Vocabulary, chosen_operators, chosen_statistics
from autodas_dsl.language.errors import InputError
from autodas_dsl.language.format import format_expression
from autodas_dsl.language.infer import never
from autodas_dsl.language.parse import parse

N = 60
FIT = Config(
    population=8, iterations=12, inputs=("params", "flops", "layers"), seed=1,
    operators=("arithmetic",), terms="instinct", fit_constants=True, null_repeats=1,
)  # fmt: skip
FUNCTIONS = {
    "add": np.add, "sub": np.subtract, "mul": np.multiply, "div": np.divide, "pow": np.power,
    "maximum": np.maximum, "minimum": np.minimum, "neg": np.negative,
}  # fmt: skip


def values(node: Node, n: int) -> np.ndarray:
    if node.op == "number":
        return np.full(n, node.value)
    if node.op == "stat":
        return 1 + numbers(str(node.statistic), n)
    return FUNCTIONS[node.op](*(values(arg, n) for arg in node.args))


class Numbers:
    """An evaluator that computes; `seen` counts the formulas."""

    def __init__(self, start: int = 0) -> None:
        self.start, self.seen = start, 0

    def __call__(self, nodes: Sequence[Node]) -> list[Outcome]:
        self.seen += len(nodes)
        with np.errstate(all="ignore"):
            found = [values(node, self.start + N)[self.start :] for node in nodes]
        whole = [np.where(np.isfinite(x), x, np.nan) for x in found]
        return [Outcome(x, tuple("" if np.isfinite(v) else "bad" for v in x)) for x in whole]


def truth(text: str, start: int = 0) -> np.ndarray:
    """The accuracies that follow a formula exactly."""
    return values(to_ir(parse(text)), start + N)[start:]


def task(text: str, evaluator: Numbers | None = None, noise: float = 0.0) -> Task:
    halves = [
        Networks(one, truth(text, one.start) + noise * np.random.default_rng(one.start).normal(size=N))
        for one in (evaluator or Numbers(), Numbers(N))
    ]  # fmt: skip
    return Task("made-up", "kd", halves[0], halves[1], (), "half", "made-up")


def fitted(
    formula: str, made_of: str, config: Config = FIT, noise: float = 0.0
) -> tuple[Individual, Individual, FitnessEvaluator]:
    """A formula on accuracies that follow another, before and after its constants are fitted."""
    evaluator = FitnessEvaluator([task(made_of, noise=noise)], config)
    vocabulary = Vocabulary(
        chosen_statistics(config.inputs), chosen_operators(config.operators), config.terms
    )
    (start,) = evaluator.evaluate([parse(formula)])
    fitter = ConstantFitter(Varier(Generator(vocabulary)), evaluator, config)
    assert fitter.needed([start]) <= CONSTANTS * 2 * len(STEPS)
    found = fitter.fitted([start])
    return start, (found or [start])[0], evaluator


def test_a_planted_constant_is_found() -> None:
    start, found, evaluator = fitted("params + 2 * flops", "params + 5 * flops")
    assert start.tau < 0.9
    assert found.tau > 0.97
    assert evaluator.rankable == [found, start]


@pytest.mark.parametrize(
    ("formula", "made_of"),
    [
        ("params + flops^2", "params + flops^4.4"),  # an exponent
        ("params / (flops + 1)", "params / (flops + 0.2)"),  # an epsilon
        ("max(params, 1) + flops", "max(params, 1.5) + flops"),  # a clip
    ],
)
def test_constants_of_every_place_are_fitted(formula: str, made_of: str) -> None:
    start, found, _ = fitted(formula, made_of)
    assert found.tau > start.tau + 0.01


def test_constants_are_short() -> None:
    _, found, _ = fitted("params + 3 * flops", "params + 4.9 * flops")
    assert format_expression(found.expr) == "params + 5.04 * flops"


def test_one_that_changes_no_ranking_costs_two_evaluations() -> None:
    start, found, evaluator = fitted("(params * 3)^2", "params^2")
    assert found is start
    assert evaluator.counts.evaluations == 1 + 2 + 1, "x^1 is no formula"


def test_what_noise_would_do_is_not_taken() -> None:
    """The steps find a better value on accuracies that the constant has nothing to do with."""
    start, found, evaluator = fitted("params + 2 * flops", "layers", noise=1.0)
    trials = [one for one in evaluator._known.values() if one is not start]
    assert max(one.value for one in trials) > start.value
    assert found is start
    assert evaluator.rankable == [start]


@settings(max_examples=10, deadline=None)
@given(st.floats(0.05, 20), st.floats(0.05, 20), st.floats(0, 1), st.integers(0, 60))
def test_the_fitness_never_falls_and_the_limit_holds(
    first: float, second: float, noise: float, most: int
) -> None:
    config = replace(FIT, max_evaluations=most)
    formula = f"params + {first:.3g} * flops + layers^{second:.3g}"
    start, found, evaluator = fitted(formula, "params * flops^3", config, noise)
    assert found.value >= start.value
    assert evaluator.counts.evaluations <= max(1, most or 1 + CONSTANTS * 2 * len(STEPS))


def test_the_jackknife_leaves_each_architecture_out_once() -> None:
    accuracies = np.arange(12.0)
    scores = accuracies + np.array([0, 3] * 6)
    found = left_out(scores, accuracies, 4, 0, 0)
    assert found.shape == (4,)
    assert jackknife_error(found) > 0
    assert jackknife_error(left_out(accuracies, accuracies, 4, 0, 0)) == 0


# --- in a search ------------------------------------------------------------------------------


MADE_OF = "params + 5.3 * flops"
SEEDED = replace(FIT, seeds=("params + 2 * flops",))


def files(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name not in ("journal.txt", "lock")
    }


def test_a_search_is_better_for_it_and_counts_it() -> None:
    without = evolve(replace(SEEDED, fit_constants=False), [task(MADE_OF)], baselines=())
    run = evolve(SEEDED, [task(MADE_OF)], baselines=())
    assert run.champion.individual.tau > without.champion.individual.tau
    assert run.counts.evaluations > without.counts.evaluations
    assert run.steps[-1].tau == run.champion.individual.tau
    assert run.steps[-1].evaluations == run.counts.evaluations
    assert len(run.steps) == len(without.steps)


@pytest.mark.parametrize("most", [20, 45, 80])
def test_the_limit_of_evaluations_holds(most: int) -> None:
    config = replace(SEEDED, iterations=1000, max_evaluations=most)
    run = evolve(config, [task(MADE_OF)], baselines=())
    assert run.stopped == "evaluations"
    assert run.counts.evaluations <= most + 1


def test_a_search_that_is_cut_short_fits_nothing() -> None:
    run = evolve(replace(SEEDED, max_time=0.0), [task(MADE_OF)], baselines=())
    assert run.stopped == "time"
    assert run.counts.evaluations == SEEDED.population


def test_a_resumed_run_ends_with_the_same_bytes(tmp_path: Path) -> None:
    whole = tmp_path / "whole"
    evolve(SEEDED, [task(MADE_OF)], baselines=(), folder=whole)
    expected, lines = files(whole), (whole / "journal.txt").read_bytes().splitlines(True)
    for kept in (len(lines), *random.Random(3).sample(range(len(lines)), 1)):
        part = tmp_path / str(kept)
        evolve(replace(SEEDED, max_time=0.0), [task(MADE_OF)], baselines=(), folder=part)
        (part / "journal.txt").write_bytes(b"".join(lines[:kept]))
        evaluator = Numbers()
        evolve(SEEDED, [task(MADE_OF, evaluator)], baselines=(), folder=part, resume=True)
        assert files(part) == expected
        assert evaluator.seen == 0 or kept < len(lines)


def test_searches_on_shuffled_accuracies_fit_constants_too() -> None:
    seen = []
    for fit in (False, True):
        evaluator = Numbers()
        config = replace(SEEDED, fit_constants=fit)
        null_level(config, [task(MADE_OF, evaluator)], never, repeats=3)
        seen.append(evaluator.seen)
    assert seen[0] < seen[1]


def test_without_arithmetic_there_is_no_constant() -> None:
    with pytest.raises(InputError) as caught:
        replace(FIT, operators=("reduction",))
    assert caught.value.diagnostics[0].code == "E670"
    run = evolve(replace(SEEDED, operators=("reduction",)), [task(MADE_OF)], baselines=())
    assert run.stopped == "iterations"

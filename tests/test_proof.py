from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
import torch

from autodas_dsl.evaluation.importance import signed_terms, term_importance
from autodas_dsl.language.check import check, kind_of_expression
from autodas_dsl.language.errors import InputError
from autodas_dsl.language.format import format_expression
from autodas_dsl.language.inputs import INPUTS, Statistic, kind_of
from autodas_dsl.language.kinds import Requirement, integer, symbol
from autodas_dsl.language.parse import parse
from autodas_dsl.language.tree import Expr
from autodas_dsl.simplify.proof import Proof, both, judges, on_architectures, reordered
from autodas_dsl.simplify.random_statistics import (
    PROFILES,
    SHAPES,
    SQUARE,
    VARIED,
    networks,
    random_network,
)

PROOF = Proof()


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("W * grad W", "grad W * W"),
        ("mean(-W)", "-mean(W)"),
        ("sum(|W|_F)", "sum(|-W|_F)"),
        ("2 + 3", "5"),
        ("logsoftmax(E_s + 1)", "logsoftmax(E_s)"),
        ("diswot", "diswot_relation + diswot_semantic"),
        ("std(W - params)", "std(W)"),
        ("sigmoid(F_s) + 0", "sigmoid(F_s)"),
    ],
)
def test_equal_formulas_are_equal(first: str, second: str) -> None:
    assert PROOF.unequal(parse(first), parse(second)) == ""
    assert PROOF.unequal(parse(second), parse(first)) == ""


@pytest.mark.parametrize(
    ("first", "second", "reason"),
    [
        ("W", "grad W", "the values differ"),
        ("W / W", "W / W + 0 * log(W)", "not finite in different ways|finite where the other"),
        ("exp(log(W))", "W", "finite where the other is not"),
        ("sqrt(W^2)", "W", "the values differ"),
        ("mean(mean(log(|W|)))", "mean(mean(abslog(W)))", "one is valid where the other is not"),
        ("log(-|W|_F)", "log(-|W|_F) + 1", "neither is finite"),
        ("W", "params * 1", "shapes differ"),
        ("1e-3 * params", "1e-3 * params + 1e-6", "the values differ"),
        ("1 / W", "1 / (W + 0 * -W)", "not finite in different ways"),
    ],
)
def test_different_formulas_differ(first: str, second: str, reason: str) -> None:
    found = PROOF.unequal(parse(first), parse(second))
    assert any(part in found for part in reason.split("|")), found


def test_order_is_kept_by_what_keeps_it() -> None:
    assert not PROOF.reordered(parse("2 * params + 1"), parse("params"))
    assert not PROOF.reordered(parse("log(sum(|W|_F))"), parse("sum(|W|_F)"))
    assert PROOF.reordered(parse("-params"), parse("params"))
    assert PROOF.reordered(parse("sum(mean(W))^2"), parse("sum(mean(W))"))
    assert PROOF.reordered(parse("log(sum(mean(W)))"), parse("sum(mean(W))"))
    assert PROOF.reordered(parse("log(-params)"), parse("1"))


def test_a_constant_next_to_tiny_scores_keeps_their_order_but_not_their_digits() -> None:
    assert not PROOF.reordered(parse("snip + 3"), parse("snip"))
    assert not PROOF.reordered(parse("3 - 2 * (fisher + 1) / 5"), parse("-fisher"))
    assert PROOF.reordered(parse("3 - snip"), parse("snip"))
    assert PROOF.reordered(parse("snip + 3"), parse("synflow"))
    assert PROOF.reordered(parse("params + 1e300"), parse("params"))
    assert PROOF.reordered(parse("(params + 1) * 1e308"), parse("params"))


def test_score_lists_are_compared_as_rankings() -> None:
    nan = math.nan
    assert not reordered([1, 2, 3], [10, 20, 30])
    assert reordered([1, 2, 3], [10, 30, 20])
    assert reordered([1, 2, 2], [1, 2, 3])
    assert not reordered([1, 1 + 1e-12], [5, 5])
    assert not reordered([nan, 1, 2], [nan, 3, 4])
    assert not reordered([nan, 1, 2], [0, 1, 2])
    assert reordered([nan, 1, 2], [1.5, 1, 2])
    assert reordered([nan, nan], [nan, nan])


def scores_of(table: dict[str, Sequence[float]], expr: Expr) -> Sequence[float]:
    return table[format_expression(expr)]


def test_the_architectures_of_a_run_judge() -> None:
    table = {"params": [1.0, 2.0, 3.0], "flops": [2.0, 4.0, 6.0], "layers": [1.0, 2.0 + 1e-9, 3.0],
             "sum(S)": [math.nan, 2.0, 3.0]}  # fmt: skip

    def scores(expr: Expr) -> Sequence[float]:
        return scores_of(table, expr)

    values, order = on_architectures(scores), on_architectures(scores, values=False)
    params, flops, layers, broken = (parse(text) for text in table)
    assert not values(params, layers)
    assert values(params, flops) == "the scores differ on the architectures"
    assert values(params, broken) == "the scores differ on the architectures"
    assert not order(params, flops)
    assert both(order, values)(params, flops) == "the scores differ on the architectures"
    assert not both(order, values)(params, layers)


def test_all_judges_of_a_run_stand_together() -> None:
    def scores(expr: Expr) -> list[float]:
        return [1.0, 2.0] if "params" in format_expression(expr) else [2.0, 1.0]

    found = judges(scores)
    assert found.rescored is not None
    assert found.reordered is not None
    assert not found.reordered(parse("2 * params"), parse("params"))
    assert found.rescored(parse("params"), parse("flops"))
    assert judges().rescored is None


# --- random statistics ------------------------------------------------------------------------


@pytest.mark.parametrize("base", INPUTS)
def test_random_statistics_have_their_kind(base: str) -> None:
    prefix, _, name = base.rpartition(" ")
    statistic = Statistic(name, prefix)
    kind = kind_of(statistic)
    for network in networks([statistic], [], seed=0, repeats=1):
        value = network.values[statistic]
        if kind.layers and kind.axes:
            assert isinstance(value, tuple)
            assert all(part.dim() == len(kind.axes) for part in value)
        else:
            assert isinstance(value, torch.Tensor)
            assert value.dim() == (1 if kind.layers else len(kind.axes))
        parts = value if isinstance(value, tuple) else (value,)
        assert all(part.dtype == torch.float64 for part in parts)


def test_random_statistics_hold_what_breaks_algebra() -> None:
    statistic = Statistic("W")
    found = networks([statistic], [], seed=0, repeats=1)
    parts = [part for network in found for part in network.values[statistic]]
    assert any(part.numel() == 1 for part in parts)
    assert any(bool((part == 0).any()) and bool((part != 0).any()) for part in parts)
    assert any(bool((part < 0).all()) for part in parts)
    assert max(float(part.abs().max()) for part in parts) > 1e4
    assert {network.label for network in found} == set(PROFILES)
    assert any(len(network.layers["lin"]) == 1 for network in found)


def test_same_seed_same_statistics() -> None:
    statistic = Statistic("F_s", stage=-2)
    first, second = (networks([statistic], [], seed=3, repeats=2) for _ in range(2))
    for one, other in zip(first, second, strict=True):
        assert torch.equal(one.values[statistic], other.values[statistic])  # type: ignore[arg-type]
    assert not torch.equal(first[0].values[statistic], first[1].values[statistic])  # type: ignore[arg-type]


def test_requirements_choose_the_shapes() -> None:
    statistics = [Statistic("F_s"), Statistic("F_t")]
    needed = Requirement(symbol("C_s"), symbol("C_t"))
    free, bound = networks(statistics, [], 0, 1), networks(statistics, [needed], 0, 1)
    assert len(bound) < len(free)
    for network in bound:
        student, teacher = (network.values[s] for s in statistics)
        assert student.shape[1] == teacher.shape[1]  # type: ignore[union-attr]
    square = Requirement(symbol("c_W"), symbol("r_W"), "lin")
    assert networks([Statistic("W")], [square], 0, 1)
    assert not networks([Statistic("W")], [Requirement(symbol("c_W"), integer(99), "lin")], 0, 1)


def test_special_statistics_are_what_they_are() -> None:
    names = ["Y", "attn", "index", "params", "S"]
    wanted = [Statistic(name) for name in names]
    rng = np.random.default_rng(0)
    network = random_network(wanted, SHAPES["varied"], "negative", rng)
    hot, attn, index, params, variance = (network.values[s] for s in wanted)
    assert torch.equal(hot.sum(1), torch.ones(5, dtype=torch.float64))  # type: ignore[union-attr]
    assert set(attn.tolist()) <= {0.0, 1.0}  # type: ignore[union-attr]
    assert index.tolist() == [1.0, 2.0, 3.0]  # type: ignore[union-attr]
    assert float(params) >= 1  # type: ignore[arg-type]
    assert bool((variance > 0).all())  # type: ignore[operator]


# --- importance of terms ----------------------------------------------------------------------

ACCURACIES = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6]
COLUMNS = {"params": [1.0, 2, 3, 4, 5, 6], "flops": [0.01, 0.03, 0.02, 0.01, 0.02, 0.01],
           "layers": [3.0, 1, 2, 6, 5, 4]}  # fmt: skip


def linear(expr: Expr) -> list[float]:
    """Scores of sums and differences of columns."""
    totals = [0.0] * len(ACCURACIES)
    for part in signed_terms(expr):
        text = format_expression(part)
        sign = -1 if text.startswith("-") else 1
        column = COLUMNS[text.lstrip("-")]
        totals = [t + sign * c for t, c in zip(totals, column, strict=True)]
    return totals


def test_terms_are_taken_apart_with_their_signs() -> None:
    found = signed_terms(parse("-(params - flops) + (layers - -params)"))
    assert [format_expression(part) for part in found] == ["-params", "flops", "layers", "params"]


def test_the_term_that_does_the_work_comes_first() -> None:
    first, second = term_importance(parse("flops + params"), linear, ACCURACIES)
    assert first.text == "params"
    assert first.changes_ranking
    assert first.alone == pytest.approx(1)
    assert second.text == "flops"
    assert not second.changes_ranking
    assert second.kept == pytest.approx(1)
    assert second.without == pytest.approx(1)
    assert first.share + second.share == pytest.approx(1)
    assert first.share > 0.99


def test_a_subtracted_term_is_left_out_with_its_sign() -> None:
    found = {t.text: t for t in term_importance(parse("params - layers"), linear, ACCURACIES)}
    assert set(found) == {"params", "-layers"}
    assert found["-layers"].without == pytest.approx(1)
    assert found["-layers"].alone is not None
    assert found["-layers"].alone < 0


def test_invalid_terms_are_no_numbers() -> None:
    def scores(expr: Expr) -> list[float]:
        broken = "flops" in format_expression(expr)
        return [math.nan] * 6 if broken else [float(n) for n in range(6)]

    found = {t.text: t for t in term_importance(parse("params + flops"), scores, ACCURACIES)}
    assert math.isnan(found["flops"].share)
    assert found["flops"].alone is None
    assert found["flops"].without == pytest.approx(1)


def test_a_score_without_terms_is_refused() -> None:
    with pytest.raises(InputError, match="E814"):
        term_importance(parse("params"), linear, ACCURACIES)


def test_align_takes_only_what_its_kernel_takes() -> None:
    refused = kind_of_expression(parse("align(std[B]([E_s, E_t]))"))
    assert [found.code for found in refused.diagnostics] == ["E207"]
    assert kind_of_expression(parse("align([E_s, E_t])")).ok


def test_sizes_of_first_last_and_joined_layers_are_known_to_the_proof() -> None:
    for formula in ("cond(last(W))", "sum(sum(mean[B](concat(X)) + mean[B](concat(X))))"):
        needed = [n for n in check(parse(formula)).requirements]
        assert isinstance(SQUARE.fits(needed), bool)
    square = [n for n in check(parse("cond(first(W))")).requirements]
    assert SQUARE.fits(square)
    assert not VARIED.fits(square)

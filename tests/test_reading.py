"""Values that are collected in place of the statistics they are made of."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from small_networks import BATCH, Small, seeded

from autodas_dsl.compiler.engine import Engine
from autodas_dsl.compiler.interpret import NotFinite, interpret
from autodas_dsl.compiler.ir import statistics_of
from autodas_dsl.compiler.pipeline import to_ir
from autodas_dsl.compiler.reading import needed, reading
from autodas_dsl.models.spaces import named_source
from autodas_dsl.scoring.score import Batches
from autodas_dsl.scoring.setting import Data
from autodas_dsl.statistics.collect import collect

FORMULAS = (
    "sum(erank(chancov(A)))",
    "sum(min(eigvals(chancorr(A))))",
    "sum(logdet(chancorr(X) + 0.5))",
    "mean(prank(chancov(grad A)))",
    "sum(max(eigvals(chancov(X[all]))))",
    "max(eigvals(chancov(F_s))) - erank(chancorr(F_s[-2]))",
    "logdet(total(hamming(X)))",
    "sum(|chancov(A)|_F) * mean(mean(A))",
    "mean(mean(mean[HW](|A|)))",
)


def names(formula: str) -> list[str]:
    return [str(statistic) for statistic in needed([to_ir(formula)])]


def test_what_is_needed_of_a_formula() -> None:
    assert names("sum(erank(chancov(A))) + sum(min(eigvals(chancorr(grad A))))") == [
        "chancorr(grad A)", "chancov(A)",
    ]  # fmt: skip
    assert names("sum(erank(chancov(A))) * mean(mean(A))") == ["A", "chancov(A)"]
    assert names("sum(erank(chancov(A + A)))") == ["A"], "of the statistic itself alone"
    assert names("erank(chancov(E_s))") == ["E_s"], "which is small"


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("formula", FORMULAS)
def test_collected_instead_is_computed_from_the_whole(formula: str, dtype: torch.dtype) -> None:
    network, node = seeded(Small), to_ir(formula)
    whole = collect(network, BATCH, statistics_of([node]), dtype=dtype)
    small = collect(network, BATCH, needed([node]), dtype=dtype)
    expected = interpret(node, whole)
    close = pytest.approx(expected, rel=1e-4 if dtype == torch.float32 else 1e-9)
    assert interpret(node, small) == close
    assert Engine([small]).evaluate([node])[0].scores[0] == close
    assert Engine([whole]).evaluate([node])[0].scores[0] == close


@pytest.mark.parametrize(
    "model",
    [
        "digits-resnet:depth=1-2-1,width=4-8-8",
        "nasbench201:|nor_conv_3x3~0|+|none~0|skip_connect~1|+|none~0|none~1|nor_conv_1x1~2|",
    ],
)
def test_matrices_of_dead_and_of_constant_channels(model: str) -> None:
    source = named_source(model)
    batch = Batches(Data("noise", 8)).of(source, 0)
    nodes = [to_ir(f"mean(|{value}|_F)") for value in
             ("chancov(A)", "chancorr(A)", "chancov(grad A)", "hamming(X)")]  # fmt: skip
    network = source.build(0)
    whole = collect(network, batch, statistics_of(nodes), dtype=torch.float64)
    small = collect(network, batch, needed(nodes), dtype=torch.float64)
    for node in nodes:
        assert interpret(node, small) == pytest.approx(interpret(node, whole), rel=1e-9)


def test_what_hides_infinity_does_not_hide_it_when_collected() -> None:
    network, node = seeded(Small), to_ir("logdet(total(hamming(X)))")
    batch = replace(BATCH, x=torch.full_like(BATCH.x, 1e38))
    found = collect(network, batch, needed([node]))
    with pytest.raises(NotFinite):
        interpret(node, found)


def test_what_was_not_collected_is_made_of_the_statistic() -> None:
    node = to_ir("sum(erank(chancov(A))) + sum(erank(chancorr(A)))")
    held = needed([to_ir("sum(erank(chancov(A))) + mean(mean(A))")])
    assert [str(s) for s in statistics_of([reading(node, held)])] == ["A", "chancov(A)"]
    network = seeded(Small)
    found = collect(network, BATCH, held)
    whole = collect(network, BATCH, statistics_of([node]))
    assert interpret(node, found) == pytest.approx(interpret(node, whole), rel=1e-4)


def test_matrices_are_kept_and_activations_are_not() -> None:
    found = collect(seeded(Small), BATCH, needed([to_ir("sum(erank(chancov(A)))")]))
    ((statistic, matrices),) = found.values.items()
    assert str(statistic) == "chancov(A)"
    assert [tuple(matrix.shape) for matrix in matrices] == [(4, 4), (6, 6), (6, 6), (5, 5)]
    assert found.layers["A"] == ("stem", "deep", "short", "fc")

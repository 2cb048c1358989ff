"""Values that are collected in place of the statistics they are made of."""

from __future__ import annotations

import weakref
from dataclasses import replace

import pytest
import torch
from small_networks import BATCH, Small, seeded
from torch import Tensor, nn

from autodas_dsl.compiler.engine import Engine
from autodas_dsl.compiler.interpret import NotFinite, interpret
from autodas_dsl.compiler.ir import statistics_of
from autodas_dsl.compiler.pipeline import to_ir
from autodas_dsl.compiler.reading import needed, needed_by_layer, reading
from autodas_dsl.language.inputs import Statistic
from autodas_dsl.language.library import load
from autodas_dsl.models.spaces import named_source
from autodas_dsl.scoring.score import Batches
from autodas_dsl.scoring.scorer import Scorer, bind
from autodas_dsl.scoring.setting import Data
from autodas_dsl.statistics.collect import collect
from autodas_dsl.statistics.gradients import gradient, innermost

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


# --- of one layer after the other -----------------------------------------------------------------

BY_LAYER = (
    "fisher", "peaks", "head_confidence", "near", "dextr", "meco_opt", "meco_released",
    "sum(std(A) * std(grad A))",
    "sum(log(mean(A * grad A) + 3))",
    "sum(mean(X * grad X))",
    "logdet(total(corr(X) + corr(grad X)) + 1)",
    "sum(mean(softmax[C](Z)))",
    "mean(erank(chancov(A)) * mean(relu(A)))",
    "sum(mean(A)) * mean(std(W))",
    "mean(std(minmax(grad A)))",
    "sum(mean(|A[robust]|)) + sum(mean(A[absolute]))",
)  # fmt: skip


class Awkward(nn.Module):
    """A layer that is used twice, one that is not called, one whose output nothing reads, and
    functions that write into what they are given."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3, padding=1)
        self.twice = nn.Conv2d(4, 4, 3, padding=1)
        self.dead = nn.Conv2d(4, 2, 1)
        self.uncalled = nn.Linear(3, 2)
        self.act = nn.GELU()
        self.attend = nn.MultiheadAttention(4, 2, batch_first=True)
        self.fc = nn.Linear(4, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu_(self.stem(x))
        self.dead(x)
        x = self.act(self.twice(self.act(self.twice(x))))
        tokens = x.flatten(2).transpose(1, 2)
        return self.fc(self.attend(tokens, tokens, tokens)[0].mean(1))


def by_layer(*formulas: str) -> list[str]:
    return [str(statistic) for statistic in needed_by_layer([to_ir(text) for text in formulas])]


def test_what_is_needed_by_layer() -> None:
    assert by_layer("fisher") == ["W", "mean(pow(sum(mul(grad A, A), axis=HW), 2.0))"]
    assert by_layer("sum(log(mean(|A|)) * std(A))") == ["mean(abs(A))", "std(A)"]
    assert by_layer("logdet(total(2^block * (corr(X) + corr(grad X))))") == [
        "block", "corr(X)", "corr(grad X)",
    ]  # fmt: skip
    assert by_layer("sum(min(eigvals(chancorr(A))))") == ["chancorr(A)"], "small already"
    assert by_layer("mean(mean(W))", "mean(S)") == ["S", "W"]


@pytest.mark.parametrize(
    "formula",
    [
        "patterns(concat(X))",
        "sum(mean(A * mean(mean(A))))",
        "mean(mean(A[absolute] * A[robust]))",
    ],
)
def test_what_no_layer_gives_alone_is_read_whole(formula: str) -> None:
    assert not [name for name in by_layer(formula) if "(" in name and name != "mean(A)"]
    assert set(map(str, statistics_of([to_ir(formula)]))) <= set(by_layer(formula))


def test_nothing_is_made_by_layer_of_what_is_read_whole_anyway() -> None:
    assert by_layer("patterns(concat(X))", "sum(mean(X))", "sum(mean(A))") == ["X", "mean(A)"]
    beside = [Statistic("A")]
    assert [str(s) for s in needed_by_layer([to_ir("fisher")], beside)] == ["A", "W", "grad A"]


@pytest.mark.parametrize("make", [Small, Awkward])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_scores_by_layer_are_those_of_whole_statistics_to_the_bit(
    make: type[nn.Module], dtype: torch.dtype
) -> None:
    network, batch = seeded(make), replace(BATCH, x=BATCH.x[:4], y=BATCH.y[:4])
    formulas = [bind(load(text)) for text in (*BY_LAYER, "head_sensitivity", "wrcor")]
    whole, _ = Scorer(formulas, batch, dtype=dtype).explain(network)
    together = Scorer(formulas, batch, dtype=dtype)(network)
    alone = [Scorer([formula], batch, dtype=dtype)(network)[0] for formula in formulas[:6]]
    for found in (together, alone):
        shown = [(one.value.hex(), one.reason, one.unmet) for one in found]
        expected = [(one.value.hex(), one.reason, one.unmet) for one in whole]
        assert shown == expected[: len(shown)]


@pytest.mark.parametrize(
    ("formula", "reason"),
    [
        ("sum(mean(1 / (A - A)))", "`/` gave inf in layer stem"),
        ("sum(log(mean(A - A) - 1))", "`log` gave nan"),
        ("sum(max(H))", "H: the network makes no attention map"),
        ("sum(min(eigvals(mean[B](A))))", "requires c_A = r_A"),
    ],
)
def test_what_is_to_blame_is_found_in_whole_statistics(formula: str, reason: str) -> None:
    (found,) = Scorer([bind(load(formula))], BATCH)(seeded(Small))
    assert reason in found.reason


def test_overflowing_layers_are_blamed_as_in_whole_statistics() -> None:
    batch = replace(BATCH, x=torch.full_like(BATCH.x, 1e38))
    texts = ("sum(max(svdvals(mean[B](A))))", "peaks", "fisher", "logdet(total(corr(X)))", "near")
    formulas = [bind(load(text)) for text in texts]
    whole, _ = Scorer(formulas, batch).explain(seeded(Small))
    found = Scorer(formulas, batch)(seeded(Small))
    assert [one.reason for one in found] == [one.reason for one in whole]
    assert not all(one.valid for one in found)


def test_tensors_are_let_go_as_they_pass() -> None:
    network, outputs, alive = seeded(Small), [], []

    def after(module: nn.Module, args: object, output: Tensor) -> None:
        outputs.append(weakref.ref(output))

    def last(module: nn.Module, args: object, output: Tensor) -> None:
        alive.append([output() is not None for output in outputs])

    network.stem.register_forward_hook(after)
    network.fc.register_forward_hook(last)
    collect(network, BATCH, needed_by_layer([to_ir("sum(mean(max[HW](A)))")]))
    collect(network, BATCH, [Statistic("A")])
    assert alive == [[False], [False, True]]


def test_a_value_of_tensor_and_gradient_is_not_collected_beside_them() -> None:
    wanted = [*needed_by_layer([to_ir("fisher")]), Statistic("A")]
    with pytest.raises(ValueError, match="its parts are not"):
        collect(seeded(Small), BATCH, wanted)


def test_gradients_come_by_all_tensors_on_the_way_to_the_innermost() -> None:
    leaf = torch.ones(2, requires_grad=True)
    middle = leaf * 2
    beside = torch.ones(2, requires_grad=True)
    top = middle * beside
    assert innermost([top, middle, beside]) == [middle, beside]
    unused = torch.ones(2, requires_grad=True)
    came: dict[str, list[float]] = {}
    named = {"top": top, "middle": middle, "unused": unused}
    awaited = [
        (t, lambda g, name=name: came.update({name: g.tolist()})) for name, t in named.items()
    ]
    assert gradient("grad A", (top**2).sum(), [], awaited=awaited) == ()
    assert came == {"top": [4, 4], "middle": [4, 4], "unused": [0, 0]}
    assert list(came) == ["top", "middle", "unused"]


def test_what_a_network_lacks_is_missed_by_its_own_formula_alone() -> None:
    formulas = [bind(load(text)) for text in ("erank(chancorr(F_s[-2]))", "sum(mean(A))")]
    lacking, other = Scorer(formulas, BATCH)(seeded(Awkward))
    assert lacking.unmet
    assert lacking.reason.startswith("F_s[-2]: the network has 1 stage")
    assert other.valid

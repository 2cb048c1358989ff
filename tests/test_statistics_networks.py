"""Networks of all kinds: a right answer, or a clear diagnostic."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from small_networks import (
    BATCH,
    E_S,
    EVERYTHING,
    F_S,
    FLOW,
    GRAD,
    GRAD_A,
    GRAD_V,
    HESS,
    P_S,
    V_S,
    A,
    S,
    Small,
    W,
    X,
    batch_of,
    same,
    seeded,
)
from torch import Tensor, nn

from autodas_dsl.data.batches import Batch
from autodas_dsl.language.errors import InputError
from autodas_dsl.language.inputs import Statistic
from autodas_dsl.statistics.collect import collect
from autodas_dsl.statistics.errors import StatisticError


def test_a_reused_layer_gives_one_entry_per_call() -> None:
    class Reused(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 3, 3, padding=1)
            self.act = nn.ReLU()
            self.fc = nn.Linear(3, 5)

        def forward(self, x: Tensor) -> Tensor:
            for _ in range(3):
                x = self.act(self.conv(x))
            return self.fc(x.mean((2, 3)))

    network = seeded(Reused)
    found = collect(network, BATCH, [W, GRAD, A, GRAD_A, X])
    assert len(found[W]) == len(found[GRAD]) == 2
    assert found.layers["A"] == ("conv", "conv#2", "conv#3", "fc")
    assert len(found[A]) == len(found[GRAD_A]) == 4
    assert found.layers["act"] == ("act", "act#2", "act#3")
    for a, x in zip(found[A], found[X], strict=False):
        assert torch.equal(a, x)
    # The chain rule ties the gradient of the weight to those of its three outputs.
    weight = network.conv.weight.detach().requires_grad_()
    state = {"conv.weight": weight}
    loss = F.cross_entropy(torch.func.functional_call(network, state, BATCH.x), BATCH.y)
    assert torch.allclose(found[GRAD][0], torch.autograd.grad(loss, weight)[0].flatten(1))


def test_a_module_registered_twice_and_tied_weights_count_once() -> None:
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one = nn.Linear(5, 5)
            self.alias = self.one
            self.two = nn.Linear(5, 5)
            self.two.weight = self.one.weight
            self.head = nn.Linear(5, 5)

        def forward(self, x: Tensor) -> Tensor:
            x = torch.tanh(self.one(x.flatten(1)[:, :5]))
            return self.head(self.alias(x) + self.two(x))

    network = seeded(Tied)
    found = collect(network, BATCH, [W, GRAD, A, Statistic("params"), Statistic("layers")])
    assert found.layers["lin"] == ("one", "head")
    assert float(found[Statistic("params")]) == 25 + 5 + 5 + 25 + 5
    assert float(found[Statistic("layers")]) == 2
    assert found.layers["A"] == ("one", "one#2", "one#3", "head")
    loss = F.cross_entropy(network(BATCH.x), BATCH.y)
    exact = torch.autograd.grad(loss, network.one.weight)[0]
    assert torch.allclose(found[GRAD][0], exact)


def test_an_unused_layer_gives_zeros() -> None:
    network = seeded(Small)
    network.unused = nn.Conv2d(3, 7, 3)
    network.idle = nn.ReLU()
    found = collect(network, BATCH, [W, GRAD, HESS, A, GRAD_A, FLOW, X])
    assert found.layers["lin"][-1] == "unused"
    for statistic in (GRAD, HESS, FLOW):
        assert found[statistic][-1].shape == (7, 27)
        assert not found[statistic][-1].any()
    for statistic in (A, GRAD_A):
        assert found[statistic][-1].shape == (8, 7, 1)
        assert not found[statistic][-1].any()
    assert found.layers["act"] == ("act",)


class Writing(nn.Module):
    """Writes into what its layers return."""

    def __init__(self, write: bool) -> None:
        super().__init__()
        self.write = write
        self.first = nn.Conv2d(3, 3, 3, padding=1)
        self.act = nn.ReLU(inplace=write)
        self.second = nn.Conv2d(3, 3, 3, padding=1)
        self.fc = nn.Linear(3, 5)

    def forward(self, x: Tensor) -> Tensor:
        inner = self.act(self.first(x))
        out = self.second(inner)
        out = out.add_(1.0) if self.write else out + 1.0
        out = F.relu(out, inplace=self.write)
        return self.fc(out.mean((2, 3)))


def test_writing_into_activations_changes_nothing() -> None:
    wanted = [A, GRAD_A, X, Statistic("X", every=True), F_S, GRAD, HESS]
    torch.manual_seed(0)
    network = Writing(True)
    careful = Writing(False)
    careful.load_state_dict(network.state_dict())
    ours, exact = (collect(n, BATCH, wanted) for n in (network, careful))
    assert all(same(ours[s], exact[s]) for s in wanted)
    assert network.act.inplace
    assert float(ours[X][0].min()) < 0


@pytest.mark.parametrize("norm", [lambda: nn.GroupNorm(2, 4), lambda: nn.LayerNorm([4, 8, 8])])
def test_networks_without_batchnorm(norm: Callable[[], nn.Module]) -> None:
    network = nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1), norm(), nn.GELU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 5),
    )  # fmt: skip
    wanted = [s for s in EVERYTHING if s.name != "S" and s.stage == -1]
    found = collect(network, BATCH, wanted)
    assert found[F_S].shape == (8, 4, 8, 8)
    assert torch.allclose(found[F_S].mean((2, 3)), found[E_S])
    with pytest.raises(StatisticError, match=r"E443.*S: the network has no BatchNorm layer"):
        collect(network, BATCH, [S])


def test_what_a_network_lacks_is_listed_and_the_rest_collected() -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(192, 5))
    lacking = [S, Statistic("S", probe="noise"), Statistic("X"), Statistic("X", every=True)]
    absent: dict[Statistic, str] = {}
    found = collect(network, BATCH, [P_S, *lacking], absent=absent)
    assert set(absent) == set(lacking)
    assert absent[lacking[1]] == (
        "S[noise]: the network has no BatchNorm layer; it exists for BatchNorm only"
    )
    assert torch.equal(found[P_S], collect(network, BATCH, [P_S])[P_S])


def test_noise_probe_sets_norms_to_one_and_zero() -> None:
    network = nn.Sequential(nn.Flatten(), nn.LayerNorm(192), nn.Linear(192, 5))
    nn.init.constant_(network[1].weight, 7.0)
    found = collect(network, BATCH, [P_S, Statistic("E_s", probe="noise")])
    embedded = found[Statistic("E_s", probe="noise")]
    assert torch.allclose(embedded.std(1, correction=0), torch.ones(8), atol=1e-3)


@dataclass
class Output:
    logits: Tensor
    loss: Tensor | None = None


@pytest.mark.parametrize(
    "wrap",
    [
        lambda y: {"logits": y, "hidden": y.mean()},
        lambda y: {"out": y},
        lambda y: Output(y),
        lambda y: (y, y * 2),
        lambda y: [y],
    ],
)
def test_outputs_that_hold_logits(wrap: Callable[[Tensor], Any]) -> None:
    class Wrapped(Small):
        def forward(self, x: Tensor) -> Any:
            return wrap(super().forward(x))

    network, bare = seeded(Wrapped), seeded(Small)
    assert same(collect(network, BATCH, [GRAD])[GRAD], collect(bare, BATCH, [GRAD])[GRAD])


@pytest.mark.parametrize(
    "wrap",
    [
        lambda y: {"a": y, "b": y},
        lambda y: y[:, :, None],
        lambda y: y.argmax(1),
        lambda y: y[:4],
        lambda y: None,
        lambda y: (),
        lambda y: ({"logits": y},),
    ],
)
def test_outputs_without_logits(wrap: Callable[[Tensor], Any]) -> None:
    class Wrapped(Small):
        def forward(self, x: Tensor) -> Any:
            return wrap(super().forward(x))

    with pytest.raises(StatisticError, match=r"E441.*logits of shape .8, classes."):
        collect(seeded(Wrapped), BATCH, [P_S])


@pytest.mark.parametrize("pool_first", [False, True])
def test_a_1x1_convolution_as_head(pool_first: bool) -> None:
    pool, head = nn.AdaptiveAvgPool2d(1), nn.Conv2d(4, 5, 1)
    tail = [pool, head] if pool_first else [head, pool]
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), *tail, nn.Flatten())
    found = collect(network, BATCH, [F_S, E_S, P_S, V_S, GRAD_V])
    assert found[F_S].shape == (8, 4, 6, 6)
    assert torch.allclose(found[E_S] @ found[V_S].T + head.bias, found[P_S], atol=1e-6)
    loss = F.cross_entropy(network(BATCH.x), BATCH.y)
    exact = torch.autograd.grad(loss, head.weight)[0].flatten(1)
    assert torch.allclose(found[GRAD_V], exact, atol=1e-6)


def test_classifier_gradient_when_logits_are_rescaled() -> None:
    class Scaled(Small):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x) * 3.0

    network = seeded(Scaled)
    found = collect(network, BATCH, [GRAD_V, GRAD])
    assert torch.allclose(found[GRAD_V], found[GRAD][-1], atol=1e-6)


def test_no_classifier() -> None:
    class Cosine(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = nn.Linear(192, 7)
            self.centres = nn.Parameter(torch.ones(7, 5))

        def forward(self, x: Tensor) -> Tensor:
            return self.body(x.flatten(1)) @ self.centres

    with pytest.raises(StatisticError, match=r"E446.*V_s: no Conv or Linear layer with 5 outputs"):
        collect(Cosine(), BATCH, [V_S])
    with pytest.raises(StatisticError, match=r"E447.*F_s: no feature map"):
        collect(Cosine(), BATCH, [F_S])
    found = collect(Cosine(), BATCH, [E_S], features={"E": "body"})
    assert torch.equal(found[E_S], BATCH.x.flatten(1))


@pytest.mark.parametrize("half", [torch.bfloat16, torch.float16])
def test_half_precision_networks_are_computed_in_float32(half: torch.dtype) -> None:
    network = seeded(Small).to(half)
    exact = seeded(Small).to(half).float()
    wanted = [W, GRAD, F_S, P_S, FLOW, Statistic("flops")]
    ours, theirs = (collect(n, BATCH, wanted) for n in (network, exact))
    assert all(same(ours[s], theirs[s]) for s in wanted)
    assert ours[GRAD][0].dtype == torch.float32
    assert network.fc.weight.dtype == half


def test_a_network_that_fixes_its_precision_inside() -> None:
    class Fixed(Small):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x.to(torch.bfloat16))

    with pytest.raises(StatisticError, match=r"E440.*float32"):
        collect(seeded(Fixed).bfloat16(), BATCH, [P_S])


# -- errors ------------------------------------------------------------------------------------


def test_nan_weights() -> None:
    network = seeded(Small)
    with torch.no_grad():
        network.deep.weight[0, 0, 0, 0] = float("nan")
    for wanted in ([GRAD], [W], [P_S]):
        with pytest.raises(StatisticError, match=r"E442.*'deep.weight' holds NaN"):
            collect(network, BATCH, wanted)
    assert float(collect(network, BATCH, [Statistic("layers")])[Statistic("layers")]) == 4


def test_weights_whose_sum_overflows_are_fine() -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(192, 5))
    nn.init.constant_(network[1].weight, 3e38)
    collect(network, BATCH, [W])


def test_labels_beyond_the_classes() -> None:
    wrong = Batch(BATCH.x, BATCH.y + 1, 6, "test")
    for statistic in (GRAD, GRAD_V, Statistic("W", "grad", parts=2)):
        with pytest.raises(InputError, match=r"E451.*label 5.*only 5 classes"):
            collect(seeded(Small), wrong, [statistic])
    collect(seeded(Small), wrong, [P_S, FLOW])
    negative = Batch(BATCH.x, BATCH.y - 100, 5, "test")
    for statistic in (GRAD, Statistic("Y")):
        with pytest.raises(StatisticError, match=r"E451.*label -100"):
            collect(seeded(Small), negative, [statistic])


def test_a_network_without_layers() -> None:
    class Bare(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.flatten(1)[:, :5]

    for statistic in (W, GRAD, Statistic("W", "grad", parts=2), Statistic("fan_in")):
        with pytest.raises(StatisticError, match=r"E443.*the network has no Conv or Linear"):
            collect(Bare(), BATCH, [statistic])
    assert collect(Bare(), BATCH, [P_S, Statistic("params")])[P_S].shape == (8, 5)


def test_a_compiled_network_is_read_as_the_plain_one() -> None:
    network = seeded(Small)
    compiled = torch.compile(network)
    assert same(collect(compiled, BATCH, [GRAD])[GRAD], collect(network, BATCH, [GRAD])[GRAD])


def test_a_batch_of_the_wrong_shape() -> None:
    with pytest.raises(StatisticError, match=r"E440.*\[8, 1, 8, 8\]"):
        collect(seeded(Small), batch_of((1, 8, 8)), [P_S])


def test_too_few_samples() -> None:
    for statistic in (Statistic("NTK"), Statistic("W", "grad", parts=9)):
        with pytest.raises(StatisticError, match=r"E452.*the batch has 8"):
            collect(seeded(Small), BATCH, [statistic])


def test_a_stage_that_does_not_exist() -> None:
    with pytest.raises(StatisticError, match=r"E453.*F_s\[-3\]: the network has 2 stage"):
        collect(seeded(Small), BATCH, [Statistic("F_s", stage=-3)])


def test_features_named_by_the_user() -> None:
    network = seeded(Small)
    found = collect(network, BATCH, [F_S, E_S], features={"F": "act", "E": "fc"})
    assert found[F_S].shape == (8, 4, 8, 8)
    assert found.taken == {"F_s": "output of act", "E_s": "input of fc"}
    with pytest.raises(StatisticError, match=r"E448.*no such module.*\n.*did you mean 'norm'"):
        collect(network, BATCH, [F_S], features={"F": "nomr"})
    with pytest.raises(StatisticError, match=r"E447.*'fc' returns"):
        collect(network, BATCH, [F_S], features={"F": "fc"})


def test_features_named_at_dropout_and_by_an_alias() -> None:
    network = seeded(Small)
    network.alias = network.act
    found = collect(network, BATCH, [F_S, E_S], features={"F": "alias", "E": "drop"})
    assert found[F_S].shape == (8, 4, 8, 8)
    assert found[E_S].shape == (8, 6)
    with pytest.raises(StatisticError, match=r"E446.*'drop' is no Conv or Linear"):
        collect(network, BATCH, [V_S], features={"E": "drop"})


def test_classes_of_network_and_batch_may_differ() -> None:
    wide = Batch(BATCH.x, BATCH.y % 3, 3, "test")
    assert collect(seeded(Small), wide, [E_S])[E_S].shape == (8, 6)


def test_a_layer_called_after_the_classifier() -> None:
    class Projecting(Small):
        def __init__(self) -> None:
            super().__init__()
            self.projection = nn.Linear(5, 9)

        def forward(self, x: Tensor) -> Tensor:
            logits = super().forward(x)
            self.projection(logits)
            return logits

    found = collect(seeded(Projecting), BATCH, [E_S])
    assert found.taken["E_s"] == "input of fc"


def test_logits_without_a_graph() -> None:
    class Detached(Small):
        def forward(self, x: Tensor) -> Tensor:
            with torch.no_grad():
                return super().forward(x)

    with pytest.raises(StatisticError, match=r"E449"):
        collect(seeded(Detached), BATCH, [GRAD])


def test_activations_that_have_no_second_derivative() -> None:
    network = nn.Sequential(nn.Flatten(), nn.Hardsigmoid(), nn.Linear(192, 5), nn.Hardsigmoid())
    collect(network, BATCH, [GRAD])
    with pytest.raises(StatisticError, match=r"E458.*hess W: .*hardsigmoid"):
        collect(network, BATCH, [HESS])


def test_weights_used_without_a_call_of_their_layer() -> None:
    class Uncalled(Small):
        def forward(self, x: Tensor) -> Tensor:
            x = F.conv2d(x, self.stem.weight, self.stem.bias, padding=1)
            return F.linear(self.deep(x).mean((2, 3)), weight=self.fc.weight, bias=self.fc.bias)

    class Called(Small):
        def forward(self, x: Tensor) -> Tensor:
            return self.fc(self.deep(self.stem(x)).mean((2, 3)))

    ours, exact = (collect(seeded(n), BATCH, [A, GRAD_A]) for n in (Uncalled, Called))
    assert same(ours[A], exact[A])
    assert same(ours[GRAD_A], exact[GRAD_A])


@pytest.mark.parametrize("batch_first", [True, False])
def test_attention_of_torch(batch_first: bool) -> None:
    class Attention(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.attention = nn.MultiheadAttention(8, 2, batch_first=batch_first)
            self.mlp = nn.Linear(8, 8)
            self.head = nn.Linear(8, 5)

        def forward(self, x: Tensor) -> Tensor:
            x = x.flatten(1, 2)
            x = x if batch_first else x.transpose(0, 1)
            x, _ = self.attention(x, x, x)
            x = x if batch_first else x.transpose(0, 1)
            return self.head(self.mlp(x).mean(1))

    network = seeded(Attention)
    found = collect(network, BATCH, [A, GRAD_A, GRAD, HESS, F_S, Statistic("attn")])
    assert found.layers["A"] == ("attention.out_proj", "mlp", "head")
    output, change = found[A][0], found[GRAD_A][0]
    assert output.shape == (8, 8, 24)
    assert torch.allclose(network.mlp(output.transpose(1, 2)), found[A][1].transpose(1, 2))
    # dL/db of the projection is the sum of dL/dA over samples and positions.
    bias = network.attention.out_proj.bias
    loss = F.cross_entropy(network(BATCH.x), BATCH.y)
    assert torch.allclose(change.sum((0, 2)), torch.autograd.grad(loss, bias)[0], atol=1e-7)
    assert found[Statistic("attn")].tolist() == [1, 0, 0]
    assert found[F_S].shape == (8, 8, 1, 24)


def test_parametrised_and_scripted_networks() -> None:
    network = seeded(Small)
    nn.utils.parametrizations.weight_norm(network.deep)
    with pytest.raises(StatisticError, match=r"E450.*'deep' computes its weight"):
        collect(network, BATCH, [W])
    scripted = torch.jit.ScriptModule()
    with pytest.raises(StatisticError, match=r"E455.*scripted"):
        collect(scripted, BATCH, [W])
    with pytest.raises(StatisticError, match=r"E456.*no shape yet"):
        collect(nn.Sequential(nn.Flatten(), nn.LazyLinear(5)), BATCH, [W])


def test_out_of_memory_is_a_diagnostic() -> None:
    class Greedy(Small):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x) + torch.empty(1 << 60)[0]

    with pytest.raises(StatisticError, match=r"E445.*batch of 8"):
        collect(seeded(Greedy), BATCH, [P_S])

"""What collecting promises: exact semantics, fewest passes, a network left as it was found."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from small_networks import (
    BATCH,
    E_S,
    EVERYTHING,
    F_S,
    FLOW,
    FLOW_BN,
    GRAD,
    GRAD_A,
    GRAD_V,
    HESS,
    ONES,
    P_S,
    V_S,
    A,
    J,
    S,
    Small,
    Snapshot,
    W,
    X,
    same,
    seeded,
)
from torch import Tensor, nn

from autodas_dsl.data.batches import Batch
from autodas_dsl.execution.randomness import seed_for
from autodas_dsl.language.inputs import Statistic
from autodas_dsl.statistics.collect import Collected, collect, collect_teacher
from autodas_dsl.statistics.errors import StatisticError


def test_values_of_one_pass_against_plain_torch() -> None:
    network = seeded(Small).train()
    network.drop.p = 0.0
    found = collect(network, BATCH, [W, GRAD, P_S, E_S, F_S, A, J])
    seen: dict[str, Tensor] = {}
    network.deep.register_forward_hook(lambda m, i, o: seen.__setitem__("A", o))
    network.fc.register_forward_hook(lambda m, i, o: seen.__setitem__("E", i[0]))
    x = BATCH.x.clone().requires_grad_()
    logits = network(x)
    layers = [network.stem, network.deep, network.short, network.fc]
    loss = F.cross_entropy(logits, BATCH.y)
    gradients = torch.autograd.grad(loss, [m.weight for m in layers], retain_graph=True)
    jacobian = torch.autograd.grad(logits.sum(), x)[0].flatten(1)
    assert torch.equal(found[P_S], logits)
    assert torch.equal(found[E_S], seen["E"])
    assert torch.equal(found[A][1], seen["A"].flatten(2))
    assert torch.equal(found[F_S].mean((2, 3)), seen["E"])
    assert torch.allclose(found[J], jacobian)
    assert found.layers["lin"] == ("stem", "deep", "short", "fc")
    for layer, weight, ours, exact in zip(layers, found[W], found[GRAD], gradients, strict=True):
        assert torch.equal(weight, layer.weight.flatten(1))
        assert weight.data_ptr() == layer.weight.data_ptr()
        assert torch.allclose(ours, exact.flatten(1), atol=1e-7)


@pytest.mark.parametrize("statistic", EVERYTHING, ids=str)
def test_alone_or_together_is_the_same(statistic: Statistic, together: Collected) -> None:
    alone = collect(seeded(Small), BATCH, [statistic], dtype=torch.float64)
    assert set(alone.values) == {statistic}
    assert same(alone[statistic], together[statistic])


@pytest.fixture(scope="module")
def together() -> Collected:
    return collect(seeded(Small), BATCH, EVERYTHING, dtype=torch.float64)


def test_kinds_have_the_announced_axes(together: Collected) -> None:
    assert {t.dim() for t in together[Statistic("W", "grad", parts=2)]} == {3}
    for statistic in (W, GRAD, HESS, FLOW, FLOW_BN, ONES):
        assert [t.shape for t in together[statistic]] == [t.shape for t in together[W]]
    for statistic in (A, GRAD_A, X):
        assert all(t.dim() == 3 and len(t) == 8 for t in together[statistic])
    assert together[F_S].shape == (8, 6, 4, 4)
    assert together[Statistic("F_s", stage=-2)].shape == (8, 4, 8, 8)
    assert together[E_S].shape == (8, 6)
    assert together[V_S].shape == together[GRAD_V].shape == (5, 6)
    assert together[Statistic("NTK", parts=4)].shape == (4, 4)
    assert together[J].shape == (8, 3 * 8 * 8)
    assert together[S].shape == (1,)
    assert together[Statistic("params")].shape == ()


def test_every_attribute_is_finite_and_detached(together: Collected) -> None:
    for value in together.values.values():
        for tensor in value if isinstance(value, tuple) else (value,):
            assert tensor.isfinite().all()
            assert not tensor.requires_grad


# -- the network is left as it was found -------------------------------------------------------


def test_network_is_untouched() -> None:
    network = seeded(Small).train()
    network.norm.eval()
    F.cross_entropy(network(BATCH.x), BATCH.y).backward()
    identities = [id(p) for p in network.parameters()]
    before, dtype, x = Snapshot.of(network), torch.get_default_dtype(), BATCH.x.clone()
    collect(network, BATCH, EVERYTHING, teacher=network, dtype=torch.float64)
    assert before.equals(Snapshot.of(network))
    assert identities == [id(p) for p in network.parameters()]
    assert torch.get_default_dtype() == dtype
    assert torch.is_grad_enabled()
    assert torch.equal(x, BATCH.x)


@pytest.mark.parametrize("statistic", EVERYTHING, ids=str)
def test_network_is_untouched_after_an_exception(statistic: Statistic) -> None:
    class Failing(Small):
        broken = False

        def forward(self, x: Tensor) -> Tensor:
            logits = super().forward(x)
            if self.broken:
                raise RuntimeError("mid-forward")
            return logits

    network = seeded(Failing).train()
    network.broken = True
    before = Snapshot.of(network)
    if statistic.name in ("W", "Y", "fan_in", "fan_out", "index", "attn", "params", "layers") and (
        not statistic.prefix and not statistic.probe
    ):
        collect(network, BATCH, [statistic])
    else:
        with pytest.raises(StatisticError, match=r"E440.*mid-forward"):
            collect(network, BATCH, [statistic], dtype=torch.float64)
    assert before.equals(Snapshot.of(network))
    assert torch.get_default_dtype() == torch.float32


def test_an_interrupt_passes_through_and_restores() -> None:
    class Interrupted(Small):
        def forward(self, x: Tensor) -> Tensor:
            raise KeyboardInterrupt

    network = seeded(Interrupted).train()
    before = Snapshot.of(network)
    with pytest.raises(KeyboardInterrupt):
        collect(network, BATCH, [P_S])
    assert before.equals(Snapshot.of(network))


# -- modes -------------------------------------------------------------------------------------


def test_batch_statistics_as_in_training_and_no_dropout() -> None:
    network = seeded(Small)
    network.norm.running_mean += 3.0
    found = collect(network.eval(), BATCH, [P_S])
    network.drop.p = 0.0
    assert torch.equal(found[P_S], network.train()(BATCH.x))


def test_stochastic_depth_is_off() -> None:
    class Stochastic(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x * (torch.rand(()) < 0.5) if self.training else x

    network = nn.Sequential(nn.Flatten(), Stochastic(), nn.Linear(192, 5)).train()
    found = collect(network, BATCH, [P_S])
    assert torch.equal(found[P_S], network[2](BATCH.x.flatten(1)))


def test_random_layers_depend_on_the_seed_only() -> None:
    class Noisy(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x + torch.randn_like(x) + random.random() + np.random.rand()  # noqa: NPY002

    network = nn.Sequential(nn.Flatten(), Noisy(), nn.Linear(192, 5))
    first = collect(network, BATCH, [P_S], seed=1)
    torch.manual_seed(5)
    assert torch.equal(first[P_S], collect(network, BATCH, [P_S, GRAD, J], seed=1)[P_S])
    assert not torch.equal(first[P_S], collect(network, BATCH, [P_S], seed=2)[P_S])


# -- demand ------------------------------------------------------------------------------------


class Counting(Small):
    def __init__(self) -> None:
        super().__init__()
        self.forwards = 0

    def forward(self, x: Tensor) -> Tensor:
        self.forwards += 1
        self.had_gradients = torch.is_grad_enabled()
        return super().forward(x)


@pytest.mark.parametrize(
    ("wanted", "forwards", "gradients"),
    [
        ([W, Statistic("params"), Statistic("attn")], 0, False),
        ([F_S, E_S, P_S, A, X, S, GRAD_V], 1, False),
        ([W, GRAD, HESS, A, GRAD_A, F_S, J, X], 1, True),
        ([FLOW, FLOW_BN, ONES], 3, True),
        ([Statistic("F_s", probe="noise"), Statistic("S", probe="noise")], 1, False),
        ([Statistic("W", "grad", parts=4)], 4, True),
    ],
)
def test_no_more_passes_than_needed(
    wanted: list[Statistic], forwards: int, gradients: bool
) -> None:
    network = seeded(Counting)
    collect(network, BATCH, wanted)
    assert network.forwards == forwards
    assert getattr(network, "had_gradients", False) == gradients


def test_the_teacher_runs_once_and_only_when_named() -> None:
    teacher, student = seeded(Counting), seeded(Small)
    collect(student, BATCH, [F_S], teacher=teacher)
    assert teacher.forwards == 0
    wanted = [Statistic("F_t"), Statistic("P_t"), Statistic("V_t", "grad"), F_S]
    once = collect_teacher(teacher, BATCH, wanted)
    for _ in range(3):
        found = collect(student, BATCH, wanted, teacher=once)
    assert teacher.forwards == 1
    assert set(found.values) == set(wanted)
    assert set(found.taken) == {"F_s", "F_t", "E_t"}


def test_a_resized_teacher() -> None:
    found = collect_teacher(seeded(Small), BATCH, [Statistic("F_t")], size=4)
    assert found[Statistic("F_t")].shape == (8, 6, 2, 2)


@pytest.mark.parametrize("size", [None, 4])
def test_teacher_statistics_without_a_teacher(size: int | None) -> None:
    with pytest.raises(StatisticError, match=r"E444.*F_t.*no teacher") as caught:
        collect(seeded(Small), BATCH, [Statistic("F_t")])
    assert "--teacher MODEL" in caught.value.render()


# -- single statistics -------------------------------------------------------------------------


def test_split_gradients_average_to_the_gradient_without_batchnorm() -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(192, 5))
    found = collect(network, BATCH, [GRAD, Statistic("W", "grad", parts=4)])
    assert torch.allclose(found[Statistic("W", "grad", parts=4)][0].mean(0), found[GRAD][0])


def test_tangent_kernel_of_a_linear_network() -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(192, 5))
    kernel = collect(network, BATCH, [Statistic("NTK", parts=3)])[Statistic("NTK", parts=3)]
    x = BATCH.x[:3].flatten(1)
    assert torch.allclose(kernel, 5 * x @ x.T, rtol=1e-5)


def test_hessian_times_gradient_of_the_weights_only() -> None:
    network = seeded(Small)
    found = collect(network, BATCH, [HESS], dtype=torch.float64)
    exact = seeded(Small).double().train()
    exact.drop.p = 0.0
    weights = [m.weight for m in (exact.stem, exact.deep, exact.short, exact.fc)]
    loss = F.cross_entropy(exact(BATCH.x.double()), BATCH.y)
    first = torch.autograd.grad(loss, weights, create_graph=True)
    product = torch.autograd.grad(first, weights, [g.detach() for g in first])
    for ours, theirs in zip(found[HESS], product, strict=True):
        assert torch.allclose(ours, theirs.flatten(1))


def test_flops_and_fans() -> None:
    names = ("flops", "fan_in", "fan_out", "index", "params")
    found = collect(seeded(Small), BATCH, [Statistic(n) for n in names])
    stem, deep, short, fc = 64 * 4 * 27, 16 * 6 * 36, 16 * 6 * 4, 30
    assert float(found[Statistic("flops")]) == stem + deep + short + fc
    assert found[Statistic("fan_in")].tolist() == [27, 36, 4, 6]
    assert found[Statistic("fan_out")].tolist() == [4, 6, 6, 5]
    assert found[Statistic("index")].tolist() == [1, 2, 3, 4]


def test_variance_of_batchnorm_inputs() -> None:
    network = seeded(Small)
    found = collect(network, BATCH, [S, A])
    variance = found[A][0].transpose(0, 1).flatten(1).var(1, correction=0).mean()
    assert torch.allclose(found[S], variance)
    assert found.layers["bn"] == ("norm",)


def test_functional_activations() -> None:
    found = collect(seeded(Small), BATCH, [X, Statistic("X", every=True)])
    assert found.layers["act"] == ("act",)
    assert found.layers["act[all]"] == ("network (function)", "act")
    both = found[Statistic("X", every=True)]
    assert torch.equal(both[1], found[X][0])
    assert both[0].shape == (8, 6, 16)
    with pytest.raises(StatisticError, match=r"E443.*no activation module"):
        collect(nn.Sequential(nn.Flatten(), nn.Linear(192, 5)), BATCH, [X])


def test_gradients_that_come_back_through_activations() -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(192, 6), nn.ReLU(), nn.Linear(6, 5))
    found = collect(network, BATCH, [X, Statistic("X", "grad")])
    entered = found[X][0].squeeze(2).requires_grad_()
    loss = F.cross_entropy(network[3](F.relu(entered)), BATCH.y)
    (expected,) = torch.autograd.grad(loss, entered)
    assert torch.allclose(found[Statistic("X", "grad")][0].squeeze(2), expected)


def test_blocks_before_an_activation() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.act = nn.ReLU()
            self.blocks = nn.Sequential(*(nn.Sequential(nn.ReLU(), nn.ReLU()) for _ in range(2)))
            self.last, self.fc = nn.ReLU(), nn.Linear(192, 5)

        def forward(self, x: Tensor) -> Tensor:
            return self.fc(self.last(self.blocks(self.act(self.act(x)))).flatten(1))

    found = collect(Net(), BATCH, [Statistic("block")])
    assert found[Statistic("block")].tolist() == [0, 0, 0, 0, 1, 1, 2]
    assert found.layers["act"][:3] == ("act", "act#2", "blocks.0.0")


def test_outputs_of_all_modules() -> None:
    found = collect(seeded(Small), BATCH, [Statistic("Z"), A, P_S])
    assert found.layers["mod"] == (
        "network", "stem", "norm", "act", "deep", "short", "drop", "fc",
    )  # fmt: skip
    outputs = dict(zip(found.layers["mod"], found[Statistic("Z")], strict=True))
    assert torch.equal(outputs["network"].squeeze(2), found[P_S])
    assert torch.equal(outputs["deep"], found[A][1])


def test_curvature_of_a_linear_network_is_that_of_an_ellipse() -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(192, 5, bias=False)).double()
    found = collect(network, BATCH, [Statistic("curvature")], dtype=torch.float64, seed=3)
    generator = torch.Generator().manual_seed(seed_for(3, "circle"))
    drawn = torch.randn(192, 2, generator=generator, dtype=torch.float64)
    a, v = (network[1].weight @ torch.linalg.qr(drawn).Q).detach().T
    area = (v @ v * (a @ a) - (v @ a) ** 2).sqrt()
    assert float(found[Statistic("curvature")]) == pytest.approx(float(area / v.norm() ** 3))


def test_user_statistic(monkeypatch: pytest.MonkeyPatch) -> None:
    from autodas_dsl.language import inputs, kinds

    def widest(model: nn.Module, batch: Batch) -> float:
        model(batch.x).sum().backward()
        return max(len(p.grad) for p in model.parameters())

    entry = inputs.Input("widest", kinds.NUMBER, "", "", "user", collect=widest)
    monkeypatch.setitem(inputs.INPUTS, "widest", entry)
    network = seeded(Small)
    before = Snapshot.of(network)
    assert float(collect(network, BATCH, [Statistic("widest")])[Statistic("widest")]) == 6
    assert before.equals(Snapshot.of(network))
    broken = inputs.Input("widest", kinds.NUMBER, "", "", "user", collect=lambda m, b: 1 / 0)
    monkeypatch.setitem(inputs.INPUTS, "widest", broken)
    with pytest.raises(StatisticError, match=r"E454.*widest: its function fails: ZeroDivision"):
        collect(seeded(Small), BATCH, [Statistic("widest")])


def test_every_statistic_has_a_collector_and_every_collector_a_statistic() -> None:
    from autodas_dsl.language.inputs import INPUTS
    from autodas_dsl.statistics.collectors import COLLECTORS

    entries = {name for name, entry in INPUTS.items() if entry.collect is None}
    assert {name.partition("[")[0] for name in COLLECTORS} - {"user"} == entries
    for name in COLLECTORS:
        base, _, attribute = name.rstrip("]").partition("[")
        if attribute:  # which the entry has
            entry = INPUTS[base]
            assert attribute in (*["all"] * entry.every, entry.parts, *entry.probes)


def test_counts_are_exact_beyond_single_precision() -> None:
    wide = nn.utils.skip_init(nn.Linear, 2**24 + 1, 1)
    batch = Batch(torch.empty(2, 2**24 + 1), torch.zeros(2).long(), 1, "blank")
    fan_in, params, flops = map(Statistic, ("fan_in", "params", "flops"))
    found = collect(wide, batch, [fan_in, params])
    assert [int(found[fan_in]), int(found[params])] == [2**24 + 1, 2**24 + 2]
    fully = nn.Sequential(nn.Conv2d(3, 3, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    image = Batch(torch.zeros(2, 3, 1367, 1367), batch.y, 3, "blank")
    assert int(collect(fully, image, [flops])[flops]) == 9 * 1367**2 > 2**24

"""The Fisher information and VKDNW equal independent re-derivations of their authors' definition."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from small_networks import BATCH, Small, seeded
from torch import Tensor, nn
from torch.func import functional_call, jacrev, vmap

from autodas_dsl import spaces
from autodas_dsl.compiler.interpret import interpret
from autodas_dsl.compiler.pipeline import to_ir
from autodas_dsl.data.batches import Batch
from autodas_dsl.language.inputs import FIM_TENSORS, Statistic
from autodas_dsl.statistics.collect import collect
from autodas_dsl.statistics.network import Network
from autodas_dsl.statistics.probes import prepare

FIM, KAIMING = Statistic("FIM"), Statistic("FIM", probe="kaiming")
CELL = "|nor_conv_1x1~0|+|none~0|skip_connect~1|+|none~0|avg_pool_3x3~1|nor_conv_1x1~2|"


def small_cell() -> nn.Module:
    space = spaces.get("nasbench201")
    network = seeded(lambda: space.build(space.parse(CELL))).double()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            with torch.random.fork_rng():
                torch.manual_seed(3)
                module.running_mean.normal_(0, 0.1)
                module.running_var.uniform_(0.5, 2)
    return network


def authors(network: nn.Module, x: Tensor, tensors: int) -> Tensor:
    """One derivative of one sample at a time, by torch's own transforms."""
    network.eval()
    state = {**dict(network.named_parameters()), **dict(network.named_buffers())}
    names = [name for name, _ in network.named_parameters() if name != "pos_embed"][:tensors]
    first = {name: state[name].detach().flatten()[:1] for name in names}

    def logits(values: dict[str, Tensor], sample: Tensor) -> Tensor:
        changed = {k: v.detach() for k, v in state.items()}
        for name, value in values.items():
            rest = changed[name].flatten()[1:]
            changed[name] = torch.cat([value, rest]).view_as(changed[name])
        return functional_call(network, changed, (sample[None],))[0]

    found = vmap(jacrev(logits), in_dims=(None, 0))(first, x)
    jacobian = torch.cat([found[name] for name in names], 2)
    p = 0.95 * network(x).detach().softmax(1) + 0.05 / 10
    total = torch.zeros(len(names), len(names), dtype=x.dtype)
    for j, q in zip(jacobian, p, strict=True):
        total += j.T @ (q.diag() - q.outer(q)) @ j
    return total / len(x)


def disconnected_cell() -> nn.Module:
    """Nothing of the input reaches the logits; the weights after the last cell still count."""
    space = spaces.get("nasbench201")
    nothing = "|none~0|+|none~0|none~1|+|none~0|none~1|none~2|"
    return seeded(lambda: space.build(space.parse(nothing))).double()


def small_vit() -> nn.Module:
    space = spaces.get("digits-vit")
    return seeded(lambda: space.build(space.sample(np.random.default_rng(0)))).double()


@pytest.mark.parametrize(
    ("make", "shape"),
    [
        (small_cell, (3, 8, 8)),
        (disconnected_cell, (3, 8, 8)),
        (small_vit, spaces.get("digits-vit").input_shape),
    ],
)
def test_fisher_information_is_that_of_the_authors(
    make: Callable[[], nn.Module], shape: tuple[int, ...]
) -> None:
    network = make()
    x = torch.randn(3, *shape, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    found = collect(network, Batch(x, torch.arange(3), 10, "test"), [FIM], dtype=torch.float64)
    expected = authors(network, x, FIM_TENSORS)
    assert found[FIM].shape == expected.shape
    assert torch.allclose(found[FIM], expected, rtol=1e-9, atol=1e-12 * float(expected.max()))


def test_vkdnw_is_the_entropy_of_nine_deciles() -> None:
    found = collect(seeded(Small), BATCH, [KAIMING, Statistic("tensors")], dtype=torch.float64)
    deciles = np.quantile(np.linalg.svd(found[KAIMING].numpy())[1], np.arange(0.1, 0.95, 0.1))
    share = deciles / np.abs(deciles).sum()
    entropy = -(share * np.log(share + 1e-10)).sum()
    assert interpret(to_ir("vkdnw"), found) == pytest.approx(entropy, rel=1e-6)
    assert interpret(to_ir("vkdnw_single"), found) == pytest.approx(10 + entropy / np.log(9))
    assert sum(1 for _ in Small().parameters()) == 10


def test_kaiming_weights_keep_the_size_of_activations() -> None:
    network = Network.of(seeded(lambda: nn.Sequential(nn.Conv2d(64, 256, 3), nn.BatchNorm2d(256))))
    setup = prepare("kaiming", network, torch.zeros(1, 64, 3, 3), 0)
    weight = setup.parameters["0.weight"]
    assert float(weight.std()) == pytest.approx((2 / 576) ** 0.5, rel=0.01)
    assert not setup.parameters["0.bias"].any()
    assert setup.norms == "running"
    again = prepare("kaiming", network, torch.zeros(1, 64, 3, 3), 1)
    assert not torch.equal(weight, again.parameters["0.weight"])


def test_a_weight_that_several_layers_use_and_one_that_none_uses() -> None:
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b, self.idle = nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(2, 2)
            self.b.weight = self.a.weight

        def forward(self, x: Tensor) -> Tensor:
            return self.b(self.a(x.flatten(1)).tanh())

    network = seeded(Tied).double()
    x = torch.randn(5, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    found = collect(network, Batch(x, torch.arange(5) % 4, 4, "test"), [FIM], dtype=torch.float64)
    network.eval()
    names = [name for name, _ in network.named_parameters()]
    assert found[FIM].shape == (len(names), len(names))
    assert not found[FIM][names.index("idle.weight")].any()
    step = 1e-6
    with torch.no_grad():
        before = network(x)
        network.a.weight[0, 0] += step
        slope = (network(x) - before) / step
    p = 0.95 * before.softmax(1) + 0.05 / 4
    expected = ((p * slope**2).sum(1) - (p * slope).sum(1) ** 2).mean()
    assert float(found[FIM][0, 0]) == pytest.approx(float(expected), rel=1e-4)

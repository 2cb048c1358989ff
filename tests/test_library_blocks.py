"""Proxies over blocks equal independent re-derivations of their authors' definitions."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from small_networks import BATCH, Small, seeded
from torch import Tensor, nn

from autodas_dsl import spaces
from autodas_dsl.compiler.interpret import interpret
from autodas_dsl.compiler.pipeline import to_ir
from autodas_dsl.compiler.reading import needed
from autodas_dsl.data.batches import Batch
from autodas_dsl.execution.randomness import seed_for
from autodas_dsl.language.inputs import Statistic
from autodas_dsl.statistics.collect import Collected, collect
from autodas_dsl.statistics.errors import StatisticError

CELLS = {
    "convolutions": "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|none~0|none~1|nor_conv_1x1~2|",
    "identity": "|none~0|+|none~0|none~1|+|skip_connect~0|none~1|none~2|",
    "nothing": "|none~0|+|none~0|none~1|+|none~0|none~1|none~2|",
}


def batch(size: int = 6) -> Batch:
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(size, 3, 16, 16, generator=generator, dtype=torch.float64)
    return Batch(x, torch.arange(size) % 10, 10, "test")


def cell(name: str) -> nn.Module:
    space = spaces.get("nasbench201")
    return seeded(lambda: space.build(space.parse(CELLS[name]))).double()


def score(formula: str, network: nn.Module, data: Batch | None = None) -> float:
    node = to_ir(formula)
    return interpret(node, collected(formula, network, data))


def collected(formula: str, network: nn.Module, data: Batch | None = None) -> Collected:
    return collect(network, data or batch(), needed([to_ir(formula)]), dtype=torch.float64)


def features(network: nn.Module, x: Tensor) -> list[Tensor]:
    """The output of the stem and of every cell."""
    network.train()
    found = [network.stem(x.clone().requires_grad_())]
    for each in network.cells:
        found.append(each(found[-1]))
    return found


def entropies(network: nn.Module, x: Tensor) -> np.ndarray:
    found = []
    for feature in features(network, x):
        rows = feature.detach().transpose(0, 1).flatten(1).numpy()
        spectrum = np.linalg.eigvalsh(np.cov(rows, bias=True)).clip(0)
        share = spectrum / spectrum.sum()
        found.append(-(share * np.log(share + 1e-300)).sum())
    return np.array(found)


def test_az_expressivity_and_progressivity() -> None:
    network = cell("convolutions")
    expected = entropies(network, batch().x)
    assert score("az_expressivity", network) == pytest.approx(expected.sum(), rel=1e-9)
    assert score("az_progressivity", network) == pytest.approx(np.diff(expected).min(), rel=1e-8)


def test_az_trainability() -> None:
    network = cell("convolutions")
    seen, terms = features(network, batch().x), []
    for place, (source, result) in enumerate(pairwise(seen)):
        generator = torch.Generator().manual_seed(seed_for(0, f"signs cells.{place}"))
        signs = 2.0 * torch.randint(0, 2, result.shape, generator=generator) - 1
        (back,) = torch.autograd.grad(result, source, signs.double(), retain_graph=True)
        back = nn.functional.pixel_unshuffle(back, source.shape[2] // result.shape[2])
        product = torch.einsum("bihw,bohw->io", back, signs.double()) / signs[:, 0].numel()
        s = float(np.linalg.norm(product.numpy(), 2))
        terms.append(2 - s - 1 / (s + 1e-6))
    assert score("az_trainability", network) == pytest.approx(np.mean(terms), rel=1e-9)


def test_a_block_that_hands_its_input_on_is_not_trainable() -> None:
    transfers = collected("az_trainability", cell("identity"))[Statistic("T")]
    assert not transfers[0].any()
    assert transfers[5].any(), "the reduction changes it"
    assert score("az_trainability", cell("identity")) < -1e5
    assert score("az_trainability", cell("nothing")) < -1e5


def test_blocks_are_named_and_their_ends_meet() -> None:
    found = collected("sum(mean(I)) + sum(mean(O))", cell("convolutions"))
    assert found.layers["block"][:2] == ("cells.0", "cells.1")
    outputs, inputs = found[Statistic("O")], found[Statistic("I")]
    assert [o.shape[1] for o in outputs] == [16] * 5 + [32] * 6 + [64] * 6
    assert all(torch.equal(o, i) for o, i in zip(outputs[:-1], inputs[1:], strict=True))


def test_blocks_of_tokens() -> None:
    space = spaces.get("digits-vit")
    network = seeded(lambda: space.build(space.sample(np.random.default_rng(0)))).double()
    x = torch.rand(4, *space.input_shape, dtype=torch.float64)
    value = score(
        "az_trainability + az_expressivity", network, Batch(x, torch.arange(4), 10, "test")
    )
    assert math.isfinite(value)


def test_a_network_that_writes_into_its_blocks_is_run_on_copies() -> None:
    class Writes(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.blocks = nn.ModuleList(
                nn.Sequential(nn.Conv2d(3, 3, 3, padding=1), nn.BatchNorm2d(3)) for _ in range(2)
            )
            self.head = nn.Linear(3, 5)

        def forward(self, x: Tensor) -> Tensor:
            for block in self.blocks:
                x = block(x)
                x += 1
            return self.head(x.mean((2, 3)))

    found = collect(seeded(Writes), BATCH, [Statistic("O"), Statistic("I"), Statistic("T")])
    first, second = found[Statistic("O")][0], found[Statistic("I")][1]
    assert torch.allclose(first + 1, second, atol=1e-6)
    assert all(t.abs().sum() > 0 for t in found[Statistic("T")])


def test_networks_without_blocks_and_with_uneven_ones_are_told() -> None:
    with pytest.raises(StatisticError, match="E770"):
        score("az_expressivity", seeded(Small).double(), BATCH)

    class Uneven(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.blocks = nn.Sequential(nn.Sequential(nn.Conv2d(3, 4, 3)))
            self.head = nn.Linear(4, 5)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(self.blocks(x).mean((2, 3)))

    with pytest.raises(StatisticError, match=r"E771.*blocks.0"):
        score("az_trainability", seeded(Uneven).double(), BATCH)

"""Attention maps are those that attention works with, however it is written."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from small_networks import BATCH, Small, Snapshot, seeded
from torch import Tensor, nn

from autodas_dsl.data.batches import Batch
from autodas_dsl.language.inputs import Statistic
from autodas_dsl.statistics.collect import collect
from autodas_dsl.statistics.errors import StatisticError

H, GRAD_H, P_S = Statistic("H"), Statistic("H", "grad"), Statistic("P_s")
HEADS, WIDTH, TOKENS = 2, 6, 5


def plain(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return ((q @ k.transpose(-2, -1)) / math.sqrt(q.shape[-1])).softmax(-1) @ v


def functional(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return F.softmax((q @ k.transpose(-2, -1)) / math.sqrt(q.shape[-1]), dim=3) @ v


WAYS: dict[str, Callable[..., Tensor]] = {
    "plain": plain,
    "functional": functional,
    "fused": F.scaled_dot_product_attention,
}


class Attends(nn.Module):
    def __init__(self, way: Callable[..., Tensor]) -> None:
        super().__init__()
        self.way = way
        self.qkv = nn.Linear(WIDTH, 3 * WIDTH)
        self.head = nn.Linear(WIDTH, 4)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = (t.unflatten(-1, (HEADS, -1)).transpose(1, 2) for t in self.qkv(x).chunk(3, -1))
        return self.head(self.way(q, k, v).transpose(1, 2).flatten(2).mean(1))


def batch() -> Batch:
    x = torch.randn(3, TOKENS, WIDTH, generator=torch.Generator().manual_seed(0))
    return Batch(x.double(), torch.arange(3), 4, "test")


def expected(network: Attends) -> tuple[Tensor, Tensor]:
    seen = []

    def watched(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        seen.append(((q @ k.transpose(-2, -1)) / math.sqrt(q.shape[-1])).softmax(-1))
        return seen[0] @ v

    network.way = watched
    logits = network(batch().x)
    (back,) = torch.autograd.grad(F.cross_entropy(logits, batch().y), seen[0])
    return seen[0].flatten(2), back.flatten(2)


@pytest.mark.parametrize("way", WAYS)
def test_maps_and_their_gradients(way: str) -> None:
    network = seeded(lambda: Attends(WAYS[way])).double()
    before = Snapshot.of(network)
    found = collect(network, batch(), [H, GRAD_H, P_S])
    assert before.equals(Snapshot.of(network))
    assert torch.allclose(found[P_S], network(batch().x))
    maps, back = expected(network)
    assert found.layers["att"] == ("network",)
    assert torch.allclose(found[H][0], maps)
    assert torch.allclose(found[GRAD_H][0], back)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("masked", [False, True])
def test_fused_attention_is_taken_as_torch_means_it(causal: bool, masked: bool) -> None:
    drawn = torch.rand(TOKENS, TOKENS, generator=torch.Generator().manual_seed(1))
    allowed = (drawn > 0.3).fill_diagonal_(True)

    def way(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        grouped = F.scaled_dot_product_attention(
            q, k[:, :1], v[:, :1], allowed if masked and not causal else None,
            is_causal=causal, scale=0.3, enable_gqa=True,
        )  # fmt: skip
        return grouped + F.scaled_dot_product_attention(q, k, v, drawn.double() if masked else None)

    network = seeded(lambda: Attends(way)).double()
    found = collect(network, batch(), [H, P_S])
    assert torch.allclose(found[P_S], network(batch().x))
    assert len(found[H]) == 2


@pytest.mark.parametrize("weights", [False, True])
def test_torchs_own_attention(weights: bool) -> None:
    class Own(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.attn = nn.MultiheadAttention(WIDTH, HEADS, batch_first=True)
            self.head = nn.Linear(WIDTH, 4)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(self.attn(x, x, x, need_weights=weights)[0].mean(1))

    network, held = seeded(Own).double(), F.scaled_dot_product_attention
    found = collect(network, batch(), [H, GRAD_H, P_S])
    assert F.scaled_dot_product_attention is held
    assert torch.allclose(found[P_S], network(batch().x))
    x = batch().x
    maps = network.attn(x, x, x, average_attn_weights=False)[1].flatten(2)
    assert torch.allclose(found[H][0], maps)
    assert found[GRAD_H][0].abs().sum() > 0


def test_maps_that_are_written_into_are_kept_before() -> None:
    class Writes(Attends):
        def forward(self, x: Tensor) -> Tensor:
            scores = x @ x.transpose(-2, -1)
            weights = scores.softmax(-1)
            weights *= 2
            return self.head((weights @ x).mean(1))

    found = collect(seeded(lambda: Writes(plain)).double(), batch(), [H, GRAD_H])
    assert torch.allclose(found[H][0].sum(), torch.tensor(3.0 * TOKENS).double())
    assert found[GRAD_H][0].abs().sum() > 0


def test_a_network_without_attention_is_told() -> None:
    with pytest.raises(StatisticError, match=r"E443.*H: the network makes no attention map"):
        collect(seeded(Small), BATCH, [H])

    class AcrossSamples(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.head = nn.Linear(WIDTH, 4)

        def forward(self, x: Tensor) -> Tensor:
            return self.head((x.transpose(0, 1).softmax(-1)).mean(0))

    with pytest.raises(StatisticError, match=r"E443"):
        collect(AcrossSamples().double(), batch(), [H, GRAD_H])

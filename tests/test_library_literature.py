"""Proxies of the literature equal re-derivations of their authors' code, on small networks."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
import torch
from small_networks import seeded
from torch import Tensor, nn
from torch.nn import functional

from autodas_dsl import spaces
from autodas_dsl.compiler.interpret import interpret
from autodas_dsl.compiler.pipeline import to_ir
from autodas_dsl.compiler.reading import needed
from autodas_dsl.data.batches import Batch
from autodas_dsl.execution.randomness import seed_for
from autodas_dsl.spaces.resnet import CifarResNet
from autodas_dsl.statistics.collect import collect

CELL = "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|avg_pool_3x3~0|none~1|nor_conv_1x1~2|"


def resnet(stem: int = 4) -> nn.Module:
    widths = (stem, 8, 12)
    return seeded(lambda: CifarResNet((1, 1, 1), widths, classes=10, stem=stem)).double().train()


def cells() -> nn.Module:
    space = spaces.get("nasbench201")
    return seeded(lambda: space.build(space.parse(CELL))).double().train()


def transformer() -> nn.Module:
    space = spaces.get("digits-vit")
    arch = space.parse("patch=2,dim=8,depth=2,heads=2,mlp=2")
    return seeded(lambda: space.build(arch)).double().train()


def images(size: int, shape: tuple[int, ...] = (3, 16, 16)) -> Batch:
    generator = torch.Generator().manual_seed(2)
    x = torch.randn(size, *shape, generator=generator, dtype=torch.float64)
    return Batch(x, torch.arange(size) * 3 % 10, 10, "test")


def score(name: str, network: nn.Module, data: Batch) -> float:
    node = to_ir(name)
    found = interpret(node, collect(network, data, needed([node]), dtype=torch.float64))
    network.train()
    return found


@contextmanager
def hooked(
    network: nn.Module, hook: Callable[..., Any], kinds: type[nn.Module] = nn.Module
) -> Iterator[None]:
    handles = [m.register_forward_hook(hook) for m in network.modules() if isinstance(m, kinds)]
    yield
    for handle in handles:
        handle.remove()


def smallest_correlations(channels: int = 0) -> Callable[[nn.Module, Batch], float]:
    """MeCo, of all channels or of as many random ones."""

    def meco(network: nn.Module, data: Batch) -> float:
        found = []

        def hook(module: nn.Module, args: object, output: Tensor) -> None:
            rows = output[0].detach().reshape(len(output[0]), -1)
            share = 1.0
            if channels:
                drawn = np.random.Generator(np.random.Philox(0)).random(len(rows))
                share = len(rows) / channels
                rows = rows[np.argsort(drawn)[:channels]]
            correlations = torch.nan_to_num(torch.corrcoef(rows), 0, 0, 0)
            values = torch.linalg.eigvals(torch.atleast_2d(correlations)).real
            found.append(share * float(values.min()))

        with hooked(network, hook):
            network(data.x)
        return sum(found)

    return meco


def wrcor(network: nn.Module, data: Batch) -> float:
    total = np.zeros((len(data.x), len(data.x)))
    entered: list[tuple[int, Tensor]] = []

    def enter(weight: int) -> Callable[..., tuple[Tensor]]:
        def hook(module: nn.Module, args: tuple[Tensor]) -> tuple[Tensor]:
            own = args[0].clone()
            own.retain_grad()
            entered.append((weight, own))
            return (own,)

        return hook

    for place, block in enumerate((*network.cells, network.lastact)):
        for module in block.modules():
            if isinstance(module, nn.ReLU):
                module.register_forward_pre_hook(enter(2**place))
    functional.cross_entropy(network(data.x), data.y).backward()
    for weight, tensor in entered:
        for rows in (tensor.detach(), tensor.grad):
            total += weight * np.abs(np.corrcoef(rows.flatten(1).numpy()))
    return float(np.linalg.slogdet(total)[1])


def epsinas(network: nn.Module, data: Batch) -> float:
    outputs = []
    for constant in (1e-7, 1.0):
        filled = copy.deepcopy(network)
        for module in filled.modules():
            if getattr(module, "bias", None) is not None:
                nn.init.constant_(module.bias, 0)
            if getattr(module, "weight", None) is not None:
                nn.init.constant_(module.weight, constant)
        flat = filled(data.x).detach().numpy().ravel()
        outputs.append((flat - flat.min()) / (flat.max() - flat.min()))
    stacked = np.array(outputs)
    stacked[stacked == 0] = np.nan
    return np.nanmean(np.abs(stacked[0] - stacked[1])) / np.nanmean(stacked)


def croze(network: nn.Module, data: Batch) -> float:
    clean = copy.deepcopy(network)
    for module in list(clean.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, nn.BatchNorm2d):
                setattr(module, name, nn.Identity())
    for tensor in clean.state_dict().values():
        tensor.abs_()
    pushed = copy.deepcopy(clean)
    functional.cross_entropy(pushed(data.x), data.y).backward()
    with torch.no_grad():
        for name, p in pushed.named_parameters():
            if p.dim() > 1 and "weight" in name:
                p.add_(2 * p.norm() / p.grad.norm() * p.grad)
    x = data.x.clone().requires_grad_()
    functional.cross_entropy(pushed(x), data.y).backward()
    moved = (x - 0.01 * x.grad.sign()).detach()

    def layers(net: nn.Module, x: Tensor) -> list[tuple[Tensor, Tensor, Tensor]]:
        seen: dict[nn.Module, Tensor] = {}
        net.zero_grad()
        with hooked(net, lambda m, i, o: seen.update({m: o.detach()})):
            functional.cross_entropy(net(x), data.y).backward()
        found = [m for m in net.modules() if isinstance(m, (nn.Conv2d, nn.Linear))]
        return [(seen[m], m.weight.detach(), m.weight.grad) for m in found]

    alike, total = nn.CosineSimilarity(dim=0), 0.0
    pairs = zip(layers(clean, data.x), layers(pushed, moved), strict=True)
    for (f, w, g), (f_robust, w_robust, g_robust) in pairs:
        weights, gradients = (1 + alike(w, w_robust)).sum(), alike(g, g_robust).abs().sum()
        total += float(weights * gradients * (1 + alike(f, f_robust)).sum())
    return total


def dextr(network: nn.Module, data: Batch) -> float:
    ratios = []

    def hook(module: nn.Module, args: object, output: Tensor) -> None:
        s = torch.linalg.svdvals(output[0].detach().reshape(len(output[0]), -1))
        ratios.append(float(torch.nan_to_num(s.min() / s.max(), 0)))

    with hooked(network, hook):
        network(data.x)
    generator = torch.Generator().manual_seed(seed_for(0, "circle"))
    drawn = torch.randn(data.x[0].numel(), 2, generator=generator, dtype=torch.float64)
    basis = torch.from_numpy(np.linalg.qr(drawn.numpy())[0])
    angle = torch.zeros(1, dtype=torch.float64, requires_grad=True)
    point = basis @ torch.stack([angle.cos(), angle.sin()])
    logits = network(point.T.view_as(data.x[:1])).flatten()
    v, a = [], []
    for one in logits:
        (first,) = torch.autograd.grad(one, angle, create_graph=True, retain_graph=True)
        (second,) = torch.autograd.grad(first, angle, retain_graph=True)
        v.append(first.item())
        a.append(second.item())
    vv, aa, va = np.dot(v, v), np.dot(a, a), np.dot(v, a)
    bent = np.log1p(vv**-1.5 * np.sqrt(vv * aa - va**2))
    even = np.log1p(sum(ratios))
    return even * bent / (even + bent)


def lpzero(network: nn.Module, data: Batch) -> float:
    functional.cross_entropy(network(data.x), data.y).backward()
    found = [m.weight for m in network.modules() if isinstance(m, (nn.Conv2d, nn.Linear))]
    scores = [
        (w.detach() ** 2).abs().mean() + (w.grad.flatten(1).softmax(0) ** 2).mean() for w in found
    ]
    return float(sum(scores) / len(scores))


def attention_layers(network: nn.Module) -> list[nn.Linear]:
    return [m for block in network.blocks for m in (block.attn.qkv, block.attn.proj)]


def attention_maps(network: nn.Module, x: Tensor) -> tuple[list[Tensor], Tensor]:
    """The maps of the blocks' attention, written out, and the logits they lead to."""
    maps = []

    def attend(module: nn.Module, tokens: Tensor) -> Tensor:
        q, k, v = module.qkv(tokens).unflatten(-1, (3, module.heads, -1)).permute(2, 0, 3, 1, 4)
        scores = torch.einsum("bhqd,bhkd->bhqk", q, k) / q.shape[-1] ** 0.5
        maps.append(torch.softmax(scores, -1))
        return module.proj(torch.einsum("bhqk,bhkd->bqhd", maps[-1], v).flatten(2))

    for block in network.blocks:
        block.attn.forward = lambda tokens, module=block.attn: attend(module, tokens)
    logits = network(x)
    for block in network.blocks:
        del block.attn.forward
    return maps, logits


def attention_confidence(network: nn.Module, data: Batch) -> float:
    return sum(float(m.max(1)[0].mean()) for m in attention_maps(network, data.x)[0])


def head_sensitivity(network: nn.Module, data: Batch) -> float:
    maps, logits = attention_maps(network, data.x)
    back = torch.autograd.grad(functional.cross_entropy(logits, data.y), maps)
    return sum(
        float((m * g).sum((2, 3)).abs().mean(0).sum()) for m, g in zip(maps, back, strict=True)
    )


def head_confidence(network: nn.Module, data: Batch) -> float:
    outputs: list[Tensor] = []
    for layer in attention_layers(network):
        layer.register_forward_hook(lambda m, i, o: outputs.append(o))
    network(data.x)
    return sum(float(o.max(1)[0].mean()) for o in outputs)


def head_importance(network: nn.Module, data: Batch) -> float:
    functional.cross_entropy(network(data.x), data.y).backward()
    return sum(float((m.weight * m.weight.grad).abs().sum()) for m in attention_layers(network))


def swap_regularised(network: nn.Module, data: Batch) -> float:
    signs: list[Tensor] = []
    with hooked(network, lambda m, i, o: signs.append(o.sign().flatten(1)), nn.ReLU):
        network(data.x)
    patterns = torch.unique(torch.cat(signs, 1).T, dim=0).shape[0]
    thousands = sum(p.numel() for p in network.parameters()) / 1e3
    return patterns * np.exp(-((thousands - 1000) ** 2) / 1e6)


DEFINITIONS: dict[str, tuple[Callable[[], nn.Module], Batch, Callable[..., float]]] = {
    "meco_released": (resnet, images(1), smallest_correlations()),
    "meco_opt": (lambda: resnet(9), images(1), smallest_correlations(8)),
    "wrcor": (cells, images(5), wrcor),
    "epsinas": (resnet, images(6), epsinas),
    "croze": (resnet, images(4), croze),
    "dextr": (resnet, images(1), dextr),
    "lpzero": (transformer, images(4, (1, 8, 8)), lpzero),
    "swap_regularised": (resnet, images(4), swap_regularised),
    "attention_confidence": (transformer, images(4, (1, 8, 8)), attention_confidence),
    "head_confidence": (transformer, images(4, (1, 8, 8)), head_confidence),
    "head_importance": (transformer, images(4, (1, 8, 8)), head_importance),
    "head_sensitivity": (transformer, images(4, (1, 8, 8)), head_sensitivity),
}


@pytest.mark.parametrize("name", DEFINITIONS)
def test_a_proxy_is_what_its_authors_compute(name: str) -> None:
    make, data, definition = DEFINITIONS[name]
    assert score(name, make(), data) == pytest.approx(definition(make(), data), rel=1e-7, abs=1e-9)

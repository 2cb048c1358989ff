"""Proxies of the literature equal independent re-derivations on the reference network."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from small_networks import seeded
from torch import Tensor, nn
from torch.nn import functional

from autodas_dsl.compiler.interpret import interpret
from autodas_dsl.compiler.pipeline import to_ir
from autodas_dsl.compiler.reading import needed
from autodas_dsl.data.batches import Batch, load_batch
from autodas_dsl.language.inputs import Statistic
from autodas_dsl.models.weights import load_weights
from autodas_dsl.spaces import get
from autodas_dsl.spaces.resnet import CifarResNet
from autodas_dsl.statistics.collect import collect


@cache
def network(path: Path) -> nn.Module:
    found = CifarResNet((1, 3, 1), (8, 16, 32), classes=10, stem=8)
    load_weights(found, path / "cifar_resnet_student.npz")
    return found.double().train()


@cache
def batch(path: Path) -> Batch:
    found = load_batch(str(path / "batch.npz"), input_shape=(3, 32, 32), classes=10)
    return Batch(found.x[:16].double(), found.y[:16], 10, "reference")


def weights(net: nn.Module) -> list[Tensor]:
    return [m.weight for m in net.modules() if isinstance(m, (nn.Conv2d, nn.Linear))]


def gradients(net: nn.Module, x: Tensor, y: Tensor) -> list[np.ndarray]:
    found = torch.autograd.grad(functional.cross_entropy(net(x), y), weights(net))
    return [g.numpy() for g in found]


def jacobian(net: nn.Module, x: Tensor) -> np.ndarray:
    x = x.clone().requires_grad_()
    return torch.autograd.grad(net(x).sum(), x)[0].flatten(1).numpy()


def tangent_kernel(net: nn.Module, x: Tensor) -> np.ndarray:
    named = [p for name, p in net.named_parameters() if "weight" in name]
    logits = net(x)
    rows = [
        torch.cat([g.flatten() for g in torch.autograd.grad(row.sum(), named, retain_graph=True)])
        for row in logits
    ]
    stacked = torch.stack(rows).numpy()
    return stacked @ stacked.T


def flow(net: nn.Module, of: Callable[[Tensor, Tensor], Tensor]) -> float:
    """The sum over the layers of a function of absolute weights and SynFlow's gradients."""
    linear = CifarResNet((1, 3, 1), (8, 16, 32), classes=10, stem=8).double()
    linear.load_state_dict({k: v.abs() for k, v in net.state_dict().items()})
    for module in list(linear.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, nn.BatchNorm2d):
                setattr(module, name, nn.Identity())
    output = linear(torch.ones(1, 3, 32, 32, dtype=torch.float64)).sum()
    found = torch.autograd.grad(output, weights(linear))
    pairs = zip(weights(linear), found, strict=True)
    return sum(float(of(w.detach(), g).sum()) for w, g in pairs)


def zico_nonzero(net: nn.Module, x: Tensor, y: Tensor) -> float:
    parts = zip(
        *(gradients(net, a, b) for a, b in zip(x.split(8), y.split(8), strict=True)), strict=True
    )
    total = 0.0
    for layer in parts:
        stacked = np.stack(layer)
        deviation = stacked.std(0)
        moving = deviation.nonzero()
        terms = (np.abs(stacked).mean(0)[moving] / deviation[moving]).sum()
        total += np.log(terms) if terms else 0.0
    return total


def gradsign(net: nn.Module, x: Tensor, y: Tensor) -> float:
    each = [gradients(net, x[i : i + 1], y[i : i + 1]) for i in range(len(x))]
    signs = [np.sign(np.stack(layer)).sum(0) for layer in zip(*each, strict=True)]
    return float(np.abs(np.concatenate([s.ravel() for s in signs])).mean())


def epe_nas(net: nn.Module, x: Tensor, y: Tensor) -> float:
    rows, total = jacobian(net, x), 0.0
    for label in np.unique(y.numpy()):
        inside = np.atleast_2d(np.corrcoef(rows[y.numpy() == label]))
        total += abs(np.log(np.abs(inside) + 1e-5).sum())
    return total


def near(net: nn.Module, x: Tensor, y: Tensor) -> float:
    seen: list[Tensor] = []
    hooks = [
        m.register_forward_pre_hook(lambda module, args: seen.append(args[0].detach().clone()))
        for m in net.modules()
        if isinstance(m, nn.ReLU)
    ]
    net(x)
    for hook in hooks:
        hook.remove()
    total = 0.0
    for tensor in [*seen, *map(torch.relu, seen)]:
        values = np.linalg.svd(tensor.transpose(0, 1).flatten(1).numpy(), compute_uv=False)
        share = values / values.sum()
        total += np.exp(-(share * np.log(share + 1e-12)).sum())
    return total


def pruner_zero(net: nn.Module, x: Tensor, y: Tensor) -> float:
    total = 0.0
    for w, g in zip(weights(net), gradients(net, x, y), strict=True):
        size = np.abs(g)
        total += (w.detach().numpy() ** 2 * (size - size.min()) / (size.max() - size.min())).sum()
    return total


def pruner_zero_released(net: nn.Module, x: Tensor, y: Tensor) -> float:
    """|W W| mms(G), where G is the norm over the parts of the batch of each gradient."""
    parts = [gradients(net, a, b) for a, b in zip(x.split(2), y.split(2), strict=True)]
    total = 0.0
    for w, *each in zip(weights(net), *parts, strict=True):
        size = np.linalg.norm(np.stack(each), axis=0)
        share = (size - size.min()) / (size.max() - size.min())
        total += (np.abs(w.detach().numpy() ** 2) * share).sum()
    return total


DEFINITIONS: dict[str, Callable[[nn.Module, Tensor, Tensor], float]] = {
    "zico_nonzero": zico_nonzero,
    "gradsign": gradsign,
    "log_synflow": lambda net, x, y: flow(net, lambda w, g: w * (g + 1).log()),
    "knas": lambda net, x, y: tangent_kernel(net, x).mean(),
    "ntk_trace": lambda net, x, y: np.sqrt(np.trace(tangent_kernel(net, x)) / 16),
    "epe_nas": epe_nas,
    "near": near,
    "pruner_zero": pruner_zero,
    "pruner_zero_released": pruner_zero_released,
    "synaptic_saliency": lambda net, x, y: flow(net, lambda w, g: (w * g).abs()),
}


def test_synaptic_diversity_and_saliency_are_those_of_tf_tas() -> None:
    space = get("digits-vit")
    vit = seeded(lambda: space.build(space.sample(np.random.default_rng(0)))).double()
    x = torch.rand(4, *space.input_shape, dtype=torch.float64)
    nodes = [to_ir(name) for name in ("synaptic_diversity", "synaptic_saliency", "tf_tas")]
    found = collect(vit, Batch(x, torch.arange(4), 10, "test"), needed(nodes), dtype=torch.float64)
    gradients_of = found[Statistic("W", "grad", "flow")]
    expected = sum(
        np.linalg.norm(np.abs(w.numpy()), "nuc") * np.linalg.norm(g.numpy(), "nuc")
        for name, w, g in zip(found.layers["lin"], found[Statistic("W")], gradients_of, strict=True)
        if ".attn." in name
    )
    diversity, saliency, both = (interpret(node, found) for node in nodes)
    assert diversity == pytest.approx(expected, rel=1e-9)
    assert diversity + saliency == pytest.approx(both, rel=1e-9)


@pytest.mark.parametrize("name", DEFINITIONS)
def test_a_proxy_is_what_its_authors_define(name: str, shared: Path) -> None:
    net, data = network(shared / "reference"), batch(shared / "reference")
    node = to_ir(name)
    found = interpret(node, collect(net, data, needed([node]), dtype=torch.float64))
    net.train()
    assert found == pytest.approx(DEFINITIONS[name](net, data.x, data.y), rel=1e-6, abs=1e-12)

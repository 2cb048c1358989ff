"""Nine proxies of the literature on one network, beside each of them alone in plain torch.

`plain` code is what their authors (or Abdelfattah et al., whose code most papers took) run: one
forward and backward for each formula, for grasp a gradient first and then a second forward with a
graph of its backward. Both sides take the same network, batch and precision, in turns, in one
process; the ratio is what counts.

    python benchmarks/nine.py [--network cifar-resnet:5-5-5] [--batch-size 64] [--repeats 7]
"""

from __future__ import annotations

import argparse
import copy
import statistics
import time
from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from autodas_dsl import spaces
from autodas_dsl.data.batches import Batch, load_batch
from autodas_dsl.execution.memory import tune_memory
from autodas_dsl.language.library import load
from autodas_dsl.scoring.scorer import Scorer, bind

LAYERS = (nn.Conv2d, nn.Linear)
Plain = Callable[[nn.Module, Tensor, Tensor], float]


def weights(network: nn.Module) -> list[Tensor]:
    return [m.weight for m in network.modules() if isinstance(m, LAYERS)]


def gradients(network: nn.Module, x: Tensor, y: Tensor) -> list[tuple[Tensor, Tensor]]:
    network.zero_grad()
    F.cross_entropy(network(x), y).backward()
    return [(w, w.grad) for w in weights(network)]  # type: ignore[misc]


def snip(network: nn.Module, x: Tensor, y: Tensor) -> float:
    return sum((w * g).abs().sum().item() for w, g in gradients(network, x, y))


def plain(network: nn.Module, x: Tensor, y: Tensor) -> float:
    return sum(float((w * g).sum()) for w, g in gradients(network, x, y))


def grad_norm(network: nn.Module, x: Tensor, y: Tensor) -> float:
    return sum(float(g.norm()) for _, g in gradients(network, x, y))


def grasp(network: nn.Module, x: Tensor, y: Tensor) -> float:
    own = weights(network)
    first = torch.autograd.grad(F.cross_entropy(network(x), y), own)
    loss = F.cross_entropy(network(x), y)
    second = torch.autograd.grad(loss, own, create_graph=True)
    network.zero_grad()
    torch.stack([(a * b).sum() for a, b in zip(first, second, strict=True)]).sum().backward()
    return -sum(float((w * w.grad).sum()) for w in own if w.grad is not None)


def fisher(network: nn.Module, x: Tensor, y: Tensor) -> float:
    seen: dict[nn.Module, Tensor] = {}

    def keep(layer: nn.Module, _: object, out: Tensor) -> None:
        out.retain_grad()
        seen[layer] = out

    handles = [m.register_forward_hook(keep) for m in network.modules() if isinstance(m, LAYERS)]
    network.zero_grad()
    F.cross_entropy(network(x), y).backward()
    for handle in handles:
        handle.remove()
    total = 0.0
    for layer, out in seen.items():
        assert out.grad is not None
        product = (out * out.grad).flatten(2).sum(2) if out.dim() > 2 else out * out.grad
        total += float(layer.weight.numel() * product.square().mean(0).mean() / 2)  # type: ignore[operator]
    return total


def flow(network: nn.Module, x: Tensor, norms: bool) -> float:
    linear = copy.deepcopy(network)
    for module in linear.modules():
        if isinstance(module, nn.BatchNorm2d) and not norms:
            module.forward = nn.Identity().forward  # type: ignore[method-assign]
    with torch.no_grad():
        for parameter in linear.parameters():
            parameter.abs_()
    linear(torch.ones_like(x[:1])).sum().backward()
    return sum(float((w * w.grad).abs().sum()) for w in weights(linear) if w.grad is not None)


def synflow(network: nn.Module, x: Tensor, y: Tensor) -> float:
    return flow(network, x, False)


def synflow_bn(network: nn.Module, x: Tensor, y: Tensor) -> float:
    return flow(network, x, True)


def jacob_cov(network: nn.Module, x: Tensor, y: Tensor) -> float:
    x = x.clone().requires_grad_(True)
    network.zero_grad()
    out = network(x)
    out.backward(torch.ones_like(out))
    assert x.grad is not None
    values = np.linalg.eigvalsh(np.corrcoef(x.grad.flatten(1).numpy()))
    return float(-np.sum(np.log(values + 1e-5) + 1 / (values + 1e-5)))


def l2_norm(network: nn.Module, x: Tensor, y: Tensor) -> float:
    return sum(float(w.norm()) for w in weights(network))


PLAIN: dict[str, Plain] = {
    f.__name__: f
    for f in (snip, plain, grad_norm, grasp, fisher, synflow, synflow_bn, jacob_cov, l2_norm)
}


def seconds(run: Callable[[], object]) -> float:
    start = time.process_time()
    run()
    return time.process_time() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--network", default="cifar-resnet:5-5-5")
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=7, help="the first one warms up")
    options = parser.parse_args()
    torch.set_num_threads(1)
    tune_memory()
    batch: Batch = load_batch(
        "noise", size=options.batch_size, input_shape=(3, 32, 32), classes=100
    )
    space, arch = spaces.resolve(options.network)
    torch.manual_seed(0)
    network = space.build(arch).train()
    together = Scorer([bind(load(name)) for name in PLAIN], batch)
    ours: list[float] = []
    alone: dict[str, list[float]] = {name: [] for name in PLAIN}
    for _ in range(options.repeats):
        ours.append(seconds(lambda: together(network)))
        for name, function in PLAIN.items():
            alone[name].append(seconds(lambda f=function: f(network, batch.x, batch.y)))  # type: ignore[misc]
    scores = dict(zip(PLAIN, together(network), strict=True))
    total = 0.0
    for name, times in alone.items():
        middle = statistics.median(times[1:])
        total += middle
        value = PLAIN[name](network, batch.x, batch.y)
        print(
            f"{name:<12} {1e3 * middle:8.1f} ms alone   {value:12.6g}, here {scores[name].value:12.6g}"
        )
    middle = statistics.median(ours[1:])
    print(f"all nine in one go {1e3 * middle:8.1f} ms, {middle / total:.2f} of the sum "
          f"{1e3 * total:.1f} ms")  # fmt: skip


if __name__ == "__main__":
    main()

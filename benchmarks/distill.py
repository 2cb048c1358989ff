"""What `distill` costs over a bare PyTorch loop with the same losses, side by side.

    python benchmarks/distill.py [--loss NAME] [--steps N] [--repeats N] [--batch N]

Both train the same student from the same weights on the same batches, in turns, in one process with
one thread; the bare loop takes feature maps with a hook on the one module that gives them, and has
no log, no diagnostics and no checkpoints. Seconds are those of the processor, which other programs
disturb least. Printed are the medians and the median of the ratios.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from autodas_dsl import distill
from autodas_dsl.models.spaces import named_source
from autodas_dsl.training.recipe import Recipe, optimizer_of

STUDENT, TEACHER = "cifar-resnet:1-1-1", "cifar-resnet:3-3-3"
Distance = Callable[[Tensor, Tensor], Tensor]


def kd(own: Tensor, other: Tensor) -> Tensor:
    wanted = F.softmax(other / 4, 1)
    return 16 * F.kl_div(F.log_softmax(own / 4, 1), wanted, reduction="batchmean")


def sp(own: Tensor, other: Tensor) -> Tensor:
    one, two = (F.normalize(x.flatten(1) @ x.flatten(1).T, dim=1) for x in (own, other))
    return 3000 * F.mse_loss(one, two)


def at(own: Tensor, other: Tensor) -> Tensor:
    one, two = (F.normalize(x.square().mean(1).flatten(1), dim=1) for x in (own, other))
    return 1000 * F.mse_loss(one, two)


LOSSES: dict[str, Distance] = {"kd": kd, "sp": sp, "at": at}


def last_map(network: nn.Module, kept: list[Tensor]) -> None:
    """Keep what the module before the global pooling returns."""
    blocks = [m for m in network.modules() if type(m).__name__ == "BasicBlock"]
    blocks[-1].register_forward_hook(lambda module, args, output: kept.append(output))


def bare(student: nn.Module, teacher: nn.Module, x: Tensor, y: Tensor, loss: str, recipe: Recipe,
         orders: list[Tensor]) -> None:  # fmt: skip
    """The loop as one writes it by hand."""
    own: list[Tensor] = []
    other: list[Tensor] = []
    if loss != "kd":
        last_map(student, own)
        last_map(teacher, other)
    teacher.eval()
    student.train()
    optimizer = optimizer_of(student.parameters(), recipe)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, recipe.rate)
    running, right = 0.0, 0
    for rows in orders:
        own.clear()
        other.clear()
        images, labels = x[rows], y[rows]
        with torch.no_grad():
            wanted = teacher(images)
        logits = student(images)
        pair = (logits, wanted) if loss == "kd" else (own[0], other[0])
        own_share, share = (1 - recipe.alpha, recipe.alpha) if loss == "kd" else (1.0, 1.0)
        found = own_share * F.cross_entropy(logits, labels) + share * LOSSES[loss](*pair)
        optimizer.zero_grad(set_to_none=True)
        found.backward()
        optimizer.step()
        schedule.step()
        running += found.item()
        right += int((logits.argmax(1) == labels).sum())


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--loss", choices=[*LOSSES], default=None)
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--batch", type=int, default=64)
    options = parser.parse_args()
    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(512, 3, 32, 32, generator=generator)
    y = torch.randint(100, (512,), generator=generator)
    recipe = Recipe(steps=options.steps, batch=options.batch, learning_rate=0.01)
    orders = [
        torch.randperm(512, generator=generator)[: options.batch] for _ in range(options.steps)
    ]

    def networks() -> tuple[nn.Module, nn.Module]:
        return tuple(named_source(name, 100).build(0) for name in (STUDENT, TEACHER))  # type: ignore[return-value]

    for loss in [options.loss] if options.loss else LOSSES:
        times: list[tuple[float, float]] = []
        for _ in range(options.repeats + 1):
            student, teacher = networks()
            start = time.process_time()
            bare(student, teacher, x, y, loss, recipe, orders)
            middle = time.process_time()
            student, teacher = networks()
            between = time.process_time()
            distill(student, teacher, (x, y), loss=loss, recipe=recipe)
            times.append((middle - start, time.process_time() - between))
        warm = times[1:]
        ratio = statistics.median(ours / theirs for theirs, ours in warm)
        one, other = (
            1000 * statistics.median(column) / options.steps for column in zip(*warm, strict=True)
        )
        print(f"{loss:4} bare {one:7.2f} ms/step  distill {other:7.2f} ms/step  ratio {ratio:.3f}")


if __name__ == "__main__":
    main()

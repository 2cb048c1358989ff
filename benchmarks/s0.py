"""Statistics of the 64 networks of S0, for the benchmarks: collected once, kept in a file."""

from __future__ import annotations

import os
from pathlib import Path

import torch

from autodas_dsl import spaces
from autodas_dsl.data.batches import Batch, load_batch
from autodas_dsl.language.inputs import Statistic
from autodas_dsl.statistics.collect import Collected, collect, collect_teacher

REPOSITORY = Path(__file__).resolve().parent.parent
SHARED = Path(os.environ.get("AUTODAS_SHARED", REPOSITORY.parent / "shared"))
TEACHER = "cifar-resnet:9-9-9"
OWN = ("W", "grad W", "F_s", "E_s", "P_s")
OF_TEACHER = ("F_t", "E_t", "P_t")
STATISTICS = tuple(
    Statistic(text.removeprefix("grad "), "grad" if text.startswith("grad ") else "")
    for text in (*OWN, *OF_TEACHER)
)


def batch(size: int = 64) -> Batch:
    """Real images; their labels are those of CIFAR-10."""
    return load_batch(
        str(SHARED / "images" / "cifar10_320.npz"), size=size, input_shape=(3, 32, 32), classes=100
    )


def network(text: str) -> torch.nn.Module:
    space, arch = spaces.resolve(text)
    torch.manual_seed(0)
    return space.build(arch)


def architectures() -> list[str]:
    depths = (1, 3, 5, 7)
    return [f"cifar-resnet:{a}-{b}-{c}" for a in depths for b in depths for c in depths]


def collected(cache: Path, size: int = 64) -> list[Collected]:
    """The statistics of all networks, read from `cache` when it is there."""
    if not cache.is_file():
        images = batch(size)
        teacher = collect_teacher(network(TEACHER), images, STATISTICS)
        found = [
            collect(network(text), images, STATISTICS, teacher=teacher) for text in architectures()
        ]
        plain = [(dict(c.values), dict(c.layers)) for c in found]
        cache.parent.mkdir(parents=True, exist_ok=True)
        torch.save(plain, cache)
    read = torch.load(cache, weights_only=False, mmap=True)
    return [Collected(values, layers) for values, layers in read]

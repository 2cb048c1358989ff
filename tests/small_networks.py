"""A small network, a small batch and short names, for the tests of statistics."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from autodas_dsl.data.batches import Batch
from autodas_dsl.language.inputs import Statistic

W, GRAD, HESS = Statistic("W"), Statistic("W", "grad"), Statistic("W", "hess")
A, GRAD_A, X, J, S = (
    Statistic("A"),
    Statistic("A", "grad"),
    Statistic("X"),
    Statistic("J"),
    Statistic("S"),
)
F_S, E_S, P_S, V_S = (Statistic(n) for n in ("F_s", "E_s", "P_s", "V_s"))
GRAD_V = Statistic("V_s", "grad")
FLOW, FLOW_BN, ONES = (Statistic("W", "grad", probe) for probe in ("flow", "flow_bn", "ones"))
EVERYTHING = [
    W, GRAD, HESS, A, GRAD_A, X, J, S, F_S, E_S, P_S, V_S, GRAD_V, FLOW, FLOW_BN, ONES,
    Statistic("X", every=True), Statistic("W", "grad", parts=2), Statistic("NTK", parts=4),
    Statistic("X", "grad"), Statistic("block"), Statistic("Z"), Statistic("curvature"),
    *(Statistic("P_s", probe=p) for p in ("tiny", "unit")), Statistic("W", probe="robust"),
    *(Statistic(*named, p) for named in (("A", ""), ("W", "grad")) for p in ("absolute", "robust")),
    Statistic("F_s", stage=-2), Statistic("F_s", probe="noise"), Statistic("F_s", probe="noise2"),
    Statistic("S", probe="noise"), Statistic("P_s", probe="jitter"), Statistic("Y"),
    *map(Statistic, ("fan_in", "fan_out", "index", "attn", "params", "flops", "layers")),
]  # fmt: skip


def batch_of(shape: tuple[int, ...] = (3, 8, 8), size: int = 8, classes: int = 5) -> Batch:
    generator = torch.Generator().manual_seed(7)
    x = torch.randn(size, *shape, generator=generator)
    return Batch(x, torch.arange(size) % classes, classes, "test")


BATCH = batch_of()


class Small(nn.Module):
    """Two stages, a shortcut that runs before the convolution registered before it."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3, padding=1)
        self.norm = nn.BatchNorm2d(4)
        self.act = nn.ReLU(inplace=True)
        self.deep = nn.Conv2d(4, 6, 3, 2, 1)
        self.short = nn.Conv2d(4, 6, 1, 2)
        self.drop = nn.Dropout(0.5)
        self.fc = nn.Linear(6, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.act(self.norm(self.stem(x)))
        shortcut = self.short(x)
        x = F.relu(self.deep(x) + shortcut)
        return self.fc(self.drop(F.adaptive_avg_pool2d(x, 1).flatten(1)))


def seeded(make: Callable[[], nn.Module]) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return make()


def same(a: Any, b: Any) -> bool:
    if isinstance(a, tuple):
        return len(a) == len(b) and all(map(torch.equal, a, b))
    return torch.equal(a, b)


@dataclass
class Snapshot:
    state: dict[str, Tensor]
    modes: list[bool]
    rest: list[dict[str, Any]]
    gradients: list[Tensor | None]
    random: tuple[Any, ...]

    @classmethod
    def of(cls, network: nn.Module) -> Snapshot:
        return cls(
            {k: v.clone() for k, v in network.state_dict().items()},
            [m.training for m in network.modules()],
            [
                {k: v for k, v in vars(m).items() if k not in ("_parameters", "_buffers")}
                for m in network.modules()
            ],
            [None if p.grad is None else p.grad.clone() for p in network.parameters()],
            (torch.get_rng_state().tolist(), random.getstate(), np.random.get_state()[1].tolist()),  # noqa: NPY002
        )

    def equals(self, other: Snapshot) -> bool:
        def hooks(rest: list[dict[str, Any]]) -> list[Any]:
            return [
                {k: list(v) if k.endswith("_hooks") else v for k, v in sorted(r.items())}
                for r in rest
            ]

        return (
            all(torch.equal(v, other.state[k]) for k, v in self.state.items())
            and self.modes == other.modes
            and [r.keys() for r in self.rest] == [r.keys() for r in other.rest]
            and str(hooks(self.rest)) == str(hooks(other.rest))
            and all(
                (a is None) == (b is None) and (a is None or torch.equal(a, b))
                for a, b in zip(self.gradients, other.gradients, strict=True)
            )
            and self.random == other.random
        )

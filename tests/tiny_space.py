"""A space of very small networks, in which an architecture and its mirror image are the same."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from autodas_dsl.spaces.fields import Field, FieldSpace


@dataclass(frozen=True, slots=True)
class TinyArch:
    width: tuple[int, int]


class Branches(nn.Module):
    """Two convolutions side by side, the narrower first whatever the order."""

    def __init__(self, widths: tuple[int, int], classes: int) -> None:
        super().__init__()
        self.narrow, self.wide = (nn.Conv2d(1, width, 3, padding=1) for width in sorted(widths))
        self.fc = nn.Linear(sum(widths), classes)

    def forward(self, x: Tensor) -> Tensor:
        maps = torch.cat([self.narrow(x), self.wide(x)], 1)
        return self.fc(torch.relu(maps).mean((2, 3)))


class Tiny(FieldSpace[TinyArch]):
    """Two widths from 1 to 8: 64 architectures, 36 networks."""

    name = "tiny"
    input_shape = (1, 8, 8)
    classes = 3
    arch_type = TinyArch
    parts = (Field("width", tuple(range(1, 9)), 2),)

    def build(self, arch: TinyArch, classes: int | None = None) -> nn.Module:
        return Branches(arch.width, classes or self.classes)

    def canonical(self, arch: TinyArch) -> str:
        return "-".join(map(str, sorted(arch.width)))


class Unlisted(Tiny):
    """The same, but not to be listed."""

    name = "unlisted"
    listed_up_to = 0


space = Tiny()

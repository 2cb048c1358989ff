"""The ResNet design space of Radosavovic et al. (ICCV 2019), for search under a budget."""

from __future__ import annotations

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor, nn

from autodas_dsl.spaces.fields import Field, FieldSpace
from autodas_dsl.spaces.resnet import BasicBlock, kaiming_normal, shortcut

STEM = 16
EXPANSION = 4


@dataclass(frozen=True, slots=True)
class NdsResNetArch:
    """Kind of block (1 basic, 4 bottleneck), blocks and channels of each stage."""

    expansion: int
    depth: tuple[int, int, int]
    width: tuple[int, int, int]


class Bottleneck(nn.Module):
    """1x1, 3x3, 1x1 convolutions, the middle ones a quarter as wide as the block."""

    def __init__(self, width_in: int, width: int, stride: int) -> None:
        super().__init__()
        inner = width // EXPANSION
        self.conv1 = nn.Conv2d(width_in, inner, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(inner)
        self.relu1 = nn.ReLU()
        self.conv2 = nn.Conv2d(inner, inner, 3, stride=stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(inner)
        self.relu2 = nn.ReLU()
        self.conv3 = nn.Conv2d(inner, width, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(width)
        self.downsample = shortcut(width_in, width, stride)

    def forward(self, x: Tensor) -> Tensor:
        inner = self.relu1(self.bn1(self.conv1(x)))
        inner = self.relu2(self.bn2(self.conv2(inner)))
        return F.relu(self.bn3(self.conv3(inner)) + self.downsample(x))


class NdsResNet(nn.Module):
    """A 16-wide stem, then three stages of blocks, strides 1, 2, 2."""

    def __init__(self, arch: NdsResNetArch, classes: int) -> None:
        super().__init__()
        block = BasicBlock if arch.expansion == 1 else Bottleneck
        self.conv1 = nn.Conv2d(3, STEM, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(STEM)
        self.relu = nn.ReLU()
        stages = []
        before = STEM
        for stage, (depth, width) in enumerate(zip(arch.depth, arch.width, strict=True)):
            blocks = []
            for number in range(depth):
                blocks.append(block(before, width, 2 if stage and not number else 1))
                before = width
            stages.append(nn.Sequential(*blocks))
        self.stages = nn.Sequential(*stages)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(before, classes)
        kaiming_normal(self)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stages(self.relu(self.bn1(self.conv1(x))))
        return self.fc(self.pool(x).flatten(1))


class NdsResNetSpace(FieldSpace[NdsResNetArch]):
    """Basic blocks or bottlenecks: a grid over that paper's 1-24 blocks and 16-256 channels."""

    name = "nds-resnet"
    input_shape = (3, 32, 32)
    classes = 10
    arch_type = NdsResNetArch
    parts = (
        Field("expansion", (1, EXPANSION)),
        Field("depth", (1, 2, 3, 5, 7, 11, 16, 24), 3, aliases=("depths",)),
        Field("width", (16, 24, 32, 48, 64, 96, 128, 192, 256), 3, aliases=("widths",)),
    )

    def build(self, arch: NdsResNetArch, classes: int | None = None) -> nn.Module:
        return NdsResNet(arch, classes or self.classes)


SPACE = NdsResNetSpace()

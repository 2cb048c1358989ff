"""What several spaces of convolutional networks are made of."""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn


def relu_conv_bn(width_in: int, width: int, kernel: int, stride: int = 1) -> nn.Sequential:
    """ReLU, convolution without bias, batch normalisation."""
    return nn.Sequential(
        nn.ReLU(),
        nn.Conv2d(width_in, width, kernel, stride=stride, padding=kernel // 2, bias=False),
        nn.BatchNorm2d(width),
    )


def shortcut(width_in: int, width: int, stride: int) -> nn.Module:
    """What stands beside a block: nothing, or a convolution to its size."""
    if stride == 1 and width_in == width:
        return nn.Identity()
    return nn.Sequential(
        nn.Conv2d(width_in, width, 1, stride=stride, bias=False), nn.BatchNorm2d(width)
    )


def kaiming_normal(network: nn.Module) -> None:
    """Convolutions Kaiming-normal, fan out."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")


class BasicBlock(nn.Module):
    """conv-BN-ReLU-conv-BN plus the shortcut, then ReLU (He et al., CVPR 2016).

    The ReLU after the addition is functional: the published scores that read activation modules
    count the inner one only.
    """

    def __init__(self, width_in: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(width_in, width, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu1 = nn.ReLU()
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.downsample = shortcut(width_in, width, stride)

    def forward(self, x: Tensor) -> Tensor:
        inner = self.relu1(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(inner)) + self.downsample(x))


class CifarResNet(nn.Module):
    """Three stages of basic blocks, strides 1, 2, 2; convolutions Kaiming-normal (fan out).

    Parameters
    ----------
    depths, widths : sequence of int
        Blocks and channels of each stage.
    classes : int
        Number of logits.
    stem : int, optional
        Channels after the first convolution; the first stage's by default.
    channels : int
        Channels of the input.
    """

    def __init__(
        self,
        depths: Sequence[int],
        widths: Sequence[int] = (16, 32, 64),
        *,
        classes: int,
        stem: int | None = None,
        channels: int = 3,
    ) -> None:
        super().__init__()
        width = widths[0] if stem is None else stem
        self.conv1 = nn.Conv2d(channels, width, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU()
        sizes = zip(depths, widths, strict=True)
        for stage, (depth, wide) in enumerate(sizes, start=1):
            blocks = []
            for block in range(depth):
                stride = 2 if stage > 1 and block == 0 else 1
                blocks.append(BasicBlock(width, wide, stride))
                width = wide
            setattr(self, f"layer{stage}", nn.Sequential(*blocks))
        self.stages = len(depths)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(width, classes)
        kaiming_normal(self)

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu(self.bn1(self.conv1(x)))
        for stage in range(1, self.stages + 1):
            x = self.get_submodule(f"layer{stage}")(x)
        return self.fc(self.pool(x).flatten(1))

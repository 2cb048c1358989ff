"""S0: residual networks for 32x32 images, the space of DisWOT and Auto-DAS."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from autodas_dsl.spaces.fields import Field, FieldSpace
from autodas_dsl.spaces.resnet import CifarResNet


@dataclass(frozen=True, slots=True)
class CifarResNetArch:
    """Blocks of the three stages."""

    depth: tuple[int, int, int]


class CifarResNetSpace(FieldSpace[CifarResNetArch]):
    """Depths {1, 3, 5, 7}^3 at widths 16, 32, 64 (He et al., CVPR 2016; Dong et al., CVPR 2023).

    A teacher may have any depth: ResNet-56 is ``9-9-9``, ResNet-110 is ``18-18-18``.
    """

    name = "cifar-resnet"
    input_shape = (3, 32, 32)
    classes = 100
    teacher = "9-9-9"
    arch_type = CifarResNetArch
    parts = (Field("depth", (1, 3, 5, 7), 3, accepts=range(1, 201), aliases=("depths",)),)

    def build(self, arch: CifarResNetArch, classes: int | None = None) -> nn.Module:
        return CifarResNet(arch.depth, classes=classes or self.classes)


SPACE = CifarResNetSpace()

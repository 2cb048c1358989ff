"""Small residual networks for scikit-learn's handwritten digits; their table ships with us."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from autodas_dsl.spaces.fields import Field, FieldSpace
from autodas_dsl.spaces.resnet import CifarResNet


@dataclass(frozen=True, slots=True)
class DigitsResNetArch:
    """Blocks and channels of the three stages."""

    depth: tuple[int, int, int]
    width: tuple[int, int, int]


class DigitsResNet(FieldSpace[DigitsResNetArch]):
    """Depths {1, 2, 3} and widths {4, 8, 16} of each stage: 729 networks for 8x8 grey images.

    The stem is as wide as the first stage. A teacher may be deeper and wider.
    """

    name = "digits-resnet"
    input_shape = (1, 8, 8)
    classes = 10
    data = "digits"
    teacher = "depth=1-1-1,width=32-64-64"
    teacher_weights = "digits-teacher.safetensors"
    arch_type = DigitsResNetArch
    parts = (
        Field("depth", (1, 2, 3), 3, accepts=range(1, 19), aliases=("depths",)),
        Field("width", (4, 8, 16), 3, accepts=range(1, 257), aliases=("widths",)),
    )

    def build(self, arch: DigitsResNetArch, classes: int | None = None) -> nn.Module:
        return CifarResNet(arch.depth, arch.width, classes=classes or self.classes, channels=1)


SPACE = DigitsResNet()

"""Small convolutional networks of named operations for scikit-learn's digits: 1,024 of them."""

from dataclasses import dataclass

from torch import nn

from autodas_dsl.spaces import Field, FieldSpace

MADE = {
    "skip": lambda wide: nn.Identity(),
    "conv1": lambda wide: conv(wide, 1),
    "conv3": lambda wide: conv(wide, 3),
    "depth3": lambda wide: nn.Sequential(conv(wide, 3, groups=wide), conv(wide, 1)),
}


def conv(wide, kernel, groups=1):
    layer = nn.Conv2d(wide, wide, kernel, padding="same", groups=groups, bias=False)
    return nn.Sequential(layer, nn.BatchNorm2d(wide), nn.ReLU())


@dataclass(frozen=True)
class Arch:
    width: int
    ops: tuple[str, ...]


class ConvNets(FieldSpace[Arch]):
    name = "convnets"
    input_shape = (1, 8, 8)
    classes = 10
    data = "digits"
    teacher = "digits-resnet:depth=1-1-1,width=32-64-64"
    teacher_weights = "digits-teacher.safetensors"
    arch_type = Arch
    parts = (Field("width", (4, 8, 12, 16)), Field("ops", tuple(MADE), length=4))

    def build(self, arch, classes=None):
        """``width=8,ops=conv3-skip-depth3-conv1``: each operation keeps the width."""
        body = [nn.Conv2d(1, arch.width, 3, padding=1), *(MADE[op](arch.width) for op in arch.ops)]
        head = [nn.AdaptiveAvgPool2d(1), nn.Flatten()]
        return nn.Sequential(*body, *head, nn.Linear(arch.width, classes or self.classes))


space = ConvNets()

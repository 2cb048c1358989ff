"""A space of your own: small convolutional networks. Use it with ``--space my_space.py``."""

from dataclasses import dataclass

from torch import nn

from autodas_dsl.spaces import Field, FieldSpace


@dataclass(frozen=True)
class Arch:
    width: int
    ops: tuple[str, ...]


class TinyConvNets(FieldSpace[Arch]):
    name = "tiny-conv"
    input_shape = (3, 32, 32)
    classes = 10
    arch_type = Arch
    parts = (Field("width", (8, 16, 32)), Field("ops", ("skip", "conv1", "conv3"), length=4))

    def build(self, arch, classes=None):
        """``width=8,ops=conv3-skip-conv1-conv3``: choices are numbers or names."""
        layers, channels = [], self.input_shape[0]
        for op in arch.ops:
            if op != "skip":
                kernel = int(op.removeprefix("conv"))
                layers += [nn.Conv2d(channels, arch.width, kernel, padding="same"), nn.ReLU()]
                channels = arch.width
        head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, classes or self.classes)]
        return nn.Sequential(*layers, *head)


space = TinyConvNets()

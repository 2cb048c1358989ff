"""TransNAS-Bench-101, macro level: chains of ResNet modules (Duan et al., CVPR 2021).

The network is the benchmark's classification network at 64 base channels. Two differences are
deliberate: images have 64x64 pixels instead of 224x224 and more, so that a network is scored in
a second without a GPU, and every task is scored on that network, also the jigsaw task, whose own
head joins the features of nine tiles.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import product

import numpy as np
from torch import Tensor, nn

from autodas_dsl.language.errors import InputError
from autodas_dsl.spaces.base import Space
from autodas_dsl.spaces.resnet import kaiming_normal, relu_conv_bn, shortcut

CHANNELS = 64
BLOCKS = 2
"""Residual blocks in each module."""

LENGTHS = (4, 5, 6)
DOUBLINGS = range(1, 4)
HALVINGS = range(1, 5)


@dataclass(frozen=True, slots=True)
class TransNasMacroArch:
    """What each module does: 1 plain, 2 doubled channels, 3 halved resolution, 4 both."""

    modules: tuple[int, ...]

    @property
    def doublings(self) -> int:
        return sum(module in (2, 4) for module in self.modules)

    @property
    def halvings(self) -> int:
        return sum(module in (3, 4) for module in self.modules)


class Block(nn.Module):
    """Two pre-activated convolutions beside a shortcut."""

    def __init__(self, width_in: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv_a = relu_conv_bn(width_in, width, 3, stride)
        self.conv_b = relu_conv_bn(width, width, 3)
        self.downsample = shortcut(width_in, width, stride)

    def forward(self, x: Tensor) -> Tensor:
        return self.downsample(x) + self.conv_b(self.conv_a(x))


class TransNasMacro(nn.Module):
    """A stem that divides the resolution by four, the modules, pooled logits."""

    def __init__(self, arch: TransNasMacroArch, classes: int) -> None:
        super().__init__()
        half = CHANNELS // 2
        self.stem = nn.Sequential(
            nn.Conv2d(3, half, 3, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(half),
            relu_conv_bn(half, CHANNELS, 3, 2),
        )
        width = CHANNELS
        layers = []
        for module in arch.modules:
            before, width = width, width * (2 if module in (2, 4) else 1)
            blocks = [Block(before, width, 2 if module in (3, 4) else 1)]
            blocks += [Block(width, width, 1) for _ in range(BLOCKS - 1)]
            layers.append(nn.Sequential(*blocks))
        self.layers = nn.Sequential(*layers)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Linear(width, classes)
        kaiming_normal(self)

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.pool(self.layers(self.stem(x))).flatten(1))


class TransNasMacroSpace(Space[TransNasMacroArch]):
    """Four to six modules, one to three doublings, one to four halvings: 3,256 networks."""

    name = "transnas-macro"
    input_shape = (3, 64, 64)
    classes = 75
    """Those of the object classification task; scenes have 47, the jigsaw 1,000."""

    def build(self, arch: TransNasMacroArch, classes: int | None = None) -> nn.Module:
        return TransNasMacro(arch, classes or self.classes)

    def parse(self, text: str) -> TransNasMacroArch:
        words = [word.strip() for word in text.split("-")]
        if not all(word in ("1", "2", "3", "4") for word in words):
            raise InputError(
                "E702",
                f'"{text}" is not an architecture of {self.name}',
                'write it as "1-4-2-3": 1 plain, 2 doubled channels, 3 halved resolution, 4 both',
            )
        arch = TransNasMacroArch(tuple(int(word) for word in words))
        if arch not in _members():
            raise InputError(
                "E707",
                f'"{text}" is not in {self.name}',
                f"{LENGTHS[0]} to {LENGTHS[-1]} modules, of which {DOUBLINGS[0]} to "
                f"{DOUBLINGS[-1]} double the channels and {HALVINGS[0]} to {HALVINGS[-1]} halve "
                "the resolution",
            )
        return arch

    def format(self, arch: TransNasMacroArch) -> str:
        return "-".join(map(str, arch.modules))

    def sample(self, rng: np.random.Generator) -> TransNasMacroArch:
        members = list(_members())
        return members[rng.integers(len(members))]

    def mutate(self, arch: TransNasMacroArch, rng: np.random.Generator) -> TransNasMacroArch:
        """A module changed, added or left out; the result is allowed."""
        while True:
            place = int(rng.integers(len(arch.modules)))
            drawn = int(rng.integers(1, 5))
            change = int(rng.integers(3))
            kept, rest = arch.modules[:place], arch.modules[place + (change != 1) :]
            mutant = TransNasMacroArch((*kept, *(() if change == 2 else (drawn,)), *rest))
            if mutant != arch and mutant in _members():
                return mutant

    def count(self) -> int:
        return len(_members())

    def enumerate(self) -> Iterator[TransNasMacroArch]:
        return iter(_members())


@cache
def _members() -> dict[TransNasMacroArch, None]:
    """Every member, in a fixed order."""
    every = (
        TransNasMacroArch(modules)
        for length in LENGTHS
        for modules in product((1, 2, 3, 4), repeat=length)
    )
    return {
        arch: None for arch in every if arch.doublings in DOUBLINGS and arch.halvings in HALVINGS
    }


SPACE = TransNasMacroSpace()

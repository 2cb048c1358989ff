"""PiT, pooling vision transformers (Heo et al., ICCV 2021), as searched by Auto-Prox."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from autodas_dsl.spaces.fields import Field, FieldSpace
from autodas_dsl.spaces.transformer import Block, truncated_normal

PATCH, STRIDE = 16, 8
DROP_PATH = 0.1


@dataclass(frozen=True, slots=True)
class PitArch:
    """Width of one head, MLP ratio, and per stage the blocks and heads."""

    base_dim: int
    mlp_ratio: int
    depth: tuple[int, int, int]
    num_heads: tuple[int, int, int]


class PitStage(nn.Module):
    """Blocks on a map [B, C, H, W] and a class token [B, 1, C]."""

    def __init__(self, width: int, heads: int, ratio: int, drops: list[float]) -> None:
        super().__init__()
        self.blocks = nn.Sequential(
            *(Block(width, heads, width * ratio, drop_path=drop) for drop in drops)
        )

    def forward(self, image: Tensor, token: Tensor) -> tuple[Tensor, Tensor]:
        height = image.shape[2]
        tokens = torch.cat([token, image.flatten(2).transpose(1, 2)], 1)
        tokens = self.blocks(tokens)
        image = tokens[:, 1:].transpose(1, 2).unflatten(2, (height, -1))
        return image, tokens[:, :1]


class PitPool(nn.Module):
    """Half the map, more channels: a strided depthwise convolution, a Linear for the token."""

    def __init__(self, width_in: int, width: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width_in, width, 3, stride=2, padding=1, groups=width_in)
        self.fc = nn.Linear(width_in, width)

    def forward(self, image: Tensor, token: Tensor) -> tuple[Tensor, Tensor]:
        return self.conv(image), self.fc(token)


class Pit(nn.Module):
    """The network of a `PitArch`; logits are read off the class token."""

    def __init__(self, arch: PitArch, size: int, classes: int) -> None:
        super().__init__()
        widths = [arch.base_dim * heads for heads in arch.num_heads]
        side = (size - PATCH) // STRIDE + 1
        self.patch_embed = nn.Conv2d(3, widths[0], PATCH, stride=STRIDE)
        self.pos_embed = nn.Parameter(torch.empty(1, widths[0], side, side))
        self.cls_token = nn.Parameter(torch.empty(1, 1, widths[0]))
        total = sum(arch.depth)
        drops = [DROP_PATH * number / total for number in range(total)]
        self.stages = nn.ModuleList()
        self.pools = nn.ModuleList()
        for stage, depth in enumerate(arch.depth):
            if stage:
                self.pools.append(PitPool(widths[stage - 1], widths[stage]))
            self.stages.append(
                PitStage(widths[stage], arch.num_heads[stage], arch.mlp_ratio, drops[:depth])
            )
            drops = drops[depth:]
        self.norm = nn.LayerNorm(widths[-1], eps=1e-6)
        self.head = nn.Linear(widths[-1], classes)
        truncated_normal(self.pos_embed, self.cls_token)

    def forward(self, x: Tensor) -> Tensor:
        image = self.patch_embed(x) + self.pos_embed
        token = self.cls_token.expand(len(x), -1, -1)
        for stage, blocks in enumerate(self.stages):
            if stage:
                image, token = self.pools[stage - 1](image, token)
            image, token = blocks(image, token)
        return self.head(self.norm(token)[:, 0])


class PitSpace(FieldSpace[PitArch]):
    """base_dim x heads wide stages on 224x224 images; heads never become fewer."""

    name = "pit"
    input_shape = (3, 224, 224)
    classes = 100
    teacher = "cifar-resnet:9-9-9"
    teacher_size = 32
    arch_type = PitArch
    parts = (
        Field("base_dim", (16, 24, 32, 40), aliases=("base",)),
        Field("mlp_ratio", (2, 4, 6, 8), aliases=("mlp",)),
        Field("depth", ((1, 2, 3), (4, 6, 8), (2, 4, 6)), 3, aliases=("depths",)),
        Field("num_heads", (2, 4, 8), 3, aliases=("heads",)),
    )

    def refusal(self, arch: PitArch) -> str:
        heads = arch.num_heads
        return "" if list(heads) == sorted(heads) else "num_heads must not become fewer"

    def build(self, arch: PitArch, classes: int | None = None) -> nn.Module:
        return Pit(arch, self.input_shape[1], classes or self.classes)


SPACE = PitSpace()

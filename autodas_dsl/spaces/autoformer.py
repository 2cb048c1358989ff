"""AutoFormer-Ti, vision transformers with choices in every layer (Chen et al., ICCV 2021)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from autodas_dsl.spaces.fields import Field, FieldSpace
from autodas_dsl.spaces.transformer import Block, truncated_normal

PATCH = 16
DROP_PATH = 0.1


@dataclass(frozen=True, slots=True)
class AutoFormerArch:
    """Width, layers, and the MLP ratio and heads of each layer."""

    hidden_dim: int
    depth: int
    mlp_ratio: tuple[float, ...]
    num_heads: tuple[int, ...]


class AutoFormer(nn.Module):
    """The network of an `AutoFormerArch`.

    Attention is as wide as the tokens and split among its heads, as in the released tables, so
    heads do not change the number of parameters.
    """

    def __init__(self, arch: AutoFormerArch, size: int, classes: int) -> None:
        super().__init__()
        width = arch.hidden_dim
        self.patch_embed = nn.Conv2d(3, width, PATCH, stride=PATCH)
        self.cls_token = nn.Parameter(torch.empty(1, 1, width))
        self.pos_embed = nn.Parameter(torch.empty(1, (size // PATCH) ** 2 + 1, width))
        layers = []
        for number, (heads, ratio) in enumerate(zip(arch.num_heads, arch.mlp_ratio, strict=True)):
            drop = DROP_PATH * number / (arch.depth - 1)
            layers.append(Block(width, heads, int(width * ratio), drop_path=drop, eps=1e-5))
        self.blocks = nn.Sequential(*layers)
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, classes)
        truncated_normal(self.pos_embed, self.cls_token)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                truncated_normal(module.weight)
                nn.init.zeros_(module.bias)

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.patch_embed(x).flatten(2).transpose(1, 2)
        tokens = torch.cat([self.cls_token.expand(len(x), -1, -1), tokens], 1) + self.pos_embed
        return self.head(self.norm(self.blocks(tokens))[:, 0])


class AutoFormerSpace(FieldSpace[AutoFormerArch]):
    """Width {192, 216, 240}, 12 to 14 layers, in each 3 or 4 heads and an MLP ratio of 3.5 or 4."""

    name = "autoformer"
    input_shape = (3, 224, 224)
    classes = 100
    teacher = "cifar-resnet:9-9-9"
    teacher_size = 32
    arch_type = AutoFormerArch
    parts = (
        Field("hidden_dim", (192, 216, 240), aliases=("hidden",)),
        Field("depth", (12, 13, 14)),
        Field("mlp_ratio", (3.5, 4), "depth", aliases=("mlp",)),
        Field("num_heads", (3, 4), "depth", aliases=("heads",)),
    )

    def build(self, arch: AutoFormerArch, classes: int | None = None) -> nn.Module:
        return AutoFormer(arch, self.input_shape[1], classes or self.classes)


SPACE = AutoFormerSpace()

"""Small vision transformers for scikit-learn's handwritten digits; their table ships with us."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from autodas_dsl.spaces.fields import Field, FieldSpace
from autodas_dsl.spaces.transformer import Block

SIDE = 8


@dataclass(frozen=True, slots=True)
class DigitsVitArch:
    """Side of a patch, width, layers, heads and MLP ratio."""

    patch: int
    dim: int
    depth: int
    heads: int
    mlp: int


class DigitsVit(nn.Module):
    """Patches, learned positions, pre-norm blocks; logits from the mean of the tokens."""

    def __init__(self, arch: DigitsVitArch, classes: int) -> None:
        super().__init__()
        self.patch_embed = nn.Conv2d(1, arch.dim, arch.patch, stride=arch.patch)
        self.pos_embed = nn.Parameter(torch.empty(1, (SIDE // arch.patch) ** 2, arch.dim))
        self.blocks = nn.Sequential(
            *(Block(arch.dim, arch.heads, arch.dim * arch.mlp) for _ in range(arch.depth))
        )
        self.norm = nn.LayerNorm(arch.dim, eps=1e-6)
        self.head = nn.Linear(arch.dim, classes)
        # Positions of the usual 0.02 drown beside the patches and take long to be learned.
        nn.init.normal_(self.pos_embed, std=0.5)

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.patch_embed(x).flatten(2).transpose(1, 2) + self.pos_embed
        return self.head(self.norm(self.blocks(tokens)).mean(1))


class DigitsVitSpace(FieldSpace[DigitsVitArch]):
    """288 transformers for 8x8 grey images."""

    name = "digits-vit"
    input_shape = (1, SIDE, SIDE)
    classes = 10
    data = "digits"
    teacher = "digits-resnet:depth=1-1-1,width=32-64-64"
    teacher_weights = "digits-teacher.safetensors"
    arch_type = DigitsVitArch
    parts = (
        Field("patch", (2, 4)),
        Field("dim", (8, 16, 24, 32)),
        Field("depth", (1, 2, 3, 4)),
        Field("heads", (1, 2, 4), aliases=("num_heads",)),
        Field("mlp", (1, 2, 4), aliases=("mlp_ratio",)),
    )

    def build(self, arch: DigitsVitArch, classes: int | None = None) -> nn.Module:
        return DigitsVit(arch, classes or self.classes)


SPACE = DigitsVitSpace()

"""The transformer layers that several spaces are made of."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Attention(nn.Module):
    """Multi-head self-attention on tokens [B, T, D], as plain matrix products.

    The fused kernels have no second derivative, which Hessian scores need.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.scale = (width // heads) ** -0.5
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        parts = self.qkv(x).unflatten(-1, (3, self.heads, -1))
        q, k, v = parts.permute(2, 0, 3, 1, 4).unbind(0)
        weights = ((q @ k.transpose(-2, -1)) * self.scale).softmax(-1)
        return self.proj((weights @ v).transpose(1, 2).flatten(2))


class Mlp(nn.Module):
    """Linear, GELU, Linear."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, hidden)
        self.act = nn.GELU()
        self.fc2 = nn.Linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(self.act(self.fc1(x)))


class DropPath(nn.Module):
    """Stochastic depth (Huang et al., ECCV 2016): a sample's branch is dropped when training."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.rate == 0:
            return x
        kept = torch.rand(len(x), *[1] * (x.ndim - 1), device=x.device, dtype=x.dtype) >= self.rate
        return x * kept / (1 - self.rate)


class Block(nn.Module):
    """A pre-norm transformer block.

    Parameters
    ----------
    width, heads, hidden : int
        Of the tokens, of the attention, of the MLP's inner layer.
    drop_path : float
        Stochastic depth of both branches.
    eps : float
        Of the layer normalisations.
    """

    def __init__(
        self, width: int, heads: int, hidden: int, *, drop_path: float = 0.0, eps: float = 1e-6
    ) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=eps)
        self.attn = Attention(width, heads)
        self.drop_path = DropPath(drop_path)
        self.norm2 = nn.LayerNorm(width, eps=eps)
        self.mlp = Mlp(width, hidden)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.drop_path(self.attn(self.norm1(x)))
        return x + self.drop_path(self.mlp(self.norm2(x)))


def truncated_normal(*tensors: Tensor, std: float = 0.02) -> None:
    """Initialise in place from a normal distribution cut at two absolute units."""
    for tensor in tensors:
        nn.init.trunc_normal_(tensor, std=std)

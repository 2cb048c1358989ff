"""What computes below the kernels: torch on any device, NumPy where a CPU does it faster.

Kernels ask `backend_of` a tensor, so that where a statistic lies decides who computes with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

_BLAS = (torch.float32, torch.float64)
_BY_NUMPY = frozenset(_BLAS if torch.backends.cpu.get_cpu_capability() == "AVX512" else ())
"""Where the processor has AVX-512, NumPy computes elementary functions two to ten times as fast as
torch, whose own stumble over zeros and negative numbers; both err by at most 4 units in the last
place."""


class Backend:
    """torch alone: on any device, and differentiable."""

    def elementary(self, name: str, x: Tensor, overwrite: bool = False) -> Tensor:
        """A function that torch and NumPy have under one name; `x` itself may be overwritten."""
        overwrite = overwrite and not x.requires_grad
        result: Tensor = getattr(torch, f"{name}_" if overwrite else name)(x)
        return result

    def is_finite(self, x: Tensor) -> bool:
        """Whether every value is finite; also not where their sum overflows."""
        return bool(torch.isfinite(x.sum()))

    def gram(self, rows: Tensor) -> Tensor:
        """``rows @ rows.T`` over the last two axes."""
        return rows @ rows.transpose(-1, -2)

    def eigvals(self, x: Tensor) -> Tensor:
        """Of symmetric matrices, ascending."""
        return torch.linalg.eigvalsh(x)

    def svdvals(self, x: Tensor) -> Tensor:
        """Singular values, descending. Those of float32 come from the Gram matrix in float64, which
        is several times as fast and no less accurate: it errs by 1e-8 of the largest."""
        if x.dtype == torch.float64:
            return torch.linalg.svdvals(x)
        return self.roots(self.gram(wide(x).double())).to(x.dtype)

    def roots(self, product: Tensor) -> Tensor:
        """Singular values, descending, from a Gram matrix."""
        return torch.sqrt(self.eigvals(product).clamp_min(0)).flip(-1)

    def logdet(self, x: Tensor) -> Tensor:
        """ln|det x|."""
        return torch.linalg.slogdet(x)[1]

    def is_positive(self, x: Tensor) -> bool:
        """Whether every symmetric matrix is positive definite."""
        return not bool(torch.linalg.cholesky_ex(x)[1].any())

    def sort(self, x: Tensor) -> Tensor:
        """Along the last axis, NaN last."""
        return torch.sort(x, -1).values

    def argmax(self, x: Tensor, axis: int) -> Tensor:
        """The first of the largest, the axis kept."""
        return torch.argmax(x, axis, keepdim=True)

    def distinct_rows(self, rows: Tensor) -> int:
        """How many different rows a matrix of truth values has."""
        return len(torch.unique(rows, dim=0))

    def draws(self, shape: Sequence[int], seed: int, like: Tensor) -> Tensor:
        """Uniform numbers beside a tensor, the same on every device and for every dtype."""
        return _draws(tuple(shape), seed).to(like.device)


@lru_cache(maxsize=256)
def _draws(shape: tuple[int, ...], seed: int) -> Tensor:
    """Of a fixed NumPy generator: torch draws differ between dtypes and devices."""
    return torch.from_numpy(np.random.Generator(np.random.Philox(seed)).random(shape))


class CpuBackend(Backend):
    """NumPy for what it does faster; it shares the memory of CPU tensors."""

    def elementary(self, name: str, x: Tensor, overwrite: bool = False) -> Tensor:
        if x.dtype not in _BY_NUMPY:
            return super().elementary(name, x, overwrite)
        values = x.numpy()
        with np.errstate(all="ignore"):
            return torch.as_tensor(getattr(np, name)(values, out=values if overwrite else None))

    def gram(self, rows: Tensor) -> Tensor:
        """By the BLAS routine for such products, which multiplies each two rows once: up to 1.7
        times as fast as torch for rows that are longer than they are many."""
        if rows.shape[-2] > rows.shape[-1] or rows.dtype not in _BLAS:
            return super().gram(rows)
        values = rows.contiguous().numpy()
        with np.errstate(all="ignore"):
            return torch.from_numpy(np.matmul(values, values.swapaxes(-1, -2)))

    def sort(self, x: Tensor) -> Tensor:
        """Twenty times as fast as torch."""
        return torch.from_numpy(np.sort(x.numpy(), -1))

    def argmax(self, x: Tensor, axis: int) -> Tensor:
        """Six times as fast as torch."""
        found = np.argmax(x.movedim(axis, -1).contiguous().numpy(), -1)
        return torch.as_tensor(found).unsqueeze(-1).movedim(-1, axis)

    def distinct_rows(self, rows: Tensor) -> int:
        packed = np.packbits(rows.numpy(), axis=-1)
        padded = np.pad(packed, ((0, 0), (0, -packed.shape[-1] % 8)))
        if padded.shape[-1] == 8:
            return int(np.unique(padded.view(np.uint64)).size)
        return int(np.unique(padded.view(np.dtype((np.void, padded.shape[-1])))).size)


TORCH = Backend()
CPU = CpuBackend()


def backend_of(x: Tensor) -> Backend:
    """Who computes with a tensor: NumPy knows neither other devices nor gradients."""
    return CPU if x.is_cpu and not x.requires_grad else TORCH


def wide(x: Tensor) -> Tensor:
    """Matrices, transposed where they have more rows than columns: their Gram matrix is smaller."""
    return x if x.shape[-2] <= x.shape[-1] else x.transpose(-1, -2)

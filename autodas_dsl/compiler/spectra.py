"""The torch functions of spectral operators; all are pure and hold for any leading axes."""

from __future__ import annotations

from collections.abc import Callable
from types import EllipsisType

import torch
from torch import Tensor

from autodas_dsl.compiler.backend import backend_of, wide


def over(ndim: int) -> tuple[EllipsisType | None, ...]:
    """The index that appends `ndim` axes of size 1."""
    return (Ellipsis,) + (None,) * ndim


def _decomposed(x: Tensor, function: Callable[[Tensor], Tensor]) -> Tensor:
    """`function` of matrices; NaN for those that are not finite, which LAPACK refuses."""
    if backend_of(x).is_finite(x):
        return function(x)
    good = torch.isfinite(x).flatten(-2).all(-1)
    result = function(torch.where(good[..., None, None], x, torch.zeros_like(x)))
    extra = result.dim() - good.dim()
    return torch.where(good[over(extra)], result, torch.nan)


def gram(rows: Tensor) -> Tensor:
    """``rows @ rows.T`` over the last two axes."""
    return backend_of(rows).gram(rows)


def eigvals(x: Tensor) -> Tensor:
    return _decomposed(x, backend_of(x).eigvals)


def svdvals(x: Tensor) -> Tensor:
    return _decomposed(x, backend_of(x).svdvals)


def logdet(x: Tensor) -> Tensor:
    return _decomposed(x, backend_of(x).logdet)


def nuclear(x: Tensor) -> Tensor:
    return svdvals(x).sum(-1)


SPECTRA: dict[str, Callable[[Tensor], Tensor]] = {"singular": svdvals, "eigen": eigvals}
"""What is worth keeping of a statistic, since several operators are made of it."""

SPECTRAL = {
    "svdvals": ("singular", "{0}"),
    "norm_nuc": ("singular", "torch.sum({0}, -1)"),
    "rank": ("singular", "kernels.rank_from({0}, {1})"),
    "eigvals": ("eigen", "{0}"),
    "erank": ("eigen", "kernels.erank_from({0})"),
    "cond": ("eigen", "kernels.cond_from({0})"),
}
"""Operators made of singular values or eigenvalues: which, and the text over them ({1}: the matrix)."""


def cond(x: Tensor) -> Tensor:
    return cond_from(eigvals(x))


def cond_from(values: Tensor) -> Tensor:
    """The condition number of matrices with these eigenvalues, in ascending order."""
    return values[..., -1] / values[..., 0]


def rank(x: Tensor) -> Tensor:
    """Singular values above eps * max(rows, columns) * the largest of them.

    In float32 most matrices have full rank, which a Cholesky factor shows at a fraction of a
    decomposition's cost: of a float32 Gram matrix first, of a float64 one where that rounds too
    much.
    """
    if x.dtype != torch.float32:
        return rank_from(svdvals(x), x)
    backend = backend_of(x)
    full = x.new_full(x.shape[:-2], min(x.shape[-2:]))
    share = 2 * torch.finfo(x.dtype).eps * max(x.shape[-2:])  # twice the bound: what rounds is less
    if _above(backend.gram(wide(x)), share):
        return full
    product = backend.gram(wide(x).double())
    if _above(product, share**2):
        return full
    return rank_from(_decomposed(product, backend.roots).to(x.dtype), x)


def _above(product: Tensor, share: float) -> bool:
    """Whether the eigenvalues of all Gram matrices are certainly above a share of their norms."""
    backend = backend_of(product)
    if not backend.is_finite(product):
        return False
    least = share * torch.linalg.matrix_norm(product)
    shifted = product - torch.diag_embed(least.unsqueeze(-1).expand(product.shape[:-1]))
    return backend.is_positive(shifted)


def rank_from(values: Tensor, x: Tensor) -> Tensor:
    """The rank of matrices with these singular values."""
    above = values > torch.finfo(x.dtype).eps * max(x.shape[-2:]) * values[..., :1]
    return torch.where(torch.isfinite(values).all(-1), above.sum(-1).to(x.dtype), torch.nan)


def erank(x: Tensor) -> Tensor:
    return erank_from(eigvals(x))


def erank_from(values: Tensor) -> Tensor:
    """The effective rank of matrices with these eigenvalues."""
    share = values.clamp_min(0)
    share = share / share.sum(-1, keepdim=True)
    return torch.exp(-torch.xlogy(share, share).sum(-1))


def quantiles(x: Tensor, n: float) -> Tensor:
    count = int(n)
    shares = torch.arange(1, count + 1, dtype=x.dtype, device=x.device) / (count + 1)
    return torch.quantile(x, shares, -1).movedim(0, -1)


def prank(x: Tensor) -> Tensor:
    trace = torch.diagonal(x, dim1=-2, dim2=-1).sum(-1)
    return trace**2 / (x * x).sum((-2, -1))

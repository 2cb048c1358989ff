"""The torch functions that operator entries name. All are pure and hold for any leading axes.

`axis` is one negative dimension, `dims` a tuple of them, `ndim` the number of named axes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from autodas_dsl.compiler.backend import backend_of
from autodas_dsl.compiler.elementwise import (  # noqa: F401, named in operator templates
    abslog,
    abssqrt,
    exp,
    log,
    mish,
    power,
    softplus,
    sqrt,
    symlog,
    tanh,
)
from autodas_dsl.compiler.spectra import (  # noqa: F401, named in operator templates
    cond,
    cond_from,
    eigvals,
    erank,
    erank_from,
    gram,
    logdet,
    nuclear,
    over,
    prank,
    quantiles,
    rank,
    rank_from,
    svdvals,
)

EPS = 1e-9
Dims = tuple[int, ...]


def finite(result: Tensor) -> Tensor:
    """A number where a level was removed: float64, NaN where it is not finite."""
    result = result.double()
    return torch.where(torch.isfinite(result), result, torch.nan)


def or_nan(result: Tensor, source: Tensor, ndim: int, source_ndim: int) -> Tensor:
    """`result`, NaN for every unit in which `source` is not finite.

    For operators whose result can be finite although their input is not.
    """
    if backend_of(source).is_finite(source):
        return result
    good = torch.isfinite(source)
    if source_ndim:
        good = good.flatten(-source_ndim).all(-1) if source_ndim > 1 else good.all(-1)
    if bool(good.all()):
        return result
    return torch.where(good[over(ndim)], result, torch.nan)


def spread(value: Tensor, like: Tensor, ndim: int) -> Tensor:
    """A number per unit, ready to combine with a tensor per unit."""
    return value.to(like.dtype)[over(ndim)]


# --- normalising --------------------------------------------------------------------------------


def normalize(x: Tensor, dims: Dims) -> Tensor:
    centred = x - x.mean(dims, keepdim=True)
    return _over(centred, torch.sqrt((centred * centred).mean(dims, keepdim=True)) + EPS)


def minmax(x: Tensor, dims: Dims) -> Tensor:
    low, high = x.amin(dims, keepdim=True), x.amax(dims, keepdim=True)
    return (x - low) / (high - low + EPS)


def batchnorm(x: Tensor, ndim: int) -> Tensor:
    dims = (-ndim, *range(2 - ndim, 0))
    centred = x - x.mean(dims, keepdim=True)
    return _over(centred, torch.sqrt((centred * centred).mean(dims, keepdim=True) + EPS))


def _over(x: Tensor, scale: Tensor) -> Tensor:
    """The quotient, in the memory of `x` where no gradient needs that."""
    return x / scale if x.requires_grad else x.div_(scale)


def l2norm(x: Tensor, axis: int) -> Tensor:
    return x / _length(x, axis).clamp_min(EPS)


def _length(x: Tensor, axis: int) -> Tensor:
    """Euclidean length along an axis, which stays; much faster than `vector_norm`, whose derivative
    is finite at 0."""
    if x.requires_grad:
        found: Tensor = torch.linalg.vector_norm(x, 2, axis, keepdim=True)
        return found
    return torch.sqrt((x * x).sum(axis, keepdim=True))


def l1norm(x: Tensor, axis: int) -> Tensor:
    return x / (x.sum(axis, keepdim=True) + EPS)


def satt(x: Tensor) -> Tensor:
    energy = x.abs().mean(-3)
    positions = energy.flatten(-2)
    return (positions.shape[-1] * torch.softmax(positions / 0.5, -1)).view_as(energy)


def natt(x: Tensor, ndim: int) -> Tensor:
    return x.shape[-ndim] * torch.softmax(x / 0.5, -ndim)


def catt(x: Tensor, ndim: int) -> Tensor:
    energy = x if ndim == 2 else x.abs().mean(tuple(range(2 - ndim, 0)))
    return energy.shape[-1] * torch.softmax(energy / 0.5, -1)


def mask(x: Tensor, p: float, seed: float) -> Tensor:
    batch, _, height, width = x.shape[-4:]
    kept = backend_of(x).draws((batch, height, width), int(seed), x) >= p
    return x * kept.unsqueeze(-3).to(x)


def drop(x: Tensor, p: float, seed: float, ndim: int) -> Tensor:
    batch, channels = x.shape[-ndim : x.dim() - ndim + 2]
    kept = backend_of(x).draws((batch, channels), int(seed), x) >= p
    return x * (kept.to(x) / (1 - p))[over(ndim - 2)]


# --- transforms ---------------------------------------------------------------------------------


def multiscale(x: Tensor, r: float) -> Tensor:
    """A window is at most the map."""
    high, wide = (min(int(r), side) for side in x.shape[-2:])
    height, width = x.shape[-2] // high * high, x.shape[-1] // wide * wide
    rows = reduce(torch.maximum, (x[..., i:height:high, :width] for i in range(high)))
    return reduce(torch.maximum, (rows[..., i::wide] for i in range(wide)))


def local(x: Tensor, s: float) -> Tensor:
    """Every s-th value of rows and columns at a time: copies of long runs, not of s values each."""
    side = int(s)
    corners = [x[..., i::side, j::side] for i in range(side) for j in range(side)]
    return torch.stack(corners, -1).flatten(-4, -2).unflatten(-1, (side, side))


def batch(x: Tensor, ndim: int) -> Tensor:
    return x.flatten(1 - ndim) if ndim > 1 else x.unsqueeze(-1)


def channel(x: Tensor, ndim: int) -> Tensor:
    return x.flatten(2 - ndim) if ndim > 2 else x.unsqueeze(-1)


def pick(x: Tensor, n: float, seed: float, ndim: int) -> Tensor:
    channels = x.shape[1 - ndim]
    order = backend_of(x).draws((channels,), int(seed), x).argsort()
    return x.index_select(1 - ndim, order[: int(n)].sort().values)


def bmm(x: Tensor, ndim: int) -> Tensor:
    return gram(channel(x, ndim))


def mm(x: Tensor, ndim: int) -> Tensor:
    return gram(batch(x, ndim))


def align(x: Tensor, other: Tensor, word: str) -> Tensor:
    """Average-pooled to the smaller of the two sizes along channels, positions or both."""
    ndim = 4 if word == "HW" or (x.dim() >= 4 and other.dim() >= 4) else 2
    sizes = list(x.shape[1 - ndim :])
    smaller = [min(a, b) for a, b in zip(sizes, other.shape[1 - ndim :], strict=True)]
    pooled: list[int | None] = [
        s if _pools(word, d) else n for d, (n, s) in enumerate(zip(sizes, smaller, strict=True))
    ]
    if pooled == sizes:
        return x
    flat = x.flatten(0, -ndim)
    if ndim == 2:
        out = functional.adaptive_avg_pool1d(flat.unsqueeze(1), smaller[0]).squeeze(1)
    else:
        out = functional.adaptive_avg_pool3d(
            flat.unsqueeze(1), (pooled[0], pooled[1], pooled[2])
        ).squeeze(1)
    return out.unflatten(0, x.shape[: x.dim() - ndim + 1])


def _pools(word: str, position: int) -> bool:
    return ("C" in word) if position == 0 else ("HW" in word)


def hamming(x: Tensor, ndim: int) -> Tensor:
    """Equal signs minus different ones is the inner product of the signs; both add to all."""
    signs = (batch(x, ndim) > 0).to(x.dtype).mul_(2).sub_(1)
    return (gram(signs) + signs.shape[-1]) / 2


def corr(x: Tensor, ndim: int) -> Tensor:
    """A constant row correlates with nothing: exactly 0 after centring, so NaN, whatever rounds."""
    rows = batch(x, ndim)
    constant = rows.amax(-1, keepdim=True) == rows.amin(-1, keepdim=True)
    rows = (rows - rows.mean(-1, keepdim=True)).masked_fill(constant, 0)
    cov = gram(rows)
    scale = torch.sqrt(torch.diagonal(cov, dim1=-2, dim2=-1))
    return cov / (scale.unsqueeze(-1) * scale.unsqueeze(-2))


def reldist(x: Tensor, ndim: int) -> Tensor:
    distance = _distances(batch(x, ndim))
    positive = (distance > 0).sum((-2, -1), keepdim=True)
    return distance / (distance.sum((-2, -1), keepdim=True) / positive)


def _distances(rows: Tensor) -> Tensor:
    """Euclidean distances of rows. Those of float32 come from the centred Gram matrix: in float32
    where no two rows lie close together, in float64 where they do."""
    if rows.dtype == torch.float64:
        return torch.cdist(rows, rows, compute_mode="donot_use_mm_for_euclid_dist")
    rows = rows - rows.mean(-2, keepdim=True)
    both, squared = _squared_distances(gram(rows))
    torch.diagonal(squared, dim1=-2, dim2=-1).zero_()
    close = (squared < _CLOSE * both).sum()
    if int(close) == squared.shape[:-1].numel():  # the diagonal alone
        return squared.sqrt_()
    both, squared = _squared_distances(_centred_gram(rows))
    squared.masked_fill_(squared <= _NOISE * both, 0)  # equal rows: exactly 0
    return squared.sqrt_().to(rows.dtype)


def _squared_distances(product: Tensor) -> tuple[Tensor, Tensor]:
    """From a Gram matrix: the sum of the squares of each two rows, and their squared distance."""
    squares = torch.diagonal(product, dim1=-2, dim2=-1)
    both = squares.unsqueeze(-1) + squares.unsqueeze(-2)
    return both, both - 2 * product


_CLOSE = 0.1  # of the squares: float32 then errs by a few 1e-7
_NOISE = 1e-14  # of a float64 Gram matrix, relative to the squares in it


def _centred_gram(rows: Tensor) -> Tensor:
    """In float64, and symmetric to the last bit."""
    rows = rows.double()
    rows = rows - rows.mean(-2, keepdim=True)
    product = gram(rows)
    return (product + product.transpose(-1, -2)) / 2


def angles(x: Tensor, ndim: int) -> Tensor:
    """From the Gram matrix, in float64: the edges themselves would be B times as large as `x`."""
    product = _centred_gram(batch(x, ndim))
    squares = torch.diagonal(product, dim1=-2, dim2=-1)
    edges = product.unsqueeze(-3) - product.unsqueeze(-1)  # [i j k] = jk - ij
    edges -= (product - squares.unsqueeze(-1)).unsqueeze(-2)  # ik - ii
    squared = torch.diagonal(edges, dim1=-2, dim2=-1)
    noise = _NOISE * (squares.unsqueeze(-1) + squares.unsqueeze(-2))
    equal = squared <= noise  # rows: cosine 0
    lengths = torch.sqrt(squared.masked_fill(equal, 1)).clamp_min(EPS)
    if not x.requires_grad:  # where it does, a product with infinity would have no derivative
        lengths = lengths.masked_fill_(equal, torch.inf)
    scale = lengths.unsqueeze(-1) * lengths.unsqueeze(-2)
    if x.requires_grad:
        scale = scale.masked_fill(equal.unsqueeze(-1) | equal.unsqueeze(-2), torch.inf)
    return (edges / scale).to(x.dtype)


def _channel_rows(x: Tensor, ndim: int) -> Tensor:
    """[B C ...] -> [C, B*positions]."""
    return channel(x, ndim).transpose(-3, -2).flatten(-2)


def _centred_rows(x: Tensor, ndim: int) -> Tensor:
    rows = _channel_rows(x, ndim)
    return rows - rows.mean(-1, keepdim=True)


def changram(x: Tensor, ndim: int) -> Tensor:
    rows = _channel_rows(x, ndim)
    return gram(rows) / rows.shape[-1]


def chancov(x: Tensor, ndim: int) -> Tensor:
    rows = _centred_rows(x, ndim)
    return gram(rows) / rows.shape[-1]


def chancorr(x: Tensor, ndim: int) -> Tensor:
    return gram(l2norm(_centred_rows(x, ndim), -1))


# --- layer lists: one network's entries in, one tensor out ---------------------------------------


def concat(entries: Sequence[Tensor]) -> Tensor:
    return torch.cat([entry.reshape(len(entry), -1) for entry in entries], 1)


def first(entries: Sequence[Tensor]) -> Tensor:
    return entries[0]


def last(entries: Sequence[Tensor]) -> Tensor:
    return entries[-1]


def total(entries: Sequence[Tensor]) -> Tensor:
    """The sum of equally shaped entries; NaN where the shapes differ."""
    result = entries[0]
    if any(entry.shape != result.shape for entry in entries):
        return torch.full_like(result, torch.nan)
    for entry in entries[1:]:
        result = result + entry
    return result


# --- distances ----------------------------------------------------------------------------------


def share(x: Tensor) -> Tensor:
    """Mark a tensor that meets every network, the teacher's: what `once` makes of it is kept as long
    as it lives."""
    if not hasattr(x, "made"):
        x.made = {}  # type: ignore[attr-defined]
    return x


def once(x: Tensor, key: tuple[Any, ...], make: Callable[[], Tensor]) -> Tensor:
    """What is made of a tensor, once where it is shared."""
    made: dict[tuple[Any, ...], Tensor] | None = getattr(x, "made", None)
    if made is None:
        return make()
    if key not in made:
        made[key] = make()
    return made[key]


def smooth_l1(a: Tensor, b: Tensor, dims: Dims) -> Tensor:
    gap = (a - b).abs_()
    near = gap.clamp_max(1)  # near * (gap - near / 2) is gap^2 / 2 up to 1, gap - 1/2 from there
    rest = gap.sub(near, alpha=0.5) if gap.requires_grad else gap.sub_(near, alpha=0.5)
    return rest.mul_(near).mean(dims)


def kl(a: Tensor, b: Tensor, T: float, axis: int, positions: Dims, samples: Dims) -> Tensor:
    own = torch.log_softmax(a if T == 1 else a / T, axis)
    target = once(b, ("log", T, axis), lambda: torch.log_softmax(b if T == 1 else b / T, axis))
    pointwise = (target - own).mul_(once(b, ("exp", T, axis), lambda: exp(target)))
    summed = pointwise.sum((axis, *positions), keepdim=True).mean(samples, keepdim=True) if samples \
        else pointwise.sum((axis, *positions), keepdim=True)  # fmt: skip
    return T * T * summed.flatten(-(len(positions) + len(samples) + 1)).squeeze(-1)


def hard(a: Tensor, b: Tensor, axis: int, others: Dims) -> Tensor:
    label = once(b, ("argmax", axis), lambda: backend_of(b).argmax(b, axis))
    shape = torch.broadcast_tensors(label, a.narrow(axis, 0, 1))[0].shape
    picked = a.expand(*shape[: a.dim() + axis], a.shape[axis], *shape[a.dim() + axis + 1 :])
    picked = picked.gather(axis, label.expand(shape))
    return (torch.logsumexp(a, axis, keepdim=True) - picked).mean((axis, *others))


def _cosines(a: Tensor, b: Tensor, axis: int) -> Tensor:
    lengths = _length(a, axis) * once(b, ("length", axis), lambda: _length(b, axis))
    return (a * b).sum(axis, keepdim=True) / lengths.clamp_min(EPS)


def cosine(a: Tensor, b: Tensor, axis: int, others: Dims) -> Tensor:
    return 1 - _cosines(a, b, axis).mean((axis, *others))


def pearson(a: Tensor, b: Tensor, axis: int, others: Dims) -> Tensor:
    other = once(b, ("centred", axis), lambda: share(b - b.mean(axis, keepdim=True)))
    return cosine(a - a.mean(axis, keepdim=True), other, axis, others)


def pairwise(a: Tensor, b: Tensor, ndim: int) -> Tensor:
    return torch.linalg.vector_norm(batch(a - b, ndim), 2, -1).mean(-1)


def cka(a: Tensor, b: Tensor, ndim: int, other_ndim: int) -> Tensor:
    def centred(x: Tensor, own: int) -> Tensor:
        rows = batch(x, own)
        return gram(rows - rows.mean(-2, keepdim=True))

    first_gram = centred(a, ndim)
    second_gram = once(b, ("gram",), lambda: centred(b, other_ndim))
    inner = (first_gram * second_gram).sum((-2, -1))
    lengths = torch.linalg.matrix_norm(first_gram) * torch.linalg.matrix_norm(second_gram)
    return 1 - inner / lengths.clamp_min(EPS)


def mmd(a: Tensor, b: Tensor, degree: float, ndim: int) -> Tensor:
    x, y = (t.flatten(2 - ndim) if ndim > 2 else t.unsqueeze(-3) for t in (a, b))
    if degree == 1:  # the distance of the means
        return (x.mean(-2) - y.mean(-2)).square_().sum(-1).mean(-1)

    def kernel(p: Tensor, q: Tensor) -> Tensor:
        return power(p @ q.transpose(-1, -2), int(degree)).mean((-2, -1))

    return (kernel(x, x) + kernel(y, y) - 2 * kernel(x, y)).mean(-1)


# --- reductions ---------------------------------------------------------------------------------


def std(x: Tensor, dims: Dims) -> Tensor:
    return torch.sqrt(var(x, dims))


def var(x: Tensor, dims: Dims) -> Tensor:
    """Two passes over values that are in the cache anyway; torch's own is ten times slower."""
    centred = x - x.mean(dims, keepdim=True)
    return centred.square_().mean(dims)


def norm_1(x: Tensor, dims: Dims) -> Tensor:
    return torch.abs(x).sum(dims)


def norm_2(x: Tensor, dims: Dims) -> Tensor:
    return torch.sqrt((x * x).sum(dims))


def norm_inf(x: Tensor, dims: Dims) -> Tensor:
    return torch.abs(x).amax(dims)


def median(x: Tensor, dims: Dims) -> Tensor:
    kept = [d for d in range(-x.dim(), 0) if d not in dims]
    values = backend_of(x).sort(x.permute(*kept, *dims).flatten(len(kept)))
    n = values.shape[-1]
    return (values[..., (n - 1) // 2] + values[..., n // 2]) / 2


def numel(x: Tensor, dims: Dims) -> Tensor:
    return torch.ones_like(x).sum(dims)


def patterns(x: Tensor, ndim: int) -> Tensor:
    signs = batch(x, ndim) > 0
    stacked = signs.reshape(-1, *signs.shape[-2:]).transpose(-1, -2).contiguous()
    counts = [backend_of(x).distinct_rows(unit) for unit in stacked]
    return x.new_tensor(counts).reshape(signs.shape[:-2])

"""An independent meaning of every operator, in float64 NumPy, written from the definitions.

``REFERENCE[name](args, values, kinds)`` takes one array per argument, its axes named by the kind
(tuples of arrays for a layer list with axes, one 1-D array for one number per layer), all attribute
values, and the kinds; it returns the array of the result. One tensor at a time: what happens in
every layer of a list is the business of the evaluator.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autodas_dsl.language.kinds import Kind

Array = NDArray[np.float64]
Values = Mapping[str, Any]
Kinds = Sequence[Kind]
Meaning = Callable[[Sequence[Any], Values, Kinds], Any]

EPS = 1e-9
POSITIONS = ("H", "W", "R")


# --- axes ---------------------------------------------------------------------------------------


def axes(kind: Kind, word: str) -> tuple[int, ...]:
    """The places of the axes that a word such as ``C`` or ``CHW`` names."""
    wanted: set[str] = set()
    for label in re.findall("HW|G|B|C", word):
        wanted.update(POSITIONS if label == "HW" else (label,))
    return tuple(i for i, name in enumerate(kind.names) if name in wanted)


def reduced(kind: Kind, values: Values) -> tuple[int, ...] | None:
    """The places that a reduction removes; None stands for all of them."""
    return axes(kind, str(values["axis"])) if "axis" in values else None


def flat_rest(x: Array, names: Sequence[str]) -> tuple[Array, tuple[str, ...]]:
    """Height and width read as one axis."""
    if "H" not in names:
        return x, tuple(names)
    at = list(names).index("H")
    merged = x.reshape(*x.shape[:at], -1, *x.shape[at + 2 :])
    return merged, (*names[:at], "R", *names[at + 2 :])


def together(args: Sequence[Array], kinds: Kinds) -> tuple[Array, Array]:
    """Two arrays broadcast by the names of their axes."""
    (a, b), (na, nb) = args, (kinds[0].names, kinds[1].names)
    if na and nb and ("R" in na) != ("R" in nb):
        a, na = flat_rest(a, na)
        b, nb = flat_rest(b, nb)
    wide = na if len(na) >= len(nb) else nb
    return expanded(a, na, wide), expanded(b, nb, wide)


def expanded(x: Array, names: Sequence[str], wide: Sequence[str]) -> Array:
    if not names:
        return x
    ordered = np.transpose(x, [list(names).index(n) for n in wide if n in names])
    return ordered.reshape([x.shape[list(names).index(n)] if n in names else 1 for n in wide])


def rows(x: Array) -> Array:
    """Each sample (entry of the first axis) as one row."""
    return x.reshape(x.shape[0], -1)


def channels(x: Array) -> Array:
    """``[B C positions]``."""
    return x.reshape(x.shape[0], x.shape[1], -1)


# --- ways to lift plain functions ----------------------------------------------------------------


def elementwise(function: Callable[[Array], Array]) -> Meaning:
    return lambda args, values, kinds: function(args[0])


def binary(function: Callable[[Array, Array], Array]) -> Meaning:
    return lambda args, values, kinds: function(*together(args, kinds))


def along(function: Callable[[Array, tuple[int, ...]], Array]) -> Meaning:
    """A function of a tensor and the places of the axis that its attribute names."""
    return lambda args, values, kinds: function(args[0], axes(kinds[0], str(values["axis"])))


def reduction(function: Callable[..., Array]) -> Meaning:
    return lambda args, values, kinds: function(args[0], axis=reduced(kinds[0], values))


def matrix(function: Callable[[Array], Any]) -> Meaning:
    def apply(args: Sequence[Array], values: Values, kinds: Kinds) -> Array:
        flat, _ = flat_rest(args[0], kinds[0].names)
        return np.asarray(function(flat))

    return apply


def distance(function: Callable[[Array, Array, tuple[str, ...], Values], Any]) -> Meaning:
    def apply(args: Sequence[Array], values: Values, kinds: Kinds) -> Array:
        (a, b), (na, nb) = args, (kinds[0].names, kinds[1].names)
        if ("R" in na) != ("R" in nb):
            a, na = flat_rest(a, na)
            b, nb = flat_rest(b, nb)
        return np.asarray(function(a, b, na, values))

    return apply


# --- elementwise ----------------------------------------------------------------------------------


def log_softmax_plain(x: Array, places: tuple[int, ...]) -> Array:
    shifted = x - np.max(x, axis=places, keepdims=True)
    return shifted - np.log(np.sum(np.exp(shifted), axis=places, keepdims=True))


def softmax_plain(x: Array, places: tuple[int, ...]) -> Array:
    powers = np.exp(x - np.max(x, axis=places, keepdims=True))
    return powers / np.sum(powers, axis=places, keepdims=True)


def sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


def softplus(x: Array) -> Array:
    return np.logaddexp(x, 0)


# --- normalising ----------------------------------------------------------------------------------


def normalize(x: Array) -> Array:
    return (x - np.mean(x)) / (np.std(x) + EPS)


def minmax(x: Array) -> Array:
    return (x - np.min(x)) / (np.max(x) - np.min(x) + EPS)


def batchnorm(x: Array) -> Array:
    places = (0, *range(2, x.ndim))
    centred = x - np.mean(x, axis=places, keepdims=True)
    return centred / np.sqrt(np.mean(centred**2, axis=places, keepdims=True) + EPS)


def l2norm(x: Array, places: tuple[int, ...]) -> Array:
    return x / np.maximum(np.sqrt(np.sum(x**2, axis=places, keepdims=True)), EPS)


def l1norm(x: Array, places: tuple[int, ...]) -> Array:
    return x / (np.sum(x, axis=places, keepdims=True) + EPS)


def satt(x: Array) -> Array:
    energy = np.mean(np.abs(x), axis=1)
    return energy.shape[1] * energy.shape[2] * softmax_plain(energy / 0.5, (1, 2))


def natt(x: Array) -> Array:
    return x.shape[0] * softmax_plain(x / 0.5, (0,))


def catt(x: Array) -> Array:
    energy = x if x.ndim == 2 else np.mean(np.abs(x), axis=tuple(range(2, x.ndim)))
    return energy.shape[1] * softmax_plain(energy / 0.5, (1,))


def draws(shape: tuple[int, ...], seed: float) -> Array:
    return np.random.Generator(np.random.Philox(int(seed))).random(shape)


def mask(args: Sequence[Array], values: Values, kinds: Kinds) -> Array:
    x = args[0]
    kept = draws((x.shape[0], x.shape[2], x.shape[3]), values["seed"]) >= values["p"]
    return x * kept[:, None, :, :]


def drop(args: Sequence[Array], values: Values, kinds: Kinds) -> Array:
    x = args[0]
    kept = draws(x.shape[:2], values["seed"]) >= values["p"]
    return x * kept.reshape(*x.shape[:2], *[1] * (x.ndim - 2)) / (1 - values["p"])


def pick(args: Sequence[Array], values: Values, kinds: Kinds) -> Array:
    x = args[0]
    places = np.argsort(draws((x.shape[1],), values["seed"]))[: int(values["n"])]
    return np.take(x, np.sort(places), axis=1)


# --- transforms -----------------------------------------------------------------------------------


def multiscale(args: Sequence[Array], values: Values, kinds: Kinds) -> Array:
    x, r = args[0], int(values["r"])
    down, across = min(r, x.shape[2]), min(r, x.shape[3])
    high, wide = x.shape[2] // down, x.shape[3] // across
    cut = x[:, :, : high * down, : wide * across]
    return cut.reshape(*x.shape[:2], high, down, wide, across).max(axis=(3, 5))


def local(args: Sequence[Array], values: Values, kinds: Kinds) -> Array:
    x, s = args[0], int(values["s"])
    b, c, high, wide = x.shape
    found = [
        x[:, channel, i : i + s, j : j + s]
        for channel in range(c)
        for i in range(0, high, s)
        for j in range(0, wide, s)
    ]
    return np.stack(found, axis=1).reshape(b, -1, s, s)


def pooled(x: Array, axis: int, size: int) -> Array:
    """Adaptive average pooling of one axis."""
    n = x.shape[axis]
    bins = [range(i * n // size, -(-(i + 1) * n // size)) for i in range(size)]
    return np.stack([x.take(list(b), axis=axis).mean(axis=axis) for b in bins], axis=axis)


def align(args: Sequence[Array], values: Values, kinds: Kinds) -> Array:
    """The first argument as `align` leaves it beside the second."""
    x, other = args
    for place, name in enumerate(kinds[0].names):
        label = "HW" if name in POSITIONS else name
        smaller = min(x.shape[place], other.shape[place])
        if label in str(values["axis"]) and smaller != x.shape[place]:
            x = pooled(x, place, smaller)
    return x


def bmm(x: Array) -> Array:
    return np.stack([sample @ sample.T for sample in channels(x)])


def mm(x: Array) -> Array:
    return rows(x) @ rows(x).T


def hamming(x: Array) -> Array:
    on = rows(x) > 0
    return np.array([[np.sum(a == b) for b in on] for a in on], dtype=np.float64)


def corr(x: Array) -> Array:
    flat = rows(x)
    centred = flat - flat.mean(axis=1, keepdims=True)
    centred[flat.max(axis=1) == flat.min(axis=1)] = 0
    lengths = np.sqrt(np.sum(centred**2, axis=1))
    return centred @ centred.T / np.outer(lengths, lengths)


def reldist(x: Array) -> Array:
    flat = rows(x)
    gaps = np.array([[np.sqrt(np.sum((a - b) ** 2)) for b in flat] for a in flat])
    return gaps / (gaps.sum() / np.sum(gaps > 0))


def angles(x: Array) -> Array:
    flat = rows(x)
    n = len(flat)
    found = np.zeros((n, n, n))
    for i in range(n):
        edges = l2norm(flat - flat[i], (1,))
        found[i] = edges @ edges.T
    return found


def channel_rows(x: Array) -> Array:
    """Centred channels, one row each, over batch and positions."""
    flat = np.moveaxis(channels(x), 1, 0).reshape(x.shape[1], -1)
    return flat - flat.mean(axis=1, keepdims=True)


def chancov(x: Array) -> Array:
    flat = channel_rows(x)
    return flat @ flat.T / flat.shape[1]


def changram(x: Array) -> Array:
    return np.einsum("bcr,bdr->cd", channels(x), channels(x)) / (channels(x)[:, 0].size)


def chancorr(x: Array) -> Array:
    flat = l2norm(channel_rows(x), (1,))
    return flat @ flat.T


# --- spectra --------------------------------------------------------------------------------------


def eigvals(x: Array) -> Array:
    return np.linalg.eigvalsh(x) if np.isfinite(x).all() else np.full(len(x), np.nan)


def svdvals(x: Array) -> Array:
    if not np.isfinite(x).all():
        return np.full(min(x.shape), np.nan)
    return np.linalg.svd(x, compute_uv=False)


def rank(x: Array) -> Array:
    return np.float64(np.linalg.matrix_rank(x) if np.isfinite(x).all() else np.nan)


def cond(x: Array) -> Array:
    spectrum = eigvals(x)
    return spectrum[-1] / spectrum[0]


def erank(x: Array) -> Array:
    share = np.maximum(eigvals(x), 0)
    share = share / np.sum(share)
    entropy = -np.sum([s * np.log(s) if s > 0 else s for s in share])
    return np.exp(entropy)


def prank(x: Array) -> Array:
    return np.trace(x) ** 2 / np.sum(x**2)


# --- distances ------------------------------------------------------------------------------------


def smooth_l1(a: Array, b: Array, names: tuple[str, ...], values: Values) -> Array:
    gap = np.abs(a - b)
    return np.mean(np.where(gap < 1, gap**2 / 2, gap - 0.5))


def kl(a: Array, b: Array, names: tuple[str, ...], values: Values) -> Array:
    at, temperature = names.index("C"), values["T"]
    student = log_softmax_plain(a / temperature, (at,))
    teacher = log_softmax_plain(b / temperature, (at,))
    pointwise = np.exp(teacher) * (teacher - student)
    places = tuple(i for i, name in enumerate(names) if name == "C" or name in POSITIONS)
    return temperature**2 * np.mean(np.sum(pointwise, axis=places))


def hard(a: Array, b: Array, names: tuple[str, ...], values: Values) -> Array:
    at = names.index("C")
    logs = np.moveaxis(log_softmax_plain(a, (at,)), at, -1).reshape(-1, a.shape[at])
    picks = np.argmax(np.moveaxis(b, at, -1).reshape(-1, a.shape[at]), axis=1)
    return -np.mean(logs[np.arange(len(picks)), picks])


def cosine(a: Array, b: Array, names: tuple[str, ...], values: Values) -> Array:
    at = names.index(values["axis"])
    lengths = np.sqrt(np.sum(a**2, axis=at)) * np.sqrt(np.sum(b**2, axis=at))
    return 1 - np.mean(np.sum(a * b, axis=at) / np.maximum(lengths, EPS))


def pearson(a: Array, b: Array, names: tuple[str, ...], values: Values) -> Array:
    at = names.index(values["axis"])
    a, b = (x - x.mean(axis=at, keepdims=True) for x in (a, b))
    return cosine(a, b, names, values)


def pairwise(a: Array, b: Array, names: tuple[str, ...], values: Values) -> Array:
    return np.mean(np.sqrt(np.sum(rows(a - b) ** 2, axis=1)))


def cka(a: Array, b: Array, names: tuple[str, ...], values: Values) -> Array:
    first, second = (rows(x) - rows(x).mean(axis=0) for x in (a, b))
    inner = np.sum((first @ first.T) * (second @ second.T))
    lengths = np.linalg.norm(first @ first.T) * np.linalg.norm(second @ second.T)
    return 1 - inner / np.maximum(lengths, EPS)


def mmd(a: Array, b: Array, names: tuple[str, ...], values: Values) -> Array:
    degree = int(values["degree"])
    sets = zip(channels(a), channels(b), strict=True) if a.ndim > 2 else [(a, b)]

    def mean_kernel(x: Array, y: Array) -> Array:
        return np.mean((x @ y.T) ** degree)

    return np.mean([mean_kernel(x, x) + mean_kernel(y, y) - 2 * mean_kernel(x, y) for x, y in sets])


# --- reductions -----------------------------------------------------------------------------------


def numel(x: Array, axis: tuple[int, ...] | None) -> Array:
    return np.sum(np.ones_like(x), axis=axis)


def norm_2(x: Array, axis: tuple[int, ...] | None) -> Array:
    return np.sqrt(np.sum(np.abs(x) ** 2, axis=axis))


def patterns(x: Array) -> Array:
    return np.asarray(float(len({tuple(unit) for unit in (rows(x) > 0).T})))


def dot(args: Sequence[Array], values: Values, kinds: Kinds) -> Array:
    a, b = together(args, kinds)
    return np.sum(a * b)


def matmul(args: Sequence[Array], values: Values, kinds: Kinds) -> Array:
    a, b = (flat_rest(x, kind.names)[0] for x, kind in zip(args, kinds, strict=True))
    return a @ b


def total(layers: Sequence[Array]) -> Array:
    if len({np.shape(x) for x in layers}) > 1:
        return np.full_like(layers[0], np.nan)
    return np.sum(np.stack(list(layers)), axis=0)


def entries(function: Callable[[Sequence[Array]], Any]) -> Meaning:
    return lambda args, values, kinds: np.asarray(function(args[0]))


def population(meaning: Callable[[Array], Array]) -> Meaning:
    """A function of one number of each network, ``[networks]``."""
    return lambda args, values, kinds: meaning(np.asarray(args[0], dtype=np.float64))


def percentile(x: Array) -> Array:
    """Of all finite numbers, how many are below, equal ones half."""
    known = [v for v in x if np.isfinite(v)]
    shares = [sum(1.0 if v < own else 0.5 if v == own else 0.0 for v in known) for own in x]
    return np.array(
        [s / len(known) if own == own else np.nan for s, own in zip(shares, x, strict=True)]
    )


def standardise(x: Array) -> Array:
    known = x[np.isfinite(x)]
    spread = np.sqrt(np.mean((known - np.mean(known)) ** 2))
    return (x - np.mean(known)) / spread if spread else 0 * x


REFERENCE: dict[str, Meaning] = {
    "add": binary(np.add),
    "sub": binary(np.subtract),
    "mul": binary(np.multiply),
    "div": binary(np.divide),
    "pow": binary(np.power),
    "neg": elementwise(np.negative),
    "matmul": matmul,
    "dot": dot,
    "maximum": binary(np.maximum),
    "minimum": binary(np.minimum),
    "exp": elementwise(np.exp),
    "log": elementwise(np.log),
    "abslog": elementwise(lambda x: np.where(x == 0, 0.0, np.log(np.abs(x)))),
    "symlog": elementwise(lambda x: np.sign(x) * np.log1p(np.abs(x))),
    "sqrt": elementwise(np.sqrt),
    "abssqrt": elementwise(lambda x: np.sqrt(np.abs(x))),
    "abs": elementwise(np.abs),
    "sign": elementwise(np.sign),
    "relu": elementwise(lambda x: np.maximum(x, 0)),
    "leaky_relu": elementwise(lambda x: np.where(x > 0, x, 0.01 * x)),
    "sigmoid": elementwise(sigmoid),
    "tanh": elementwise(np.tanh),
    "mish": elementwise(lambda x: x * np.tanh(softplus(x))),
    "swish": elementwise(lambda x: x * sigmoid(x)),
    "softplus": elementwise(softplus),
    "invert": elementwise(lambda x: 1 / (x + EPS)),
    "scale": elementwise(lambda x: (x + 1) / 2),
    "softmax": along(softmax_plain),
    "logsoftmax": along(log_softmax_plain),
    "normalize": elementwise(normalize),
    "minmax": elementwise(minmax),
    "batchnorm": elementwise(batchnorm),
    "l2norm": along(l2norm),
    "l1norm": along(l1norm),
    "satt": elementwise(satt),
    "natt": elementwise(natt),
    "catt": elementwise(catt),
    "mask": mask,
    "drop": drop,
    "multiscale": multiscale,
    "local": local,
    "batch": elementwise(rows),
    "channel": elementwise(channels),
    "pick": pick,
    "bmm": elementwise(bmm),
    "mm": elementwise(mm),
    "align": align,
    "hamming": elementwise(hamming),
    "corr": elementwise(corr),
    "reldist": elementwise(reldist),
    "angles": elementwise(angles),
    "diag": matrix(np.diagonal),
    "chancov": elementwise(chancov),
    "changram": elementwise(changram),
    "chancorr": elementwise(chancorr),
    "quantiles": lambda args, values, kinds: np.quantile(
        args[0], np.arange(1, values["n"] + 1) / (values["n"] + 1)
    ),
    "concat": entries(lambda layers: np.concatenate([rows(x) for x in layers], axis=1)),
    "eigvals": matrix(eigvals),
    "svdvals": matrix(svdvals),
    "logdet": matrix(lambda x: np.linalg.slogdet(x)[1]),
    "cond": matrix(cond),
    "rank": matrix(rank),
    "erank": matrix(erank),
    "prank": matrix(prank),
    "norm_nuc": matrix(lambda x: np.sum(svdvals(x))),
    "L1": distance(lambda a, b, names, values: np.mean(np.abs(a - b))),
    "L2": distance(lambda a, b, names, values: np.mean((a - b) ** 2)),
    "smoothL1": distance(smooth_l1),
    "KL": distance(kl),
    "hard": distance(hard),
    "cosine": distance(cosine),
    "pearson": distance(pearson),
    "pairwise": distance(pairwise),
    "CKA": distance(cka),
    "MMD": distance(mmd),
    "norm_F": reduction(norm_2),
    "norm_1": reduction(lambda x, axis: np.sum(np.abs(x), axis=axis)),
    "norm_2": reduction(norm_2),
    "norm_inf": reduction(lambda x, axis: np.max(np.abs(x), axis=axis)),
    "sum": reduction(np.sum),
    "mean": reduction(np.mean),
    "std": reduction(np.std),
    "var": reduction(np.var),
    "max": reduction(np.max),
    "min": reduction(np.min),
    "median": reduction(np.median),
    "numel": reduction(numel),
    "patterns": elementwise(patterns),
    "first": entries(lambda layers: layers[0]),
    "last": entries(lambda layers: layers[-1]),
    "total": entries(total),
    "percentile": population(percentile),
    "standardise": population(standardise),
}

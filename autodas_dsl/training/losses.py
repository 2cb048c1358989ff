"""Distillation losses: one function and one entry in `LOSSES` for each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor

EPS = 1e-7


@dataclass(frozen=True, slots=True)
class Seen:
    """What a network made of one batch.

    Attributes
    ----------
    logits : Tensor
        [B, K]
    embedding : Tensor
        [B, D], the input of the classifier.
    map : Tensor
        [B, C, H, W], the last feature map.
    """

    logits: Tensor
    embedding: Tensor = field(default_factory=lambda: torch.empty(0))
    map: Tensor = field(default_factory=lambda: torch.empty(0))


@dataclass(frozen=True, slots=True)
class Loss:
    """A distillation loss.

    Attributes
    ----------
    of : callable
        Student, teacher and temperature to one number; lower is nearer to the teacher.
    weight : float
        Usual factor of it beside the cross-entropy.
    needs : str
        Which attribute of `Seen` it compares.
    source : str
    equal : bool
        Whether student and teacher need as many classes or channels.
    """

    of: Callable[[Seen, Seen, float], Tensor]
    weight: float
    needs: str
    source: str
    equal: bool = False


def softened(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """T^2 KL(softmax(teacher / T) || softmax(student / T)) over the last axis (Hinton 2015)."""
    wanted = F.log_softmax(teacher / temperature, -1)
    given = F.log_softmax(student / temperature, -1)
    return temperature**2 * (wanted.exp() * (wanted - given)).sum(-1)


def kd(student: Seen, teacher: Seen, temperature: float) -> Tensor:
    """Softened logits, mean over the batch."""
    return softened(student.logits, teacher.logits, temperature).mean()


def cc(student: Seen, teacher: Seen, temperature: float) -> Tensor:
    """Inner products of all pairs of embeddings, mean squared difference."""
    return F.mse_loss(
        student.embedding @ student.embedding.T, teacher.embedding @ teacher.embedding.T
    )


def rkd(student: Seen, teacher: Seen, temperature: float) -> Tensor:
    """Relative distances (25) and angles (50) among embeddings, smooth L1."""
    distances = F.smooth_l1_loss(_distances(student.embedding), _distances(teacher.embedding))
    angles = F.smooth_l1_loss(_angles(student.embedding), _angles(teacher.embedding))
    return 25 * distances + 50 * angles


def pkt(student: Seen, teacher: Seen, temperature: float) -> Tensor:
    """Cosine similarities read as probabilities: mean of q log(q / p)."""
    p, q = _similarities(student.embedding), _similarities(teacher.embedding)
    return (q * ((q + EPS) / (p + EPS)).log()).mean()


def at(student: Seen, teacher: Seen, temperature: float) -> Tensor:
    """Attention maps, the mean square over channels, of unit length; mean squared difference."""
    one, other = (pooled.square().mean(1).flatten(1) for pooled in _pooled(student, teacher))
    return F.mse_loss(F.normalize(one, dim=1), F.normalize(other, dim=1))


def sp(student: Seen, teacher: Seen, temperature: float) -> Tensor:
    """Inner products of all pairs of maps, rows of unit length; mean squared difference."""
    one, other = (seen.map.flatten(1) for seen in (student, teacher))
    return F.mse_loss(F.normalize(one @ one.T, dim=1), F.normalize(other @ other.T, dim=1))


def nst(student: Seen, teacher: Seen, temperature: float) -> Tensor:
    """Maximum mean discrepancy, kernel (x.y)^2, between the channels of each sample."""
    x, y = (F.normalize(pooled.flatten(2), dim=2) for pooled in _pooled(student, teacher))

    def kernel(one: Tensor, other: Tensor) -> Tensor:
        return (one @ other.transpose(1, 2)).square().mean((1, 2))

    return (kernel(x, x) + kernel(y, y) - 2 * kernel(x, y)).mean()


def ickd(student: Seen, teacher: Seen, temperature: float) -> Tensor:
    """Inner products of the channels of each sample, rows of unit length."""
    one, other = (_channel_gram(seen.map) for seen in (student, teacher))
    return (one - other).square().sum(2).mean()


LOSSES = {
    "kd": Loss(kd, 1.0, "logits", "Hinton et al., 2015", equal=True),
    "at": Loss(at, 1000.0, "map", "Zagoruyko and Komodakis, ICLR 2017"),
    "sp": Loss(sp, 3000.0, "map", "Tung and Mori, ICCV 2019"),
    "nst": Loss(nst, 50.0, "map", "Huang and Wang, 2017"),
    "ickd": Loss(ickd, 2.5, "map", "Liu et al., ICCV 2021", equal=True),
    "cc": Loss(cc, 0.02, "embedding", "Peng et al., ICCV 2019"),
    "rkd": Loss(rkd, 1.0, "embedding", "Park et al., CVPR 2019"),
    "pkt": Loss(pkt, 30_000.0, "embedding", "Passalis and Tefas, ECCV 2018"),
}


def _pooled(student: Seen, teacher: Seen) -> tuple[Tensor, Tensor]:
    """Both maps averaged to the smaller height and width."""
    height = min(student.map.shape[2], teacher.map.shape[2])
    width = min(student.map.shape[3], teacher.map.shape[3])
    one, other = (F.adaptive_avg_pool2d(seen.map, (height, width)) for seen in (student, teacher))
    return one, other


def _channel_gram(maps: Tensor) -> Tensor:
    rows = maps.flatten(2)
    return F.normalize(rows @ rows.transpose(1, 2), dim=2)


def _distances(rows: Tensor) -> Tensor:
    # The square root has no gradient at the zeros of the diagonal.
    distances = (rows[:, None] - rows[None]).square().sum(-1).clamp_min(1e-12).sqrt()
    apart = ~torch.eye(len(rows), dtype=torch.bool, device=rows.device)
    distances = distances * apart
    return distances / distances[apart].mean()


def _angles(rows: Tensor) -> Tensor:
    directions = F.normalize(rows[None] - rows[:, None], dim=-1)
    return directions @ directions.transpose(1, 2)


def _similarities(rows: Tensor) -> Tensor:
    unit = F.normalize(rows, dim=1)
    scaled = (unit @ unit.T + 1) / 2
    return scaled / scaled.sum(1, keepdim=True)

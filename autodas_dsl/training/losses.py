"""Distillation losses: one function and one entry in `LOSSES` for each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

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
    """

    logits: Tensor
    embedding: Tensor


@dataclass(frozen=True, slots=True)
class Loss:
    """A distillation loss.

    Attributes
    ----------
    of : callable
        Student, teacher and temperature to one number; lower is nearer to the teacher.
    weight : float
        Usual factor of it beside the cross-entropy.
    logits : bool
        Whether it compares logits, so that both networks need the same classes.
    source : str
    """

    of: Callable[[Seen, Seen, float], Tensor]
    weight: float
    logits: bool
    source: str


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


LOSSES = {
    "kd": Loss(kd, 1.0, True, "Hinton et al., 2015"),
    "cc": Loss(cc, 0.02, False, "Peng et al., ICCV 2019"),
    "rkd": Loss(rkd, 1.0, False, "Park et al., CVPR 2019"),
    "pkt": Loss(pkt, 30_000.0, False, "Passalis and Tefas, ECCV 2018"),
}


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

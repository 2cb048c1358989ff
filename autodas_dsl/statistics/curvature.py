"""How sharply the logits turn while the input moves along a circle."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from autodas_dsl.execution.randomness import seed_for
from autodas_dsl.statistics.forward import forward
from autodas_dsl.statistics.gradients import gradient
from autodas_dsl.statistics.passes import Subject
from autodas_dsl.statistics.probes import prepare


def curvature(of: Subject, statistic: str) -> Tensor:
    """Extrinsic curvature |v|^-3 sqrt(|v|^2 |a|^2 - (v.a)^2) of the logits y.

    From the code of Dextr (Asthana et al., 2025), after Chen et al. (No Free Lunch in
    architectures): v and a are the first and second derivative of y by the angle of the one input
    x = cos(angle) e + sin(angle) d at angle 0, with random orthonormal e and d.
    """
    e, d = _circle(of.x[:1], seed_for(of.seed, "circle"))
    setup = replace(prepare("", of.network, of.x, of.seed), x=e)
    seed = seed_for(of.seed, "curvature")
    with forward(of.network, setup, seed, input_gradient=True, second_order=True) as outcome:
        pairs = []
        for logit in outcome.logits[0]:
            (slope,) = gradient(statistic, logit, [outcome.x], retain=True, second_order=True)
            along, inward = (slope * d).sum(), (slope * e).sum().detach()
            turn = torch.zeros_like(inward)  # of a map that is linear
            if along.requires_grad:
                turn = (gradient(statistic, along, [outcome.x], retain=True)[0] * d).sum()
            pairs.append(torch.stack([along.detach(), turn - inward]))
    v, a = torch.stack(pairs, 1)
    speed = (v * v).sum()
    return speed**-1.5 * (speed * (a * a).sum() - (v * a).sum() ** 2).clamp_min(0).sqrt()


def _circle(like: Tensor, seed: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randn(like.numel(), 2, generator=generator, dtype=torch.float64)
    e, d = torch.linalg.qr(drawn).Q.T.to(like.device, like.dtype)
    return e.view_as(like), d.view_as(like)

"""The probe ``robust``: weights and input pushed by the gradient of the loss."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from autodas_dsl.execution.randomness import seed_for
from autodas_dsl.statistics.forward import forward
from autodas_dsl.statistics.gradients import gradient, loss
from autodas_dsl.statistics.network import Network
from autodas_dsl.statistics.probes import Setup, prepare

PUSH = 2.0  # of a weight tensor, in its own length
STEP = 0.01  # of the input


def perturbed(network: Network, x: Tensor, y: Tensor, seed: int) -> Setup:
    """The setup ``absolute`` after a push of the weights, then of the input.

    From the code of CRoZe (Ha et al., NeurIPS 2023): every tensor of more than one axis named
    ``weight`` grows by `PUSH` times its length along the gradient of the loss, the input then
    moves by `STEP` against the sign of its own. That code also cuts the input to [0, 1], which
    normalised images leave.
    """
    setup = prepare("absolute", network, x, seed)
    pushed = [
        name for name, p in setup.parameters.items()
        if p.dim() > 1 and name.split(".")[-1] == "weight"
    ]  # fmt: skip
    with forward(network, setup, seed_for(seed, "robust weights"), watched=pushed) as outcome:
        targets = [outcome.parameters[name] for name in pushed]
        found = gradient("robust", loss(outcome.logits, y), targets)
    moved = {
        name: w.detach() + PUSH * w.detach().norm() * g / g.norm().clamp_min(1e-30)
        for name, w, g in zip(pushed, targets, found, strict=True)
    }
    setup = replace(setup, parameters={**setup.parameters, **moved})
    with forward(network, setup, seed_for(seed, "robust input"), input_gradient=True) as outcome:
        (g,) = gradient("robust", loss(outcome.logits, y), [outcome.x])
    return replace(setup, x=setup.x - STEP * torch.sign(g))

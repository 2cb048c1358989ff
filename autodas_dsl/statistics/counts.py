"""Statistics that are counted rather than observed, and those a user defines."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from autodas_dsl.language.inputs import INPUTS, Statistic
from autodas_dsl.statistics.batches import Batch
from autodas_dsl.statistics.errors import StatisticError, foreign, one_line
from autodas_dsl.statistics.forward import failure
from autodas_dsl.statistics.network import (
    Conditions,
    Network,
    converted,
    substituted,
    undisturbed,
)


def flops(network: Network, x: Tensor) -> Tensor:
    """Multiply-adds of one sample: half of what torch's FlopCounterMode counts.

    Convolutions and matrix products count; elementwise operations, norms and pooling do not.
    """
    conditions = Conditions(network.dtype, norms="running", second_order=True)
    state = {**network.parameters, **{n: b.clone() for n, b in network.buffers.items()}}
    with (
        undisturbed(network, conditions, seed=0),
        substituted(network, state),
        foreign(lambda error: failure(error, x[:1])),
        FlopCounterMode(display=False) as counter,
    ):
        network.module(x[:1].clone())
    return torch.tensor(counter.get_total_flops() / 2, device=network.device, dtype=network.dtype)


def user_statistic(
    statistic: Statistic, network: Network, batch: Batch
) -> Tensor | tuple[Tensor, ...]:
    """A statistic that a user defined, from its function of the model and the batch.

    The function gets the network on copies of its buffers and on parameters of its own that take
    gradients, in the modes of every pass; nothing it does to them stays.
    """
    function = INPUTS[statistic.base].collect
    assert function is not None

    def describe(error: BaseException) -> StatisticError:
        return StatisticError(
            "E454",
            f"its function fails: {one_line(error)}",
            "see the file given with --with",
            str(statistic),
        )

    parameters = {n: p.detach() for n, p in network.parameters.items()}
    for parameter in parameters.values():
        parameter.requires_grad_(parameter.is_floating_point())
    buffers = {n: b.clone() for n, b in network.buffers.items()}
    conditions = Conditions(network.dtype, gradients=True)
    own = replace(batch, x=converted(batch.x.to(network.device, copy=True), network.dtype))
    with (
        undisturbed(network, conditions, seed=0),
        substituted(network, {**parameters, **buffers}),
        foreign(describe),
    ):
        return _detached(function(network.module, own), statistic)


def _detached(found: object, statistic: Statistic) -> Tensor | tuple[Tensor, ...]:
    if isinstance(found, Tensor):
        return found.detach()
    if isinstance(found, (list, tuple)) and all(isinstance(t, Tensor) for t in found):
        return tuple(t.detach() for t in found)
    if isinstance(found, (int, float)):
        return torch.tensor(float(found))
    raise StatisticError(
        "E454",
        f"its function returns {type(found).__name__}",
        "return a tensor, a number, or a list of tensors for a layer list",
        str(statistic),
    )

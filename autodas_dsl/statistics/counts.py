"""Statistics that are counted rather than observed, and those a user defines."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.func import functional_call
from torch.utils.flop_counter import FlopCounterMode

from autodas_dsl.language.inputs import INPUTS, Statistic
from autodas_dsl.statistics.batches import Batch
from autodas_dsl.statistics.errors import StatisticError, foreign, one_line
from autodas_dsl.statistics.forward import failure
from autodas_dsl.statistics.network import Conditions, Network, undisturbed


def flops(network: Network, x: Tensor) -> Tensor:
    """Multiply-adds of one sample: half of what torch's FlopCounterMode counts.

    Convolutions and matrix products count; elementwise operations, norms and pooling do not.
    """
    conditions = Conditions(network.dtype, norms="running", second_order=True)
    state = {**network.parameters, **{n: b.clone() for n, b in network.buffers.items()}}
    with (
        undisturbed(network, conditions, seed=0),
        foreign(lambda error: failure(error, x[:1])),
        FlopCounterMode(display=False) as counter,
    ):
        functional_call(network.module, state, (x[:1].clone(),))
    return torch.tensor(counter.get_total_flops() / 2, device=network.device, dtype=network.dtype)


def user_statistic(statistic: Statistic, network: Network, batch: Batch) -> Tensor:
    """A statistic that a user defined, from its function of the model and the batch."""
    function = INPUTS[statistic.base].collect
    assert function is not None

    def describe(error: BaseException) -> StatisticError:
        return StatisticError(
            "E454",
            f"its function fails: {one_line(error)}",
            "see the file given with --with",
            str(statistic),
        )

    with undisturbed(network, Conditions(network.dtype), seed=0), foreign(describe):
        found = function(network.module, batch)
    return found

"""Statistics that are counted rather than observed, and those a user defines."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from autodas_dsl.data.batches import Batch
from autodas_dsl.language.foreign import foreign, one_line
from autodas_dsl.language.inputs import INPUTS, Statistic
from autodas_dsl.statistics.errors import StatisticError
from autodas_dsl.statistics.forward import failure
from autodas_dsl.statistics.network import Network, converted, substituted, undisturbed


def multiply_adds(network: Network, x: Tensor) -> float:
    """Multiply-adds of one sample: half of the operations that torch's formulas count.

    Convolutions and matrix products count; elementwise operations, norms and pooling do not.
    """
    state = {**network.parameters, **{n: b.clone() for n, b in network.buffers.items()}}
    with (
        undisturbed(network, 0, network.dtype, "running", second_order=True),
        substituted(network, state),
        foreign(lambda error: failure(error, x[:1])),
        _Counting() as counter,
    ):
        network.module(x[:1].clone())
    return float(counter.operations / 2)


class _Counting(TorchDispatchMode):
    """Counts what is computed inside, as torch's FlopCounterMode does in sum.

    That one counts by module too, and imports torch's compiler, as long again as torch itself.
    """

    def __init__(self) -> None:
        super().__init__()
        self.operations = 0

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        count = flop_registry.get(func._overloadpacket)
        if count is None:
            with self:
                found = func.decompose(*args, **kwargs)
            return func(*args, **kwargs) if found is NotImplemented else found
        found = func(*args, **kwargs)
        self.operations += count(*args, **kwargs, out_val=found)
        return found


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
    own = replace(batch, x=converted(batch.x.to(network.device, copy=True), network.dtype))
    with (
        undisturbed(network, 0, network.dtype, gradients=True),
        substituted(network, {**parameters, **buffers}),
        foreign(describe),
    ):
        found = function(network.module, own)
        return _fitting(found, statistic, network)


def _fitting(found: object, statistic: Statistic, network: Network) -> Tensor | tuple[Tensor, ...]:
    """What the function gave as values of the statistic's kind, in the precision of the passes."""
    kind = INPUTS[statistic.base].kind

    def wrong(what: str) -> StatisticError:
        return StatisticError(
            "E454", f"its function gives {what}", f"it should give {kind.describe()}",
            str(statistic),
        )  # fmt: skip

    def tensor(value: object, dims: int) -> Tensor:
        if not isinstance(value, (Tensor, int, float)):
            raise wrong(type(value).__name__)
        one = torch.as_tensor(value).detach().to(network.device, network.dtype)
        if one.dim() != dims:
            raise wrong(f"{one.dim()} axes instead of {dims}")
        return one

    if not kind.layers:
        return tensor(found, len(kind.axes))
    if isinstance(found, Tensor) and not kind.axes:
        found = list(found)
    if not isinstance(found, (list, tuple)) or len(found) != len(network.layers):
        count = f"{len(found)} values" if isinstance(found, (list, tuple)) else "no list"
        raise wrong(f"{count} for {len(network.layers)} layers")
    each = tuple(tensor(value, len(kind.axes)) for value in found)
    return each if kind.axes else torch.stack(each)

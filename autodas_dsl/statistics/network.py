"""A network made ready for passes, and left exactly as it was found."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from autodas_dsl.execution.randomness import seeded
from autodas_dsl.statistics.errors import StatisticError
from autodas_dsl.statistics.layers import BATCH_NORMS, RUNNING_NORMS, Layer, weighted_layers

_HALF = (torch.float16, torch.bfloat16)


@dataclass(frozen=True, eq=False)
class Network:
    """A module, its layers, and detached copies of its state in the precision of the passes.

    The tensors share memory with the module where no conversion is needed; nothing writes to
    them; buffers are cloned for every pass.
    """

    module: nn.Module
    dtype: torch.dtype
    device: torch.device
    parameters: Mapping[str, Tensor]
    buffers: Mapping[str, Tensor]
    layers: tuple[Layer, ...]
    names: Mapping[nn.Module, str] = field(repr=False)

    @classmethod
    def of(cls, module: nn.Module, dtype: torch.dtype | None = None) -> Network:
        """Read a module.

        Parameters
        ----------
        dtype : torch.dtype, optional
            Precision of the passes; by default that of the parameters, and float32 for networks
            kept in half precision, whose gradients would lose most of their digits.

        Raises
        ------
        StatisticError
            When the module is scripted (E455), not initialised (E456) or computes its weights
            (E450).
        """
        module = getattr(module, "_orig_mod", module)  # what torch.compile wraps
        if isinstance(module, torch.jit.ScriptModule):
            raise StatisticError(
                "E455", "a scripted network cannot be looked into", "give the plain nn.Module"
            )
        parameters = dict(module.named_parameters())
        for name, parameter in parameters.items():
            if isinstance(parameter, nn.parameter.UninitializedParameter):
                raise StatisticError(
                    "E456", f"parameter {name!r} has no shape yet", "run the network once first"
                )
        first = next((p for p in parameters.values() if p.is_floating_point()), torch.empty(0))
        if dtype is None:
            dtype = torch.float32 if first.dtype in _HALF else first.dtype
        return cls(
            module,
            dtype,
            first.device,
            {name: converted(p.detach(), dtype) for name, p in parameters.items()},
            {name: converted(b.detach(), dtype) for name, b in module.named_buffers()},
            weighted_layers(module),
            {m: name for name, m in module.named_modules()},
        )

    def weights(self) -> tuple[Tensor, ...]:
        """The weight of each layer as ``[C, R]``."""
        return tuple(layer.rows(self.parameters[layer.parameter]) for layer in self.layers)

    @property
    def channels_first(self) -> bool:
        """How ``[B, n, m]`` is read where nothing else tells: as maps of 1-D convolutions."""
        kinds = {type(m) for m in self.names}
        return nn.Conv1d in kinds and nn.LayerNorm not in kinds

    def check_finite(self) -> None:
        """Raise E442 when a parameter holds NaN or infinity."""
        for name, parameter in self.parameters.items():
            if not parameter.is_floating_point() or parameter.is_meta:
                continue
            if not bool(parameter.sum().isfinite()) and not bool(parameter.isfinite().all()):
                raise StatisticError(
                    "E442",
                    f"parameter {name!r} holds NaN or infinite values",
                    "check the weights that were loaded, or how they are initialised",
                )


@contextmanager
def substituted(network: Network, tensors: Mapping[str, Tensor]) -> Iterator[None]:
    """Let the module hold other tensors, by the names of its parameters and buffers.

    `torch.func.functional_call` does the same, but leaves a module that is registered under two
    names with the substitute (seen in torch 2.13).
    """
    names = {id(t): name for name, t in network.module.named_parameters()}
    names |= {id(t): name for name, t in network.module.named_buffers()}
    with ExitStack() as stack:
        for module in network.names:
            for held in (module._parameters, module._buffers):
                stack.callback(_refill, held, dict(held))
                held.update({k: tensors[names[id(t)]] for k, t in held.items() if t is not None})  # type: ignore[misc]
        yield


def _refill(held: dict[str, Any], original: dict[str, Any]) -> None:
    held.clear()
    held.update(original)


def converted(tensor: Tensor, dtype: torch.dtype) -> Tensor:
    return tensor.to(dtype) if tensor.is_floating_point() else tensor


@contextmanager
def undisturbed(
    network: Network,
    seed: int,
    dtype: torch.dtype,
    norms: str = "batch",
    *,
    gradients: bool = False,
    second_order: bool = False,
) -> Iterator[ExitStack]:
    """Everything a pass changes, undone on the way out, whatever happens inside.

    The stack that is yielded takes hooks: they go when the pass ends.

    Parameters
    ----------
    dtype : torch.dtype
        Default floating type while the network runs.
    norms : str
        ``"batch"``: normalisation layers with running statistics use those of the batch;
        ``"running"``: they use the stored ones; ``"identity"``: BatchNorm does nothing.
    second_order : bool
        Attention in plain arithmetic, which can be differentiated twice.
    """
    with ExitStack() as stack:
        stack.enter_context(seeded(seed, network.device, exact=True))
        stack.callback(torch.set_default_dtype, torch.get_default_dtype())
        torch.set_default_dtype(dtype)
        stack.callback(
            torch.backends.mha.set_fastpath_enabled, torch.backends.mha.get_fastpath_enabled()
        )
        torch.backends.mha.set_fastpath_enabled(False)
        stack.enter_context(torch.autocast(network.device.type, enabled=False))
        stack.enter_context(torch.set_grad_enabled(gradients))
        if second_order:
            stack.enter_context(sdpa_kernel(SDPBackend.MATH))
        for module in network.names:
            _set_mode(stack, module, norms)
        yield stack


def _set_mode(stack: ExitStack, module: nn.Module, norms: str) -> None:
    running = isinstance(module, RUNNING_NORMS) and module.running_mean is not None
    _set(stack, module, "training", running and norms == "batch")
    if module.__dict__.get("inplace") is True:
        _set(stack, module, "inplace", False)
    if norms == "identity" and isinstance(module, BATCH_NORMS):
        _set(stack, module, "forward", partial(_without_norm, module))


def _without_norm(module: nn.Module, x: Tensor) -> Tensor:
    # A BatchNorm that carries its activation (as timm's does) keeps the activation.
    for child in module.children():
        x = child(x)
    return x


def _set(stack: ExitStack, module: nn.Module, attribute: str, value: Any) -> None:
    own = module.__dict__
    if attribute in own:
        stack.callback(own.__setitem__, attribute, own[attribute])
    else:
        stack.callback(own.pop, attribute)
    own[attribute] = value

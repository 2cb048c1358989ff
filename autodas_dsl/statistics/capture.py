"""Hooks that keep what a forward pass shows: layer outputs, activation inputs, variances."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from autodas_dsl.language.inputs import Statistic
from autodas_dsl.statistics.layers import (
    activations,
    batch_norms,
    is_activation,
)
from autodas_dsl.statistics.network import Network

_WEIGHTED = frozenset({F.linear, F.conv1d, F.conv2d, F.conv3d})
_WRITING = frozenset({
    torch.relu_, torch.sigmoid_, torch.tanh_, torch.Tensor.relu_, torch.Tensor.sigmoid_,
    torch.Tensor.tanh_, F.relu_, F.leaky_relu_, F.elu_, F.hardtanh_,
})  # fmt: skip
_ACTIVATING = _WRITING | {
    torch.relu, torch.sigmoid, torch.tanh, torch.selu, torch.celu, torch.Tensor.relu,
    torch.Tensor.sigmoid, torch.Tensor.tanh, F.relu, F.relu6, F.leaky_relu, F.gelu, F.silu,
    F.mish, F.elu, F.celu, F.selu, F.hardswish, F.hardsigmoid, F.hardtanh, F.sigmoid, F.tanh,
    F.softplus, F.softsign, F.logsigmoid, F.glu,
}  # fmt: skip


class Intercepting(TorchFunctionMode):
    """Within it, every call of a torch function is `call(function, args, kwargs)`."""

    def __init__(self, call: Callable[[Any, tuple[Any, ...], Mapping[str, Any]], Any]) -> None:
        super().__init__()
        self.call = call

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        return self.call(func, args, kwargs or {})


def first_tensor(value: Any) -> Tensor | None:
    """The first tensor of an output: a tensor, or the first found in a tuple, dict or dataclass."""
    if isinstance(value, Tensor):
        return value
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, (tuple, list)):
        return next((t for t in map(first_tensor, value) if t is not None), None)
    return None


class Passed(Tensor):
    """What is left of a tensor that is not kept: one without data on the device ``meta``.

    Attributes
    ----------
    source : nn.Module or Layer
        Where it was seen.
    made : dict
        By statistic what was made of it, or what it is to be made of.
    followed : Tensor, optional
        Itself, until its gradient is there.
    """

    source: object
    made: dict[Statistic, Tensor | Mapping[Statistic, Tensor]]
    followed: Tensor | None


@dataclass(eq=False)
class Calls:
    """Tensors seen at the calls of some modules, in call order within each module.

    `keep_copies` is for networks that write into what their layers return: what is kept is then
    not what the network goes on with. `passed` says what is kept of a tensor in its place, where it
    is seen and forgotten.
    """

    keep_copies: bool = False
    passed: Callable[[object, Tensor], Passed] | None = None
    seen: dict[object, list[Tensor]] = field(default_factory=dict)
    versions: list[tuple[Tensor, int]] = field(default_factory=list)

    def add(self, source: object, tensor: Tensor) -> None:
        """Keep a tensor of a module, or of a layer whose weight was used without a call."""
        kept: Tensor = tensor
        if self.passed is not None:
            with torch._C.DisableTorchFunction():  # what is computed here is not the network's
                kept = self.passed(source, tensor)
        self.seen.setdefault(source, []).append(kept)
        if not self.keep_copies and (not isinstance(kept, Passed) or kept.followed is not None):
            self.versions.append((tensor, tensor._version))

    def add_input(self, source: object, tensor: Tensor, *, written: bool = False) -> None:
        """Keep what enters an activation, a copy of it where that writes into it."""
        if self.passed is None and (written or self.keep_copies):
            self.seen.setdefault(source, []).append(tensor.detach().clone())
        else:
            self.add(source, tensor)

    def overwritten(self) -> bool:
        """Whether the network wrote into a tensor after it was seen."""
        return any(tensor._version != version for tensor, version in self.versions)

    def of(self, source: object) -> list[Tensor]:
        return self.seen.get(source, [])


def hook_outputs(network: Network, calls: Calls, stack: ExitStack) -> None:
    """Keep the output of every Conv and Linear layer.

    Under a layer, instead of its module, stand the outputs of functions that were handed its
    weight: some attention (Swin's in torchvision) reads the weights of its layers without calling
    them.
    """

    def watch(func: Any, args: tuple[Any, ...], options: Mapping[str, Any]) -> Any:
        result = func(*args, **options)
        if func not in _WEIGHTED:
            return result
        weight = args[1] if len(args) > 1 else options.get("weight")
        for layer in network.layers:
            if weight is layer.module._parameters["weight"]:
                calls.add(layer, result)
                return result.clone() if calls.keep_copies else result
        return result

    stack.enter_context(Intercepting(watch))
    attentions = {
        m.out_proj: m for m in network.names if isinstance(m, nn.MultiheadAttention)
    }  # torch's attention reads the weight of its out_proj without calling it
    for layer in network.layers:
        for module in layer.modules:
            target = attentions.get(module, module)  # type: ignore[call-overload]
            stack.callback(target.register_forward_hook(_keeping(module, calls)).remove)


def _keeping(module: nn.Module, calls: Calls) -> Callable[[nn.Module, Any, Any], Any]:
    """A hook that keeps the output of a module, at whose call it runs or at its owner's."""

    def keep(called: nn.Module, args: Any, output: Any) -> Any:
        tensor = first_tensor(output)
        if tensor is None:
            return None
        if called is module:
            calls.add(module, tensor)
            return tensor.clone() if calls.keep_copies and tensor is output else None
        if getattr(called, "batch_first", True) or tensor.dim() != 3:
            calls.add(module, tensor)
            return None
        batch_first = tensor.transpose(0, 1)
        calls.add(module, batch_first)
        return (batch_first.transpose(0, 1), *output[1:])

    return keep


def follow(tensor: Tensor) -> None:
    """Let gradients be taken of a tensor that depends on nothing they are taken of."""
    if torch.is_grad_enabled() and not tensor.requires_grad:
        tensor.requires_grad_()


def hook_activations(network: Network, calls: Calls, stack: ExitStack) -> None:
    """Keep the input of every activation module."""

    def keep(module: nn.Module, args: tuple[Any, ...]) -> None:
        tensor = first_tensor(args)
        if tensor is not None:
            calls.add_input(module, tensor)

    for module in activations(network.module).values():
        stack.callback(module.register_forward_pre_hook(keep).remove)


def hook_passed_inputs(network: Network, calls: Calls, stack: ExitStack) -> None:
    """Keep what enters every activation module as a tensor of its own, which nothing else reads:
    its gradient is what comes back through the activation."""

    def keep(module: nn.Module, args: tuple[Any, ...]) -> Any:
        if not args or not isinstance(args[0], Tensor):
            return None
        own = args[0].clone()
        follow(own)
        calls.add(module, own)
        return (own, *args[1:])

    for module in activations(network.module).values():
        stack.callback(module.register_forward_pre_hook(keep).remove)


def hook_every_activation(network: Network, calls: Calls, stack: ExitStack) -> None:
    """Keep the input of every activation; a function's under the innermost module it runs in."""

    def enter(module: nn.Module, args: tuple[Any, ...]) -> None:
        tensor = first_tensor(args)
        if tensor is not None and is_activation(module):
            calls.add_input(module, tensor)

    running = running_modules(network, stack, enter)

    def watch(func: Any, args: tuple[Any, ...], options: Mapping[str, Any]) -> Any:
        if func in _ACTIVATING and not is_activation(running[-1]):
            tensor = args[0] if args else options.get("input")
            if isinstance(tensor, Tensor):
                writes = func in _WRITING or bool(options.get("inplace"))
                calls.add_input(running[-1], tensor, written=writes)
        return func(*args, **options)

    stack.enter_context(Intercepting(watch))


def running_modules(
    network: Network,
    stack: ExitStack,
    entered: Callable[[nn.Module, tuple[Any, ...]], None] = lambda module, args: None,
) -> list[nn.Module]:
    """The modules that run, the innermost last; `entered` is told of each but the network."""
    running: list[nn.Module] = [network.module]

    def enter(module: nn.Module, args: tuple[Any, ...]) -> None:
        running.append(module)
        entered(module, args)

    def leave(module: nn.Module, args: Any, output: Any) -> None:
        running.pop()

    for module in network.names:
        if module is not network.module:
            stack.callback(module.register_forward_pre_hook(enter).remove)
            stack.callback(module.register_forward_hook(leave).remove)
    return running


def hook_variances(network: Network, calls: Calls, stack: ExitStack) -> None:
    """Keep the batch variance of every BatchNorm's input, mean over channels."""

    def keep(module: nn.Module, args: tuple[Any, ...]) -> None:
        x = args[0].detach()
        variance = x.var([d for d in range(x.dim()) if d != 1], unbiased=False)
        calls.add(module, variance.mean())

    for module in batch_norms(network.module).values():
        stack.callback(module.register_forward_pre_hook(keep).remove)


Chosen = Callable[[nn.Module], Mapping[str, nn.Module]]
"""Some of the modules of a network, by name."""


def hook_called_inputs(chosen: Chosen, network: Network, calls: Calls, stack: ExitStack) -> None:
    """Keep the input of modules, its first tensor."""

    def keep(module: nn.Module, args: tuple[Any, ...]) -> Any:
        if not args or not isinstance(args[0], Tensor):
            return None
        calls.add(module, args[0])
        return (args[0].clone(), *args[1:]) if calls.keep_copies else None

    for module in chosen(network.module).values():
        stack.callback(module.register_forward_pre_hook(keep).remove)


def hook_called_outputs(chosen: Chosen, network: Network, calls: Calls, stack: ExitStack) -> None:
    """Keep the output of modules, its first tensor."""
    for module in chosen(network.module).values():
        stack.callback(module.register_forward_hook(_keeping(module, calls)).remove)


def units(tensor: Tensor, samples: int, channels_first: bool) -> Tensor:
    """A layer output as ``[B, C, R]``, a view.

    Parameters
    ----------
    samples : int
        Batch size. Outputs whose leading axis is a multiple of it (windows, tokens joined with
        the batch) go back to one row per sample.
    channels_first : bool
        Whether axis 1 holds the channels; else the last axis does.
    """
    if tensor.dim() == 1:
        tensor = tensor[None]
    if tensor.dim() == 2 and tensor.shape[0] == samples:
        return tensor.unsqueeze(2)
    if channels_first and tensor.dim() > 2:
        return tensor.flatten(2)
    rows = tensor.shape[0]
    tensor = tensor.reshape(samples if rows % samples == 0 else rows, -1, tensor.shape[-1])
    return tensor.transpose(1, 2)


def entry_names(names: Sequence[str], counts: Sequence[int]) -> tuple[str, ...]:
    """One name per call: ``conv``, then ``conv#2``, ``conv#3``."""
    return tuple(
        name if call == 0 else f"{name}#{call + 1}"
        for name, count in zip(names, counts, strict=True)
        for call in range(count)
    )

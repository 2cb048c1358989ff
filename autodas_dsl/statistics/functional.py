"""Activations wherever they happen: modules, and functions called inside other modules."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from autodas_dsl.statistics.capture import Calls, first_tensor
from autodas_dsl.statistics.layers import is_activation
from autodas_dsl.statistics.network import Network

_WRITING = frozenset({
    torch.relu_, torch.sigmoid_, torch.tanh_, torch.Tensor.relu_, torch.Tensor.sigmoid_,
    torch.Tensor.tanh_, F.relu_, F.leaky_relu_, F.elu_, F.hardtanh_,
})  # fmt: skip
_FUNCTIONS = _WRITING | {
    torch.relu, torch.sigmoid, torch.tanh, torch.selu, torch.celu, torch.Tensor.relu,
    torch.Tensor.sigmoid, torch.Tensor.tanh, F.relu, F.relu6, F.leaky_relu, F.gelu, F.silu,
    F.mish, F.elu, F.celu, F.selu, F.hardswish, F.hardsigmoid, F.hardtanh, F.sigmoid, F.tanh,
    F.softplus, F.softsign, F.logsigmoid, F.glu,
}  # fmt: skip


def watch_every_activation(network: Network, calls: Calls, stack: ExitStack) -> None:
    """Keep the input of every activation; a function's under the innermost module it runs in."""
    running: list[nn.Module] = [network.module]

    def enter(module: nn.Module, args: tuple[Any, ...]) -> None:
        running.append(module)
        tensor = first_tensor(args)
        if tensor is not None and is_activation(module):
            calls.seen.setdefault(module, []).append(_kept(tensor, calls.keep_copies))
            calls.watch(tensor)

    def leave(module: nn.Module, args: Any, output: Any) -> None:
        running.pop()

    for module in network.names:
        if module is not network.module:
            stack.callback(module.register_forward_pre_hook(enter).remove)
            stack.callback(module.register_forward_hook(leave).remove)
    stack.enter_context(_Functions(running, calls))


def _kept(tensor: Tensor, copied: bool) -> Tensor:
    return tensor.detach().clone() if copied else tensor


class _Functions(TorchFunctionMode):
    def __init__(self, running: list[nn.Module], calls: Calls) -> None:
        super().__init__()
        self.running = running
        self.calls = calls

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        options = kwargs or {}
        if func in _FUNCTIONS and not is_activation(self.running[-1]):
            tensor = args[0] if args else options.get("input")
            if isinstance(tensor, Tensor):
                writes = func in _WRITING or bool(options.get("inplace"))
                copied = writes or self.calls.keep_copies
                module = self.running[-1]
                self.calls.seen.setdefault(module, []).append(_kept(tensor, copied))
                if not writes:
                    self.calls.watch(tensor)
        return func(*args, **options)

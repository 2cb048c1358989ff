"""The layers of a network that layer statistics range over, in registration order."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from torch import Tensor, nn

from autodas_dsl.statistics.errors import StatisticError

_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
_TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
WEIGHTED = (*_CONVOLUTIONS, *_TRANSPOSED, nn.Linear)
BATCH_NORMS = (nn.modules.batchnorm._BatchNorm,)
RUNNING_NORMS = (nn.modules.batchnorm._NormBase,)
_ACTIVATIONS = (
    nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.PReLU, nn.RReLU, nn.ELU, nn.CELU, nn.SELU, nn.GELU,
    nn.SiLU, nn.Mish, nn.Hardswish, nn.Hardsigmoid, nn.Hardtanh, nn.Sigmoid, nn.Tanh,
    nn.Softplus, nn.Softsign, nn.LogSigmoid, nn.Tanhshrink, nn.Softshrink, nn.Hardshrink,
    nn.Threshold, nn.GLU,
)  # fmt: skip
_ACTIVATION_NAME = re.compile(r"(Activation|ReLU|GELU|SiLU|Swish|Mish)$", re.IGNORECASE)
_ATTENTION_NAME = re.compile(r"att(ention|n)", re.IGNORECASE)


@dataclass(frozen=True, eq=False)
class Layer:
    """One weight of a Conv or Linear layer and every module that uses it.

    Attributes
    ----------
    name : str
        Name of the first module registered with this weight.
    parameter : str
        Name of the weight among the network's parameters.
    modules : tuple of nn.Module
        More than one when the weight is tied.
    """

    name: str
    parameter: str
    modules: tuple[nn.Module, ...]

    @property
    def module(self) -> nn.Module:
        return self.modules[0]

    @property
    def outputs(self) -> int:
        """Output channels or features."""
        module = self.module
        size = module.out_features if isinstance(module, nn.Linear) else module.out_channels
        assert isinstance(size, int)
        return size

    def rows(self, weight: Tensor) -> Tensor:
        """A weight as ``[C, R]``, outputs first: a view wherever the memory order allows."""
        if isinstance(self.module, _TRANSPOSED):
            weight = weight.transpose(0, 1)
        return weight.flatten(1)


def weighted_layers(network: nn.Module) -> tuple[Layer, ...]:
    """Conv and Linear layers in registration order; tied weights count once.

    Raises
    ------
    StatisticError
        E450, when a weight is computed by a parametrisation rather than stored.
    """
    names = {id(p): name for name, p in network.named_parameters()}
    found: dict[str, list[tuple[str, nn.Module]]] = {}
    for name, module in network.named_modules():
        if not isinstance(module, WEIGHTED):
            continue
        weight = module._parameters.get("weight")
        if weight is None:
            raise StatisticError(
                "E450",
                f"layer {name!r} computes its weight (weight norm or another parametrisation)",
                "remove it first with torch.nn.utils.parametrize.remove_parametrizations",
            )
        found.setdefault(names[id(weight)], []).append((name, module))
    return tuple(
        Layer(users[0][0], parameter, tuple(module for _, module in users))
        for parameter, users in found.items()
    )


def is_activation(module: nn.Module) -> bool:
    """Whether a module is an activation: torch's own, and classes named or kept like one."""
    if isinstance(module, _ACTIVATIONS):
        return True
    if isinstance(module, WEIGHTED) or any(True for _ in module.children()):
        return False
    kind = type(module)
    return bool(_ACTIVATION_NAME.search(kind.__name__)) or kind.__module__.endswith("activations")


def every_module(network: nn.Module) -> dict[str, nn.Module]:
    return dict(network.named_modules())


def activations(network: nn.Module) -> dict[str, nn.Module]:
    return {name: m for name, m in network.named_modules() if is_activation(m)}


def batch_norms(network: nn.Module) -> dict[str, nn.Module]:
    return {name: m for name, m in network.named_modules() if isinstance(m, BATCH_NORMS)}


def affine_layers(network: nn.Module) -> dict[str, nn.Module]:
    """Layers whose output is affine in their own parameters: Conv, Linear, normalisation."""
    return {
        name: m
        for name, m in network.named_modules()
        if isinstance(m, WEIGHTED) or ("Norm" in type(m).__name__ and m._parameters)
    }


def blocks(network: nn.Module) -> dict[str, nn.Module]:
    """Outermost modules with a number for a name, as in a sequence, and children of their own."""
    found: dict[str, nn.Module] = {}
    for name, module in network.named_modules():
        above = name.split(".")[:-1]
        inside = any(".".join(above[: end + 1]) in found for end in range(len(above)))
        if name.split(".")[-1].isdigit() and any(True for _ in module.children()) and not inside:
            found[name] = module
    return found


def blocks_before(network: nn.Module) -> dict[nn.Module, int]:
    """For each activation, the blocks before the one that holds it, or before itself."""
    starts, count, inside = set(blocks(network)), 0, ""
    found = {}
    for name, module in network.named_modules():
        if inside and not name.startswith(inside):
            count, inside = count + 1, ""
        if name in starts:
            inside = f"{name}."
        if is_activation(module):
            found[module] = count
    return found


def attention(network: nn.Module, layers: tuple[Layer, ...]) -> list[bool]:
    """Which layers are Linear layers of attention.

    A Linear belongs to attention when a module that holds it is named so, or is of a class named
    so. In a network without such names that has LayerNorm: when it is square or a fused qkv
    (three times as wide as its input).
    """
    named = [_in_attention(network, layer.name) for layer in layers]
    linear = [isinstance(layer.module, nn.Linear) for layer in layers]
    if not any(named) and any(isinstance(m, nn.LayerNorm) for m in network.modules()):
        named = [_square_or_fused(layer.module) for layer in layers]
    return [a and b for a, b in zip(named, linear, strict=True)]


def _in_attention(network: nn.Module, name: str) -> bool:
    return any(
        _ATTENTION_NAME.search(part) or _ATTENTION_NAME.search(type(module).__name__)
        for part, module in _ancestors(network, name)
    )


def _ancestors(network: nn.Module, name: str) -> Iterator[tuple[str, nn.Module]]:
    module = network
    for part in name.split(".")[:-1]:
        module = module.get_submodule(part)
        yield part, module


def _square_or_fused(module: nn.Module) -> bool:
    return isinstance(module, nn.Linear) and module.out_features in (
        module.in_features,
        3 * module.in_features,
    )

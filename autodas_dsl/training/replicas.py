"""Several networks of one architecture as one: a layer of the whole holds all of theirs.

Convolutional networks become one network with grouped convolutions, which costs far less per
network than running each; others are mapped over stacked parameters. Networks of which neither
gives what each gives alone are run one after the other.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap

from autodas_dsl.execution.randomness import seeded
from autodas_dsl.statistics.forward import logits_of


class Grouped(nn.Module):
    """n convolutional networks side by side in the channel axis.

    Takes [n, B, C, H, W], a batch for each network, and gives logits [n, B, K]. Convolutions,
    batch normalisation and the final Linear are replaced; everything else of the forward pass
    must treat channels alike, as activations and pooling do.
    """

    def __init__(self, networks: Sequence[nn.Module]) -> None:
        super().__init__()
        self.size = len(networks)
        self.whole = copy.deepcopy(networks[0])
        for name, module in networks[0].named_modules():
            parts = [network.get_submodule(name) for network in networks]
            if isinstance(module, nn.Conv2d):
                self.whole.set_submodule(name, _conv(parts))
            elif isinstance(module, nn.BatchNorm2d):
                self.whole.set_submodule(name, _batch_norm(parts))
            elif isinstance(module, nn.Linear):
                self.whole.set_submodule(name, GroupedLinear(parts))

    def forward(self, x: Tensor) -> Tensor:
        n, batch, channels, height, width = x.shape
        # not channels_last: there oneDNN's grouped convolutions overwrite memory on AVX2 processors
        side = x.transpose(0, 1).reshape(batch, n * channels, height, width)
        logits = self.whole(side)
        return logits.unflatten(1, (n, -1)).transpose(0, 1)


class GroupedLinear(nn.Module):
    """n Linear layers on [B, n * inputs] -> [B, n * outputs]."""

    def __init__(self, layers: Sequence[nn.Module]) -> None:
        super().__init__()
        self.weight = nn.Parameter(_stacked(layers, "weight"))
        self.bias = nn.Parameter(_stacked(layers, "bias"))

    def forward(self, x: Tensor) -> Tensor:
        inputs = x.unflatten(1, (len(self.weight), -1))
        return (torch.einsum("bni,noi->bno", inputs, self.weight) + self.bias).flatten(1)


class Mapped(nn.Module):
    """n networks without running statistics, mapped over a leading axis of their parameters.

    Takes [n, B, ...] and gives logits [n, B, K].
    """

    def __init__(self, networks: Sequence[nn.Module]) -> None:
        super().__init__()
        self.size = len(networks)
        self._pattern = [copy.deepcopy(networks[0])]  # in a list, so that it is no child
        parameters, _ = stack_module_state(list(networks))
        self._names = list(parameters)
        self.stacked = nn.ParameterList(parameters.values())

    def forward(self, x: Tensor) -> Tensor:
        def one(parameters: dict[str, Tensor], inputs: Tensor) -> Tensor:
            return functional_call(self._pattern[0], parameters, (inputs,))

        return vmap(one)(dict(zip(self._names, self.stacked, strict=True)), x)


class Apart(nn.Module):
    """n networks of any kind, one after the other: [n, B, ...] -> [n, B, K]."""

    def __init__(self, networks: Sequence[nn.Module]) -> None:
        super().__init__()
        self.networks = nn.ModuleList(map(copy.deepcopy, networks))

    def forward(self, x: Tensor) -> Tensor:
        pairs = zip(self.networks, x, strict=True)
        return torch.stack([logits_of(network(own), len(own)) for network, own in pairs])


def side_by_side(networks: Sequence[nn.Module], x: Tensor) -> Grouped | Mapped | Apart:
    """The networks as one module, which computes what each of them does.

    Parameters
    ----------
    networks : sequence of Module
        Left as they are.
    x : Tensor
        [B, ...], a few inputs to try that on.
    """
    convolutional = any(isinstance(module, nn.BatchNorm2d) for module in networks[0].modules())
    kind = Grouped if convolutional else Mapped
    return kind(networks) if _agrees(kind, networks, x) else Apart(networks)


def _agrees(kind: type[Grouped] | type[Mapped], networks: Sequence[nn.Module], x: Tensor) -> bool:
    """Whether the networks give together what each gives alone.

    They do not where one mixes channels, keeps other running numbers or draws random ones.
    """
    with torch.no_grad(), seeded(0):
        inputs = x + torch.randn(len(networks), *x.shape, dtype=x.dtype)  # each has its own
        alone = Apart(networks).eval()(inputs)
        try:
            found = kind(networks).eval()(inputs)
            kind(networks).train()(inputs)
        except Exception:  # noqa: BLE001 - vmap, grouped layers and a user's own `forward` raise what
            return False  # they like where a network cannot be put together: it is trained apart
    return found.shape == alone.shape and torch.allclose(found, alone, rtol=1e-3, atol=1e-4)


def _stacked(layers: Sequence[nn.Module], name: str) -> Tensor:
    return torch.stack([getattr(layer, name).detach() for layer in layers])


def _conv(layers: Sequence[nn.Module]) -> nn.Conv2d:
    first = layers[0]
    assert isinstance(first, nn.Conv2d)
    n = len(layers)
    grouped = nn.Conv2d(
        n * first.in_channels,
        n * first.out_channels,
        first.kernel_size,  # type: ignore[arg-type]
        stride=first.stride,  # type: ignore[arg-type]
        padding=first.padding,  # type: ignore[arg-type]
        groups=n * first.groups,
        bias=first.bias is not None,
        dtype=first.weight.dtype,
    )
    _copy(layers, grouped)
    return grouped


def _batch_norm(layers: Sequence[nn.Module]) -> nn.BatchNorm2d:
    first = layers[0]
    assert isinstance(first, nn.BatchNorm2d)
    grouped = nn.BatchNorm2d(
        len(layers) * first.num_features, first.eps, first.momentum, dtype=first.weight.dtype
    )
    _copy(layers, grouped)
    return grouped


def _copy(layers: Sequence[nn.Module], grouped: nn.Module) -> None:
    state = {
        key: torch.cat([layer.state_dict()[key] for layer in layers]) if value.ndim else value
        for key, value in layers[0].state_dict().items()
    }
    grouped.load_state_dict(state)

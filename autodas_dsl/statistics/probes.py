"""Probes: the weights, the input and the objective that a statistic is collected under."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from autodas_dsl.execution.randomness import seed_for
from autodas_dsl.statistics.errors import StatisticError
from autodas_dsl.statistics.layers import WEIGHTED
from autodas_dsl.statistics.network import Network, converted

CONSTANTS = {"tiny": 1e-7, "unit": 1.0}  # of all weights
STEP = 0.01  # size of the perturbation of `noise2` and `jitter`


@dataclass(frozen=True, eq=False)
class Setup:
    """What one pass runs on.

    Attributes
    ----------
    objective : str
        ``"loss"``: mean cross-entropy; ``"sum"``: sum of the logits.
    norms : str
        As in `undisturbed`.
    """

    parameters: Mapping[str, Tensor]
    x: Tensor
    dtype: torch.dtype
    buffers: Mapping[str, Tensor]
    objective: str = "loss"
    norms: str = "batch"


def prepare(probe: str, network: Network, x: Tensor, seed: int) -> Setup:
    """The setup of a probe; ``""`` is the batch itself.

    Parameters
    ----------
    x : Tensor
        Input of the real batch, in the precision of the passes.

    `robust.perturbed` makes that of ``robust``, which needs passes of its own.
    """
    dtype = network.dtype
    if probe in ("flow", "flow_bn"):
        return _flow(network, x, "identity" if probe == "flow" else "batch")
    parameters: Mapping[str, Tensor] = network.parameters
    if probe in CONSTANTS:
        constant = _constant_weights(network, CONSTANTS[probe])
        return Setup(constant, x, dtype, network.buffers)
    if probe == "absolute":
        absolute, buffers = _each_absolute(network.parameters), _each_absolute(network.buffers)
        x = converted(x, torch.float64)
        return Setup(absolute, x, torch.float64, buffers, norms="identity")
    if probe == "ones":
        return Setup(parameters, torch.ones_like(x), dtype, network.buffers, "sum")
    if probe == "kaiming":
        drawn = _drawn_weights(network, seed, probe, lambda fan_in: (2 / fan_in) ** 0.5)
        return Setup(drawn, x, dtype, network.buffers, norms="running")
    if probe in ("noise", "noise2"):
        parameters = _drawn_weights(network, seed, "noise", lambda fan_in: 1.0)
        x = _normal(x, seed_for(seed, "noise input"))
    if probe in ("noise2", "jitter"):
        x = x + STEP * _normal(x, seed_for(seed, f"{probe} step"))
    return Setup(parameters, x, dtype, network.buffers)


def _flow(network: Network, x: Tensor, norms: str) -> Setup:
    absolute, buffers = _each_absolute(network.parameters), _each_absolute(network.buffers)
    ones = torch.ones_like(x[:1], dtype=torch.float64)
    return Setup(absolute, ones, torch.float64, buffers, "sum", norms)


def _each_absolute(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: _absolute(tensor) for name, tensor in tensors.items()}


def _absolute(tensor: Tensor) -> Tensor:
    if not tensor.is_floating_point():
        return tensor.clone()
    return converted(tensor, torch.float64).abs()


def _normal(like: Tensor, seed: int) -> Tensor:
    # Drawn in float64 on the CPU, so that precision and device do not change the numbers.
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randn(like.shape, generator=generator, dtype=torch.float64)
    return drawn.to(like.device, like.dtype)


def _constant_weights(network: Network, value: float) -> dict[str, Tensor]:
    """Every ``weight`` filled with a value, norms too, every ``bias`` with 0, the rest as it is."""
    filled = {"weight": value, "bias": 0.0}
    return {
        name: torch.full_like(p, filled[word]) if (word := name.split(".")[-1]) in filled else p
        for name, p in network.parameters.items()
    }


def _drawn_weights(
    network: Network, seed: int, what: str, deviation: Callable[[int], float]
) -> dict[str, Tensor]:
    """Conv and Linear weights N(0, deviation^2 of their inputs), normalisation weights 1, the
    biases of all three 0."""
    parameters = dict(network.parameters)
    for module, name in network.names.items():
        prefix = f"{name}." if name else ""
        weight = parameters.get(f"{prefix}weight")
        bias = parameters.get(f"{prefix}bias")
        normalises = "Norm" in type(module).__name__
        if isinstance(module, WEIGHTED) and weight is not None:
            drawn = _normal(weight, seed_for(seed, f"{what} weight {name}"))
            inputs = nn.init._calculate_fan_in_and_fan_out(weight)[0]
            parameters[f"{prefix}weight"] = drawn * deviation(inputs)
        elif normalises and weight is not None:
            parameters[f"{prefix}weight"] = torch.ones_like(weight)
        if bias is not None and (isinstance(module, WEIGHTED) or normalises):
            parameters[f"{prefix}bias"] = torch.zeros_like(bias)
    return parameters


def one_hot(y: Tensor, classes: int, dtype: torch.dtype) -> Tensor:
    check_labels(y, classes)
    return F.one_hot(y, classes).to(dtype)


def check_labels(y: Tensor, classes: int) -> None:
    """Raise E451 when a label is none of the classes."""
    lowest, highest = int(y.min()), int(y.max())
    if lowest < 0 or highest >= classes:
        raise StatisticError(
            "E451",
            f"the batch has label {lowest if lowest < 0 else highest}, but the network only "
            f"{classes} classes",
            "use data with the classes of the network, or build it with more classes",
        )

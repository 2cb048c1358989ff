"""Gradients of a pass, of its parts, and the tangent kernel."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from autodas_dsl.execution.randomness import seed_for
from autodas_dsl.language.errors import InputError
from autodas_dsl.language.foreign import foreign, one_line
from autodas_dsl.statistics.errors import OutOfMemory, StatisticError, is_out_of_memory
from autodas_dsl.statistics.forward import Needs, forward
from autodas_dsl.statistics.network import Network
from autodas_dsl.statistics.probes import check_labels, prepare


def loss(logits: Tensor, y: Tensor) -> Tensor:
    """Mean cross-entropy."""
    check_labels(y, logits.shape[1])
    return F.cross_entropy(logits, y)


def gradient(
    statistic: str,
    objective: Tensor,
    targets: Sequence[Tensor],
    *,
    retain: bool = False,
    second_order: bool = False,
) -> tuple[Tensor, ...]:
    """Gradients, zeros where the objective does not depend on a target.

    Parameters
    ----------
    statistic : str
        Named in the messages.
    retain, second_order : bool
        The graph is needed again; the gradients themselves are differentiated.

    Raises
    ------
    StatisticError
        E449, when the objective carries no graph; E458, when an operation of the network has no
        derivative; E445, when memory runs out.
    """
    if not targets:
        return ()
    if not objective.requires_grad:
        raise StatisticError(
            "E449",
            "the logits carry no gradient",
            "the network must not run under torch.no_grad or detach its output",
            statistic,
        )
    with foreign(lambda error: _underivable(error, statistic)):
        found = torch.autograd.grad(
            objective,
            targets,
            retain_graph=retain or second_order,
            create_graph=second_order,
            allow_unused=True,
        )
    return tuple(
        torch.zeros_like(t) if g is None else g for t, g in zip(targets, found, strict=True)
    )


def _underivable(error: BaseException, statistic: str) -> InputError:
    if is_out_of_memory(error):
        return OutOfMemory(f"{statistic}: {one_line(error)}")
    return StatisticError(
        "E458",
        f"the network cannot be differentiated: {one_line(error)}",
        "another activation or attention may have the derivative",
        statistic,
    )


def split_gradients(
    network: Network, x: Tensor, y: Tensor, parts: int, seed: int
) -> tuple[Tensor, ...]:
    """``grad[split=n] W``: one gradient for each of `parts` consecutive parts of the batch.

    Returns
    -------
    tuple of Tensor
        ``[G, C, R]`` per layer.

    Raises
    ------
    StatisticError
        E452, when the batch has fewer samples than parts.
    """
    _check_samples(f"grad[split={parts}] W", parts, len(x))
    watched = frozenset(layer.parameter for layer in network.layers)
    stacks: list[list[Tensor]] = [[] for _ in network.layers]
    for part, (some_x, some_y) in enumerate(
        zip(x.tensor_split(parts), y.tensor_split(parts), strict=True)
    ):
        setup = prepare("", network, some_x, seed)
        run_seed = seed_for(seed, f"split {part} of {parts}")
        with forward(network, setup, Needs(watched=watched), run_seed) as outcome:
            weights = [outcome.parameters[layer.parameter] for layer in network.layers]
            name = f"grad[split={parts}] W"
            found = gradient(name, loss(outcome.logits, some_y), weights)
        for stack, layer, g in zip(stacks, network.layers, found, strict=True):
            stack.append(layer.rows(g))
    return tuple(torch.stack(stack) for stack in stacks)


def tangent_kernel(network: Network, x: Tensor, size: int, seed: int) -> Tensor:
    """``NTK[n]``: inner products of the gradients of each sample's summed logits.

    Over every parameter with ``weight`` in its name; the first `size` samples of the batch go
    through the network together, so BatchNorm couples them as it does in training.

    Returns
    -------
    Tensor
        ``[n, n]``, symmetric.

    Raises
    ------
    StatisticError
        E452, when the batch has fewer samples.
    """
    _check_samples(f"NTK[n={size}]", size, len(x))
    watched = frozenset(name for name in network.parameters if "weight" in name)
    setup = prepare("", network, x[:size], seed)
    with forward(network, setup, Needs(watched=watched), seed_for(seed, "kernel")) as outcome:
        weights = [outcome.parameters[name] for name in sorted(watched)]
        sums = outcome.logits.sum(1)
        rows = []
        for sample in range(size):
            again = sample < size - 1
            found = gradient(f"NTK[n={size}]", sums[sample], weights, retain=again)
            rows.append([g.flatten() for g in found])
    kernel = torch.zeros(size, size, dtype=sums.dtype, device=sums.device)
    for gradients in zip(*rows, strict=True):
        stacked = torch.stack(gradients)
        kernel += stacked @ stacked.T
    return kernel


def _check_samples(statistic: str, needed: int, available: int) -> None:
    if needed > available:
        raise StatisticError(
            "E452",
            f"needs at least {needed} samples, the batch has {available}",
            "use a larger --batch-size",
            statistic,
        )

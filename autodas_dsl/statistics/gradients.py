"""The loss of a pass, and gradients."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from autodas_dsl.language.errors import InputError
from autodas_dsl.language.foreign import foreign, is_out_of_memory, one_line
from autodas_dsl.statistics.errors import OutOfMemory, StatisticError
from autodas_dsl.statistics.probes import check_labels


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

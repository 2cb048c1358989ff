"""The loss of a pass, and gradients."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from functools import partial
from typing import Any

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
    awaited: Iterable[tuple[Tensor, Callable[[Tensor], None]]] = (),
) -> tuple[Tensor, ...]:
    """Gradients, zeros where the objective does not depend on a target.

    Parameters
    ----------
    statistic : str
        Named in the messages.
    retain, second_order : bool
        The graph is needed again; the gradients themselves are differentiated.
    awaited : iterable of (Tensor, callable)
        Other tensors, and what is done with the gradient of each as soon as it is there: neither is
        kept any longer.

    Raises
    ------
    StatisticError
        E449, when the objective carries no graph; E458, when an operation of the network has no
        derivative; E445, when memory runs out.
    """
    waiting = dict(enumerate(awaited))
    if not targets and not waiting:
        return ()
    if not objective.requires_grad:
        raise StatisticError(
            "E449",
            "the logits carry no gradient",
            "the network must not run under torch.no_grad or detach its output",
            statistic,
        )

    def arrive(place: int, gradient: Tensor) -> None:
        _, take = waiting.pop(place)
        with torch._C.DisableTorchFunction():
            take(gradient)

    with foreign(lambda error: _underivable(error, statistic)), ExitStack() as stack:
        for place, (tensor, _) in waiting.items():
            if tensor.requires_grad:
                stack.callback(tensor.register_hook(partial(arrive, place)).remove)
        found = torch.autograd.grad(
            objective,
            [*targets, *innermost([tensor for tensor, _ in waiting.values()])],
            retain_graph=retain or second_order,
            create_graph=second_order,
            allow_unused=True,
        )
    for tensor, take in waiting.values():
        take(torch.zeros_like(tensor))
    return tuple(
        torch.zeros_like(t) if g is None else g for t, g in zip(targets, found, strict=False)
    )


def innermost(tensors: Sequence[Tensor]) -> list[Tensor]:
    """Those that are computed from none of the others: on the way back to them, gradients come by
    all."""
    own = [
        torch.autograd.graph.get_gradient_edge(t).node if t.requires_grad else None for t in tensors
    ]
    wanted = set(own)
    meets: dict[Any, bool] = {}  # whether a node is one of those of the tensors, or above one
    below: dict[Any, list[Any]] = {}
    stack = [node for node in own if node is not None]
    while stack:
        node = stack[-1]
        if node not in below:
            below[node] = [child for child, _ in node.next_functions if child is not None]
            stack += [child for child in below[node] if child not in below]
        else:
            stack.pop()
            meets[node] = node in wanted or any(meets[child] for child in below[node])
    return [
        tensor for tensor, node in zip(tensors, own, strict=True)
        if node is None or not any(meets[child] for child in below[node])
    ]  # fmt: skip


def _underivable(error: BaseException, statistic: str) -> InputError:
    if is_out_of_memory(error):
        return OutOfMemory(f"{statistic}: {one_line(error)}")
    return StatisticError(
        "E458",
        f"the network cannot be differentiated: {one_line(error)}",
        "another activation or attention may have the derivative",
        statistic,
    )

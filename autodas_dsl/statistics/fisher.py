"""The Fisher information matrix of a network's predictions over a few of its weights."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor, nn

from autodas_dsl.execution.randomness import seed_for
from autodas_dsl.language.inputs import FIM_TENSORS, Statistic
from autodas_dsl.statistics.forward import Outcome, forward
from autodas_dsl.statistics.gradients import gradient
from autodas_dsl.statistics.layers import affine_layers
from autodas_dsl.statistics.passes import Subject
from autodas_dsl.statistics.probes import prepare

SMOOTHING = 0.05  # of the probabilities, as in the authors' code


def fisher_information(of: Subject, statistic: Statistic) -> Tensor:
    """``[n, n]``: mean over the samples of J^T (diag(p) - p p^T) J.

    From VKDNW (Tybl and Neumann, CVPR 2025): J is the Jacobian of the logits with respect to the
    first weight of each of the first `FIM_TENSORS` tensors, p the softmax, of which 5 % are spread
    evenly over the classes. Since layers are affine in their own weights, a column of J is the
    gradient of a layer's output times the output that the unit weight gives.
    """
    setup = replace(prepare(statistic.probe, of.network, of.x, of.seed), norms="running")
    keep = ("affine inputs", "affine outputs")
    seed = seed_for(of.seed, "fisher")
    watched = [name for name, p in setup.parameters.items() if p.is_floating_point()]
    with forward(of.network, setup, seed, keep=keep, watched=watched) as outcome:
        calls = _calls(of, outcome)
        changes = [_changes(calls, users) for users in _tensors(of)]
        samples, classes = outcome.logits.shape
        jacobian = outcome.logits.new_zeros(samples, classes, len(changes))
        for label in range(classes):
            target = outcome.logits[:, label].sum()
            met = [[torch.zeros(())] * len(own) for own in changes]
            awaited = _meetings(calls, changes, met, samples)
            gradient(str(statistic), target, (), retain=label < classes - 1, awaited=awaited)
            for place, own in enumerate(met):
                for of_call in own:
                    jacobian[:, label, place] += of_call
        p = (1 - SMOOTHING) * outcome.logits.detach().softmax(1) + SMOOTHING / classes
    covariance = torch.diag_embed(p) - p.unsqueeze(2) * p.unsqueeze(1)
    return torch.einsum("bkp,bkl,blq->pq", jacobian, covariance, jacobian) / samples


def _meetings(
    calls: Sequence[tuple[nn.Module, Tensor, Tensor]],
    changes: Sequence[Sequence[tuple[int, int, Tensor]]],
    met: Sequence[list[Tensor]],
    samples: int,
) -> Iterator[tuple[Tensor, Callable[[Tensor], None]]]:
    """For every output that changes with a tensor what is done with its gradient: its product with
    each change, a number a sample, goes to the place of that change in `met`."""
    of_output: dict[int, list[tuple[int, int]]] = {}
    for place, own in enumerate(changes):
        for number, (output, _, _) in enumerate(own):
            of_output.setdefault(output, []).append((place, number))

    def meet(output: int, back: Tensor) -> None:
        for place, number in of_output[output]:
            _, axis, values = changes[place][number]
            product = back.narrow(axis, 0, 1) * values
            met[place][number] = product.reshape(samples, -1).sum(1)

    for output in of_output:
        yield calls[output][2], partial(meet, output)


def _calls(of: Subject, outcome: Outcome) -> list[tuple[nn.Module, Tensor, Tensor]]:
    seen = [outcome.calls[what] for what in ("affine inputs", "affine outputs")]
    return [
        (module, source.detach(), result)
        for module in affine_layers(of.network.module).values()
        for source, result in zip(*(s.of(module) for s in seen), strict=False)
    ]


def _tensors(of: Subject) -> list[list[tuple[nn.Module, str]]]:
    """The users of each of the first tensors: modules, and the name that each has for it."""
    users: dict[int, list[tuple[nn.Module, str]]] = {}
    for module in affine_layers(of.network.module).values():
        for name, parameter in module.named_parameters(recurse=False):
            users.setdefault(id(parameter), []).append((module, name))
    held = {id(parameter): parameter for parameter in of.network.module.parameters()}
    return [users[key] for key in held if key in users][:FIM_TENSORS]


def _changes(
    calls: Sequence[tuple[nn.Module, Tensor, Tensor]], users: Sequence[tuple[nn.Module, str]]
) -> list[tuple[int, int, Tensor]]:
    """How outputs change with a weight: which output, and its support along one axis."""
    names: Mapping[nn.Module, str] = dict(users)
    found = []
    for output, (module, source, _) in enumerate(calls):
        if module in names:
            change = _with_unit_weight(module, names[module], source)
            axis = next(a for a in (1, -1) if not change.transpose(a, 0)[1:].any())
            found.append((output, axis, change.narrow(axis, 0, 1).clone()))
    return found


def _with_unit_weight(module: nn.Module, name: str, source: Tensor) -> Tensor:
    """The output where the first value of a parameter is 1 and all others of the layer are 0."""
    held = dict(module._parameters)
    unit = {k: p if p is None else _zeros(p) for k, p in held.items()}
    weight = unit[name]
    assert weight is not None
    weight.view(-1)[0] = 1
    module._parameters.update(unit)
    try:
        with torch.no_grad():
            result: Tensor = module.forward(source)
    finally:
        module._parameters.update(held)
    return result


def _zeros(like: Tensor) -> nn.Parameter:
    return nn.Parameter(like.new_zeros(like.shape), requires_grad=False)

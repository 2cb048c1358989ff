"""Training one network: with a teacher (`distill`), or on the labels alone (`train`)."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass

import torch
from torch import Tensor, nn

from autodas_dsl.data.samples import Samples
from autodas_dsl.execution.randomness import seed_for, seeded
from autodas_dsl.language.errors import InputError
from autodas_dsl.language.foreign import foreign
from autodas_dsl.language.proxy import Proxy
from autodas_dsl.statistics.forward import failure, logits_of
from autodas_dsl.training.checkpoint import Checkpoint
from autodas_dsl.training.criterion import Criterion, criterion_of
from autodas_dsl.training.feeding import CHUNK, Feed, feed_of, parts_of
from autodas_dsl.training.loop import (
    Epoch,
    Loop,
    Parts,
    Progress,
    Taught,
    accuracy_of,
    outside,
    with_steps,
)
from autodas_dsl.training.recipe import Recipe
from autodas_dsl.training.watching import Watched

_MET = 8
_OUTWEIGHS = 10
"""Examples that both networks are tried on before any training."""


@dataclass(frozen=True, slots=True)
class Trained:
    """What came of a training run.

    Attributes
    ----------
    network : Module
        The trained network, in eval mode.
    losses : tuple of float
        The whole loss at each step.
    log : tuple of Epoch
        What was measured after each epoch.
    kept : Epoch
        Where in it the weights are from: the end, or the best with ``Recipe.patience``.
    accuracy : float or None
        Share of the held-out examples named right, if there were any.
    teacher_accuracy : float or None
        That of the teacher on the same examples.
    notes : tuple of str
        What should be known about it: a teacher that is no better than chance.
    """

    network: nn.Module
    losses: tuple[float, ...]
    log: tuple[Epoch, ...]
    kept: Epoch
    accuracy: float | None
    teacher_accuracy: float | None = None
    notes: tuple[str, ...] = ()


def distill(
    student: nn.Module,
    teacher: nn.Module,
    data: Samples,
    *,
    loss: str | Proxy = "kd",
    weight: float | None = None,
    hint_layers: tuple[str, str] = ("", ""),
    validation: Samples | None = None,
    held_out: Samples | None = None,
    recipe: Recipe | None = None,
    seed: int = 0,
    checkpoint: Checkpoint | None = None,
    progress: Progress | None = None,
) -> Trained:
    """Train a student on labels and on what a teacher makes of the same inputs.

    The loss is CE + weight L for the distillation loss L, as its paper has it; of `kd` (1 - alpha)
    CE + alpha weight L, with alpha from the recipe (Hinton et al., 2015).

    Parameters
    ----------
    student : Module
        Trained in place, where it is; maps ``[B, ...]`` to logits ``[B, K]``.
    teacher : Module
        On the device of the student; left as it is, apart from eval mode.
    data, validation, held_out
        (inputs ``[n, ...]``, labels ``[n]``) as tensors or arrays, or anything with such ``x`` and
        ``y``, in memory; a torch Dataset or DataLoader is read anew in every epoch, its random
        changes with it. What is measured on `validation` after each epoch may stop the training;
        `held_out` is looked at once, in the end.
    loss : str or Proxy
        A key of `LOSSES`, a ``.proxy`` file or a formula over what student and teacher share: F,
        E, P, V, ``grad V`` and Y. Its sign is turned where higher is better.
    weight : float, optional
        Factor of the distillation loss; its usual one by default, 1 for a formula.
    hint_layers : tuple of str
        Modules of student and teacher whose output is taken for F, by their names; empty for the
        last map before the classifier.
    recipe : Recipe, optional
    seed : int
        Of the order of the examples, and of all that is random in a step.
    checkpoint : Checkpoint, optional
        Where the state of the run is kept; resumed, it ends with the same weights.
    progress : callable, optional
        Told the steps done, and loss and accuracy in words.

    Returns
    -------
    Trained

    Raises
    ------
    InputError
        Unknown loss (E730), a formula that cannot be a loss (E743, E744, E753), an alpha for
        another loss than `kd` (E760), networks of other classes or channels where the loss needs
        equal ones (E731), hint layers of other resolution (E747) or none of the name (E448),
        examples and labels of different number (E732), no classifier (E733), stage (E754) or
        feature map (E735) to be found, a loss that stops being finite (E734), labels outside the
        classes (E736), a temperature out of range (E739), no validation part for the recipe's
        `patience` (E758), inputs that are no images to be changed (E756), mixed precision on a
        processor (E757), a checkpoint that is damaged (E745) or of a run with other options (E746),
        data that is none (E430), or a network that fails on the examples or returns no logits
        (E440, E441).

    Examples
    --------
    >>> import torch
    >>> from torch import nn
    >>> from autodas_dsl import distill
    >>> from autodas_dsl.training.recipe import Recipe
    >>> x, y = torch.randn(64, 1, 8, 8), torch.arange(64) % 10
    >>> student, teacher = (nn.Sequential(nn.Flatten(), nn.Linear(64, 10)) for _ in range(2))
    >>> done = distill(student, teacher, (x, y), recipe=Recipe(steps=3))
    >>> len(done.losses)
    3
    """
    recipe = recipe or Recipe()
    feed = feed_of(data, recipe, seed)
    recipe = with_steps(recipe, feed)
    criterion, usual = criterion_of(loss, recipe)
    device = _device(student)
    look = Watched(student.eval(), "s", criterion.statistics, hint_layers[0])
    ask = Watched(teacher.eval(), "t", criterion.statistics, hint_layers[1])
    with seeded(seed_for(seed, "training"), device):
        classes = _meet(look, ask, criterion, feed, device)
        factor = usual.factor if weight is None else weight
        labels, share = (1 - recipe.alpha, recipe.alpha) if usual.shares else (1.0, 1.0)
        taught = Taught(look, ask, criterion, labels, share * factor)
        told = {
            "loss": criterion.named, "weight": repr(factor), "hint_layers": ",".join(hint_layers)
        }  # fmt: skip
        found = _trained(
            student, feed, recipe, taught, told, validation, held_out, seed, checkpoint, progress
        )
        tested = validation if held_out is None else held_out
        parts = [_first(feed, device, CHUNK)] if tested is None else parts_of(tested)
        accuracy = accuracy_of(teacher, parts)
        notes = (*_outweighing(found[1][0], classes, factor), *_chance(accuracy, parts))
    known = None if held_out is None else accuracy
    return Trained(*found, teacher_accuracy=known, notes=notes)


def train(
    network: nn.Module,
    data: Samples,
    *,
    validation: Samples | None = None,
    held_out: Samples | None = None,
    recipe: Recipe | None = None,
    seed: int = 0,
    checkpoint: Checkpoint | None = None,
    progress: Progress | None = None,
) -> Trained:
    """Train a network on the labels alone: a teacher, or a student to compare with.

    The same weights, data, recipe and seed go through the same batches as in `distill`.

    Parameters
    ----------
    network : Module
        Trained in place, where it is; maps ``[B, ...]`` to logits ``[B, K]``.
    data, validation, held_out, recipe, seed, checkpoint, progress
        As in `distill`; `alpha` and `temperature` of the recipe have no meaning here.

    Returns
    -------
    Trained

    Raises
    ------
    InputError
        As `distill`, where it is not about a teacher.
    """
    recipe = recipe or Recipe()
    feed = feed_of(data, recipe, seed)
    recipe = with_steps(recipe, feed)
    device = _device(network)
    with seeded(seed_for(seed, "training"), device):
        x, y = _first(feed, device)
        with torch.no_grad(), foreign(lambda error: failure(error, x)):
            classes = logits_of(network.eval()(x), len(x)).shape[1]
        _check_labels(feed, y, classes)
        found = _trained(
            network, feed, recipe, None, {}, validation, held_out, seed, checkpoint, progress
        )
    return Trained(*found)


def _trained(
    network: nn.Module,
    feed: Feed,
    recipe: Recipe,
    taught: Taught | None,
    told: dict[str, str],
    validation: Samples | None,
    held_out: Samples | None,
    seed: int,
    checkpoint: Checkpoint | None,
    progress: Progress | None,
) -> tuple[nn.Module, tuple[float, ...], tuple[Epoch, ...], Epoch, float | None]:
    if recipe.patience and validation is None:
        raise InputError(
            "E758", "without a validation part nothing says when to stop",
            "give validation examples, or leave patience out",
        )  # fmt: skip
    numbers = sum(p.numel() for p in network.parameters())
    told = {
        **{key: str(value) for key, value in asdict(recipe).items()},
        **told,
        "seed": str(seed),
        "network": f"{type(network).__name__} of {numbers} parameters",
        "examples": str(feed.examples),
    }
    checked = None if validation is None else parts_of(validation)
    loop = Loop(network, feed, recipe, taught, checked, checkpoint, told, progress)
    loop.run()
    accuracy = None if held_out is None else accuracy_of(network, parts_of(held_out))
    return network, tuple(loop.losses), tuple(loop.log), loop.kept, accuracy


def _device(network: nn.Module) -> torch.device:
    return next((p.device for p in network.parameters()), torch.device("cpu"))


def _first(feed: Feed, device: torch.device, count: int = _MET) -> tuple[Tensor, Tensor]:
    fed = next(iter(feed.batches(0)))
    return fed.x[:count].to(device), fed.y[:count].to(device)


def _meet(
    look: Watched, ask: Watched, criterion: Criterion, feed: Feed, device: torch.device
) -> int:
    """Show both networks, and the loss what they make of it, before any training; the classes."""
    x, y = _first(feed, device)
    with torch.no_grad(), foreign(lambda error: failure(error, x)):
        blind = Watched(look.module, "s", ())
        classes = blind(x, y)[blind.logits].shape[1]
        _check_labels(feed, y, classes)
        given, wanted = look(x, y), ask(x, y)
    criterion.meet(given, wanted, feed.examples)
    return classes


def _check_labels(feed: Feed, first: Tensor, classes: int) -> None:
    """Of all examples where they are in memory, else of the first ones."""
    y = getattr(feed, "y", first)
    if int(y.min()) < 0 or int(y.max()) >= classes:
        raise outside(y, classes)


def _outweighing(first: float, classes: int, weight: float) -> tuple[str, ...]:
    """A note where the first loss is far above what an untrained network has from the labels."""
    guessing = math.log(classes)
    if first < _OUTWEIGHS * guessing:
        return ()
    return (f"the first loss is {first:.3g}, and guessing makes {guessing:.2g} of the labels: they "
            f"hardly count beside a distillation loss of weight {weight:g}",)  # fmt: skip


def _chance(accuracy: float, parts: Parts) -> tuple[str, ...]:
    """A note where the commonest class alone explains the teacher's accuracy.

    Within two standard errors of the share of that class it is no better than chance.
    """
    labels = torch.cat([y.cpu() for _, y in parts])
    share = float(labels.bincount().max()) / len(labels)
    if accuracy > share + 2 * (share * (1 - share) / len(labels)) ** 0.5:
        return ()
    note = f"the teacher is no better than chance: {accuracy:.4f} of {len(labels)} examples, and "
    return (f"{note}the commonest class has {share:.4f}; see that its weights are trained",)

"""The loop that trains one network: steps, what is measured after each epoch, and going on."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from autodas_dsl.compiler.interpret import NotFinite
from autodas_dsl.language.errors import InputError
from autodas_dsl.language.foreign import foreign
from autodas_dsl.statistics.forward import failure, logits_of
from autodas_dsl.training import checkpoint as checkpoints
from autodas_dsl.training.checkpoint import Checkpoint
from autodas_dsl.training.criterion import Criterion
from autodas_dsl.training.feeding import Feed
from autodas_dsl.training.recipe import Recipe, optimizer_of
from autodas_dsl.training.watching import Watched

Parts = Iterable[tuple[Tensor, Tensor]]
"""Inputs and labels to test on, some at a time; may be gone through again."""

Progress = Callable[[int, str], None]
"""Told the steps done, and loss and accuracy in words."""


@dataclass(frozen=True, slots=True)
class Epoch:
    """A line of the log.

    Attributes
    ----------
    epoch, step : int
        Whole epochs and steps done.
    learning_rate : float
        Of the last step.
    loss : float
        The whole loss, mean over the steps since the line before.
    train_accuracy : float
        Share of the examples of these steps named right, each before its step.
    validation_accuracy : float or None
    """

    epoch: int
    step: int
    learning_rate: float
    loss: float
    train_accuracy: float
    validation_accuracy: float | None


@dataclass(frozen=True, slots=True)
class Taught:
    """What a network is taught by beside the labels.

    Attributes
    ----------
    look, ask : Watched
        The student, and the teacher.
    criterion : Criterion
    labels, factor : float
        The loss is labels CE + factor criterion.
    """

    look: Watched
    ask: Watched
    criterion: Criterion
    labels: float
    factor: float


@dataclass(eq=False)
class Loop:
    """A training run.

    Parameters
    ----------
    network : Module
        Trained in place.
    feed : Feed
    recipe : Recipe
        With a number of steps.
    taught : Taught, optional
        Without it the network learns from the labels alone.
    validation : iterable of (inputs, labels)
    checkpoint : Checkpoint, optional
    told : mapping
        What a resumed run must share.
    progress : callable, optional
    """

    network: nn.Module
    feed: Feed
    recipe: Recipe
    taught: Taught | None = None
    validation: Parts | None = None
    checkpoint: Checkpoint | None = None
    told: dict[str, str] = field(default_factory=dict)
    progress: Progress | None = None

    step: int = field(default=0, init=False)
    losses: list[float] = field(default_factory=list, init=False)
    log: list[Epoch] = field(default_factory=list, init=False)
    stopped: bool = field(default=False, init=False)
    _right: int = field(default=0, init=False)
    _seen: int = field(default=0, init=False)
    _best: Epoch | None = field(default=None, init=False)
    _best_state: dict[str, Tensor] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        parameters = list(self.network.parameters())
        if self.taught is not None:
            parameters += self.taught.criterion.parameters()
        self._trained = [p for p in parameters if p.requires_grad]
        self._optimizer = optimizer_of(self._trained, self.recipe)
        self._device = next((p.device for p in parameters), torch.device("cpu"))
        self._saved = time.monotonic()
        if self.recipe.mixed_precision and self._device.type == "cpu":
            raise InputError(
                "E757", "mixed precision is for a GPU, and the network is on the processor",
                "leave it out, or add --device cuda",
            )  # fmt: skip

    def run(self) -> None:
        """Train to the last step, or until it no longer gets better.

        Raises
        ------
        InputError
            A loss that stops being finite (E734), a network that fails (E440), labels outside the
            classes (E736), a checkpoint that is damaged (E745), another run's (E746) or cannot be
            written (E517).
        """
        if self.checkpoint is not None and self.checkpoint.resume and self.checkpoint.path.exists():
            self._restore(self.checkpoint)
        self.network.train()
        if self.step < self.recipe.steps and not self.stopped:
            for fed in self.feed.batches(self.step):
                self._step(fed.x.to(self._device), fed.y.to(self._device), fed.rows)
                epochs = self.feed.epochs(self.step)
                last = self.step == self.recipe.steps
                if last or epochs > self.feed.epochs(self.step - 1):
                    self._measure(epochs)
                if self.progress is not None:
                    self.progress(self.step, self._status())
                self._keep(last or self.stopped)
                if last or self.stopped:
                    break
        self.network.eval()
        if self.recipe.patience and self._best is not None:
            self.network.load_state_dict(self._best_state)

    @property
    def kept(self) -> Epoch:
        """The line of the log that the network's weights are of."""
        return self._best if self.recipe.patience and self._best is not None else self.log[-1]

    def _step(self, x: Tensor, y: Tensor, rows: Tensor | None) -> None:
        rate = self.recipe.learning_rate * self.recipe.rate(self.step)
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        with foreign(lambda error: self._failure(error, x, y)):
            loss, logits = self._loss(x, y, rows)
            value = loss.item()
            if not math.isfinite(value):
                raise self._diverged(f"the loss is {value} at step {self.step + 1}")
            self._optimizer.zero_grad(set_to_none=True)
            loss.backward()
        self._optimizer.step()
        self.losses.append(value)
        self._right += int((logits.argmax(1) == y).sum())
        self._seen += len(y)
        self.step += 1

    def _loss(self, x: Tensor, y: Tensor, rows: Tensor | None) -> tuple[Tensor, Tensor]:
        taught = self.taught
        with self._precision():
            if taught is None:
                logits = logits_of(self.network(x), len(x))
                return F.cross_entropy(logits.float(), y), logits
            with torch.no_grad():
                wanted = taught.ask(x, y)
            given = taught.look(x, y)
        if self.recipe.mixed_precision:
            given, wanted = (
                {key: value.float() for key, value in seen.items()} for seen in (given, wanted)
            )
        logits = given[taught.look.logits]
        labels = F.cross_entropy(logits, y)
        try:
            distance = taught.criterion(given, wanted, rows).to(labels.dtype)
        except NotFinite as error:
            what = f"the loss is {error.value} at step {self.step + 1}: {error}"
            raise self._diverged(what) from error
        return taught.labels * labels + taught.factor * distance, logits

    def _failure(self, error: BaseException, x: Tensor, y: Tensor) -> InputError:
        if isinstance(error, IndexError) and "out of bounds" in str(error):  # of cross-entropy
            return outside(y)
        return failure(error, x)

    def _precision(self) -> torch.autocast:
        return torch.autocast(
            self._device.type, torch.bfloat16, enabled=self.recipe.mixed_precision
        )

    def _diverged(self, what: str) -> InputError:
        kept = ""
        if self.checkpoint is not None and self.checkpoint.path.exists():
            kept = f"; {self.checkpoint.path} keeps the last state that was finite"
        return InputError(
            "E734", f"{what}{kept}",
            "lower the learning rate, or the weight of the distillation loss",
        )  # fmt: skip

    def _measure(self, epochs: int) -> None:
        """Add a line to the log; stop where it has not got better for too long."""
        since = self.log[-1].step if self.log else 0
        steps = self.losses[since:]
        accuracy = None
        if self.validation is not None:
            accuracy = accuracy_of(self.network, self.validation)
            self.network.train()
        line = Epoch(
            epochs, self.step, self._optimizer.param_groups[0]["lr"], math.fsum(steps) / len(steps),
            self._right / self._seen, accuracy,
        )  # fmt: skip
        self._right = self._seen = 0
        self.log.append(line)
        if not self.recipe.patience or accuracy is None:
            return
        best = self._best.validation_accuracy if self._best is not None else None
        if best is None or accuracy > best:
            self._best = line
            self._best_state = checkpoints.packed(self.network.state_dict())
        since_best = sum(one.step > self._best.step for one in self.log) if self._best else 0
        self.stopped = since_best >= self.recipe.patience

    def _status(self) -> str:
        words = f"loss {self.losses[-1]:.4g}"
        if self.log:
            line = self.log[-1]
            validation = line.validation_accuracy
            words += f", accuracy {line.train_accuracy:.4f}"
            words += "" if validation is None else f", validation {validation:.4f}"
        return words

    # --- checkpoints ------------------------------------------------------------------------------

    def _keep(self, always: bool) -> None:
        """Write the state where it is due; a state that is not finite never replaces one."""
        kept = self.checkpoint
        if kept is None or not (always or time.monotonic() - self._saved >= kept.every):
            return
        tensors = {f"{part}.{k}": v for part, state in self._states() for k, v in state.items()}
        if not all(bool(tensor.isfinite().all()) for tensor in tensors.values()):
            raise self._diverged(f"the weights are not finite after step {self.step}")
        tensors["run.losses"] = torch.tensor(self.losses, dtype=torch.float64)
        facts = {
            "told": {**self.told, **kept.told}, "step": self.step,
            "log": [asdict(line) for line in self.log], "stopped": self.stopped,
            "right": self._right, "seen": self._seen,
            "best": None if self._best is None else self._best.step,
        }  # fmt: skip
        checkpoints.write(kept.path, tensors, facts)
        self._saved = time.monotonic()

    def _states(self) -> list[tuple[str, dict[str, Any]]]:
        moments = {
            f"{number}.{key}": value
            for number, state in self._optimizer.state_dict()["state"].items()
            for key, value in state.items()
        }
        criterion = self.taught.criterion.state_dict() if self.taught is not None else {}
        return [
            ("network", self.network.state_dict()), ("criterion", criterion),
            ("optimizer", moments), ("best", self._best_state),
        ]  # fmt: skip

    def _restore(self, kept: Checkpoint) -> None:
        tensors, facts = checkpoints.read(kept.path)
        self._refuse_others(kept, facts["told"])
        try:
            self._take(tensors, facts)
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise checkpoints.damaged(kept.path) from error

    def _take(self, tensors: dict[str, Tensor], facts: dict[str, Any]) -> None:
        """Become what a checkpoint holds."""
        names = ("run", *(name for name, _ in self._states()))
        parts: dict[str, dict[str, Tensor]] = {name: {} for name in names}
        for name, tensor in tensors.items():
            part, _, key = name.partition(".")
            parts[part][key] = tensor
        self.network.load_state_dict(parts["network"])
        if self.taught is not None:
            self.taught.criterion.load_state_dict(parts["criterion"])
        moments: dict[int, dict[str, Tensor]] = {}
        for name, tensor in parts["optimizer"].items():
            number, _, key = name.partition(".")
            moments.setdefault(int(number), {})[key] = tensor
        self._optimizer.load_state_dict({**self._optimizer.state_dict(), "state": moments})
        self._best_state = parts["best"]
        self.losses = parts["run"]["losses"].tolist()
        self.step, self.stopped = facts["step"], facts["stopped"]
        self._right, self._seen = facts["right"], facts["seen"]
        self.log = [Epoch(**line) for line in facts["log"]]
        self._best = next((one for one in self.log if one.step == facts["best"]), None)

    def _refuse_others(self, kept: Checkpoint, before: dict[str, str]) -> None:
        now = {**self.told, **kept.told}
        differing = sorted(k for k in {*now, *before} if now.get(k) != before.get(k))
        if differing:
            key = differing[0]
            raise InputError(
                "E746",
                f"the run in {kept.path} has other options: {key} is {before.get(key, 'not set')} "
                f"there and {now.get(key, 'not set')} here",
                "go on with the options it began with, or begin anew with --force",
            )


def outside(y: Tensor, classes: int | None = None) -> InputError:
    """The diagnostic for labels that are none of the student's classes."""
    known = "fewer classes" if classes is None else f"{classes} classes"
    return InputError(
        "E736", f"labels run from {int(y.min())} to {int(y.max())}, the student has {known}",
        "labels count from 0 to the number of classes - 1",
    )  # fmt: skip


@torch.no_grad()
def accuracy_of(network: nn.Module, parts: Parts) -> float:
    """The share of examples that a network names right, in eval mode, in which it stays."""
    network.eval()
    device = next((p.device for p in network.parameters()), None)
    right = seen = 0
    for x, y in parts:
        named = logits_of(network(x.to(device)), len(x)).argmax(1)
        right += int((named == y.to(named.device)).sum())
        seen += len(y)
    return right / seen


def with_steps(recipe: Recipe, feed: Feed) -> Recipe:
    """The recipe with as many steps as its epochs have, where it says those."""
    return replace(recipe, steps=feed.steps(recipe.epochs)) if recipe.epochs else recipe

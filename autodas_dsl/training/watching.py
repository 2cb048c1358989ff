"""A network run so that what a distillation loss compares of it is seen."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import ExitStack

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from autodas_dsl.language.errors import InputError
from autodas_dsl.language.inputs import Statistic
from autodas_dsl.statistics.features import (
    FeatureFinder,
    Head,
    Seen,
    as_map,
    embedding,
    stage_before,
)
from autodas_dsl.statistics.forward import logits_of
from autodas_dsl.statistics.network import Network

LABELS = Statistic("Y")
_DEEP = "FEV"


class Watched:
    """Runs a network on a batch and shows the logits and what else is wanted.

    Embedding, feature maps and classifier are found as for the statistics E, F and V.

    Parameters
    ----------
    module : Module
    who : str
        ``"s"`` or ``"t"``, student or teacher.
    wanted : collection of Statistic
        Those of the other network are left out.
    layer : str
        The module whose output is taken for F; empty for the last map before the classifier.
    """

    def __init__(
        self, module: nn.Module, who: str, wanted: Collection[Statistic], layer: str = ""
    ) -> None:
        self.logits = Statistic(f"P_{who}")
        self.module = module
        self._own = [one for one in wanted if one.name.endswith(f"_{who}")]
        self._labels = who == "s" and LABELS in wanted
        deep = any(one.name[0] in _DEEP for one in self._own)
        self._network = Network.of(module) if deep else None
        self._named = {"F": layer} if layer else {}

    def __call__(self, x: Tensor, y: Tensor) -> dict[Statistic, Tensor]:
        """What is seen of inputs ``[B, ...]`` with labels ``[B]``; it carries the graph.

        Raises
        ------
        InputError
            No classifier was found (E733), no feature map before it (E735), fewer stages than are
            asked for (E754), or there is no module of that name (E448).
        """
        if self._network is None:
            logits = logits_of(self.module(x), len(x))
            seen = {self.logits: logits}
        else:
            stages = any(one.stage != -1 for one in self._own)
            finder = FeatureFinder(self._network, len(x), self._named, stages)
            with ExitStack() as stack:
                finder.attach(stack)
                logits = logits_of(self.module(x), len(x))
            seen = {self.logits: logits}
            head = _head(finder, logits)
            seen |= {one: self._value(one, finder, head, logits, y) for one in self._own}
        if self._labels:
            seen[LABELS] = F.one_hot(y, logits.shape[1]).to(logits.dtype)
        return seen

    def _value(
        self, one: Statistic, finder: FeatureFinder, head: Head, logits: Tensor, y: Tensor
    ) -> Tensor:
        letter = one.name[0]
        if letter == "P":
            return logits
        if letter == "F":
            return _map(one, finder, head)
        if letter == "E":
            return embedding(head)
        if not one.prefix:
            weight = head.module.weight
            assert isinstance(weight, Tensor)
            return weight.flatten(1)
        # of the mean cross-entropy with respect to the classifier, in closed form
        error = logits.softmax(1) - F.one_hot(y, logits.shape[1])
        return error.T @ embedding(head) / len(y)


def _head(finder: FeatureFinder, logits: Tensor) -> Head:
    head = finder.classifier(logits.shape[1])
    if head is None:
        raise InputError(
            "E733", f"no Conv or Linear layer with {logits.shape[1]} outputs was called",
            "the loss kd needs logits alone",
        )  # fmt: skip
    return head


def _map(one: Statistic, finder: FeatureFinder, head: Head) -> Tensor:
    found: Seen | None = finder.chosen.get("F", head.before)
    if found is None or found.tensor.dim() < 3:
        raise InputError(
            "E735", "no feature map or token sequence was seen before the classifier",
            "take a loss that compares logits or embeddings",
        )  # fmt: skip
    if one.stage != -1:
        try:
            found, _ = stage_before(finder, found, -1 - one.stage)
        except IndexError as error:
            raise InputError(
                "E754", f"`{one}`: the network has {error.args[0]} stage(s)",
                "count stages from the end: -1 is the last",
            ) from error  # fmt: skip
    with torch.no_grad():
        embedded = embedding(head)
    return as_map(found.tensor, embedded, channels_first=False)[0]

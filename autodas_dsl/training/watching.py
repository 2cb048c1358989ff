"""A network run so that what a distillation loss compares of it is seen."""

from __future__ import annotations

from collections.abc import Callable, Collection
from contextlib import ExitStack
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from autodas_dsl.language.errors import InputError
from autodas_dsl.language.inputs import Statistic
from autodas_dsl.statistics.capture import first_tensor
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

    Embedding, feature maps and classifier are found as for the statistics E, F and V. To look at
    every module takes time: once two passes found them at the same modules, only those are watched.

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
        self._stages = any(one.stage != -1 for one in self._own)
        self._spots: _Spots | None = None
        self._sure = False

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
            logits, head, finder = self._watch(self._network, x)
            seen = {self.logits: logits}
            seen |= {one: self._value(one, finder, head, logits, y) for one in self._own}
        if self._labels:
            seen[LABELS] = F.one_hot(y, logits.shape[1]).to(logits.dtype)
        return seen

    def _watch(
        self, network: Network, x: Tensor
    ) -> tuple[Tensor, Head, FeatureFinder | None]:  # fmt: skip
        with ExitStack() as stack:
            known = self._spots.attach(stack) if self._spots is not None else None
            if known is not None and self._sure:
                logits = logits_of(self.module(x), len(x))
                head = known()
                if head is not None:
                    return logits, head, None
                raise _no_classifier(logits)
            finder = FeatureFinder(network, len(x), self._named, self._stages)
            finder.attach(stack)
            logits = logits_of(self.module(x), len(x))
        head = _head(finder, logits)
        head = replace(head, before=finder.chosen.get("F", head.before))
        if not self._stages:
            self._sure = known is not None and _are_one(known(), head)
            self._spots = _Spots.of(head, network)
        return logits, head, finder

    def _value(
        self, one: Statistic, finder: FeatureFinder | None, head: Head, logits: Tensor, y: Tensor
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


@dataclass(frozen=True, eq=False)
class _Spots:
    """The modules that were found: the classifier, and the one whose output is the map."""

    head: Head
    map: nn.Module | None

    @classmethod
    def of(cls, head: Head, network: Network) -> _Spots:
        modules = {name: module for module, name in network.names.items()}
        before = None if head.before is None else modules.get(head.before.name)
        bare = replace(head, input=torch.empty(0), output=torch.empty(0), before=None)
        return cls(bare, before)

    def attach(self, stack: ExitStack) -> Callable[[], Head | None]:
        """Hook them until the stack closes; what is returned gives what they showed in one call."""
        calls: list[tuple[Tensor | None, Tensor | None]] = []
        maps: list[Tensor | None] = []
        stack.callback(
            self.head.module.register_forward_hook(
                lambda _, args, out: calls.append((first_tensor(args), first_tensor(out)))
            ).remove
        )
        if self.map is not None:
            stack.callback(
                self.map.register_forward_hook(
                    lambda _, __, out: maps.append(first_tensor(out))
                ).remove
            )

        def shown() -> Head | None:
            once = len(calls) == 1 and len(maps) == (self.map is not None)
            if not once or None in calls[0] or None in maps:
                return None
            source, output = calls[0]
            assert source is not None
            assert output is not None
            before = Seen("", maps[0]) if maps and maps[0] is not None else None
            return replace(self.head, input=source, output=output, before=before)

        return shown


def _are_one(found: Head | None, head: Head) -> bool:
    if found is None or found.module is not head.module:
        return False
    maps = [None if one.before is None else one.before.tensor for one in (found, head)]
    return found.input is head.input and maps[0] is maps[1]


def _head(finder: FeatureFinder, logits: Tensor) -> Head:
    head = finder.classifier(logits.shape[1])
    if head is None:
        raise _no_classifier(logits)
    return head


def _no_classifier(logits: Tensor) -> InputError:
    return InputError(
        "E733", f"no Conv or Linear layer with {logits.shape[1]} outputs was called",
        "the loss kd needs logits alone",
    )  # fmt: skip


def _map(one: Statistic, finder: FeatureFinder | None, head: Head) -> Tensor:
    found = head.before
    if found is None or found.tensor.dim() < 3:
        raise InputError(
            "E735", "no feature map or token sequence was seen before the classifier",
            "take a loss that compares logits or embeddings",
        )  # fmt: skip
    if one.stage != -1:
        assert finder is not None, "with stages, every module is watched"
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

"""Running a network so that what a distillation loss compares is seen."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack

from torch import Tensor, nn

from autodas_dsl.language.errors import InputError
from autodas_dsl.statistics.features import FeatureFinder, as_map, embedding
from autodas_dsl.statistics.forward import logits_of
from autodas_dsl.statistics.network import Network
from autodas_dsl.training.losses import Seen


def watched(module: nn.Module, needs: frozenset[str]) -> Callable[[Tensor], Seen]:
    """A function that runs the network on a batch.

    The embedding and the feature map are found as for the statistics E and F.

    Parameters
    ----------
    needs : frozenset of str
        Attributes of `Seen` besides the logits that are wanted.

    Raises
    ------
    InputError
        When called: no classifier was found (E733), or no feature map before it (E735).
    """
    if not needs:
        return lambda x: Seen(logits_of(module(x), len(x)))
    network = Network.of(module)

    def look(x: Tensor) -> Seen:
        finder = FeatureFinder(network, len(x), {})
        with ExitStack() as stack:
            finder.attach(stack)
            logits = logits_of(module(x), len(x))
        head = finder.classifier(logits.shape[1])
        if head is None:
            raise InputError(
                "E733",
                f"no Conv or Linear layer with {logits.shape[1]} outputs was called",
                "the loss kd needs logits alone",
            )
        embedded = embedding(head)
        if "map" not in needs:
            return Seen(logits, embedded)
        if head.before is None:
            raise InputError(
                "E735",
                "no feature map or token sequence was seen before the classifier",
                "take a loss that compares logits or embeddings",
            )
        found, _ = as_map(head.before.tensor, embedded.detach(), channels_first=False)
        return Seen(logits, embedded, found)

    return look

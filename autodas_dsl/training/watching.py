"""What a distillation loss compares: the formula, and networks run so that its inputs are seen."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from contextlib import ExitStack
from dataclasses import replace

from torch import Tensor, nn

from autodas_dsl.compiler.interpret import evaluate
from autodas_dsl.compiler.ir import requirements_of, statistics_of
from autodas_dsl.compiler.pipeline import to_ir
from autodas_dsl.language.errors import InputError
from autodas_dsl.language.inputs import Statistic
from autodas_dsl.language.library import library_proxy
from autodas_dsl.language.operators import OPERATORS
from autodas_dsl.language.proxy import Proxy
from autodas_dsl.language.tree import Call, Expr, transform
from autodas_dsl.scoring.bind import sizes_of
from autodas_dsl.statistics.collect import Collected
from autodas_dsl.statistics.features import FeatureFinder, as_map, embedding
from autodas_dsl.statistics.forward import logits_of
from autodas_dsl.statistics.network import Network

Seen = Mapping[Statistic, Tensor]
"""The logits P, embedding E and last map F that a network made of one batch."""


class Distance:
    """A formula of the library with the sign turned: the nearer the teacher, the lower.

    Parameters
    ----------
    name : str
        A key of `LOSSES`.
    temperature : float
        Of every operator that has one.

    Attributes
    ----------
    statistics : tuple of Statistic
        What it compares.

    Raises
    ------
    InputError
        A temperature that such an operator does not take (E739).
    """

    def __init__(self, name: str, temperature: float) -> None:
        self._root = to_ir(_at_temperature(library_proxy(name), temperature))
        self.statistics = tuple(statistics_of([self._root]))

    def __call__(self, student: Seen, teacher: Seen) -> Tensor:
        """One number that carries the student's graph.

        Raises
        ------
        NotFinite
            The number is none.
        """
        found = evaluate(self._root, Collected({**student, **teacher}))
        assert isinstance(found, Tensor)
        return -found

    def misfit(self, student: Seen, teacher: Seen) -> tuple[str, int, int] | None:
        """What must be equal in both networks and is not: in words, and how many each has."""
        sizes = sizes_of(Collected({**student, **teacher}))
        for requirement in requirements_of(self._root):
            one, other = sizes.of(requirement.left), sizes.of(requirement.right)
            if one is not None and other is not None and one != other:
                logits = str(requirement.left).startswith("K")
                return "classes" if logits else "channels", one, other
        return None


def _at_temperature(proxy: Proxy, temperature: float) -> Proxy:
    def heated(node: Expr) -> Expr:
        if not isinstance(node, Call):
            return node
        taken = OPERATORS[node.op].attribute("T")
        if taken is None:
            return node
        if not taken.low <= temperature <= taken.high:
            raise InputError(
                "E739", f"a temperature of {temperature:g} is out of range",
                f"choose one from {taken.low:g} to {taken.high:g}; 4 is usual",
            )  # fmt: skip
        attrs = tuple((key, temperature if key == "T" else old) for key, old in node.attrs)
        return replace(node, attrs=attrs)

    return replace(proxy, score=replace(proxy.score, expr=transform(proxy.score.expr, heated)))


def watched(module: nn.Module, who: str, wanted: Collection[Statistic]) -> Callable[[Tensor], Seen]:
    """A function that runs the network on a batch and shows the logits and what is wanted.

    The embedding and the feature map are found as for the statistics E and F.

    Parameters
    ----------
    who : str
        ``"s"`` or ``"t"``, student or teacher.

    Raises
    ------
    InputError
        When called: no classifier was found (E733), or no feature map before it (E735).
    """
    p, e, f = (Statistic(f"{letter}_{who}") for letter in "PEF")
    if e not in wanted and f not in wanted:
        return lambda x: {p: logits_of(module(x), len(x))}
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
        if f not in wanted:
            return {p: logits, e: embedded}
        if head.before is None:
            raise InputError(
                "E735",
                "no feature map or token sequence was seen before the classifier",
                "take a loss that compares logits or embeddings",
            )
        found, _ = as_map(head.before.tensor, embedded.detach(), channels_first=False)
        return {p: logits, e: embedded, f: found}

    return look

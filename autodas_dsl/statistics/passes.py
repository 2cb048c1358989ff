"""Passes over a network: one forward, and the derivatives that its statistics need."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property, partial

from torch import Tensor

from autodas_dsl.data.batches import Batch
from autodas_dsl.execution.randomness import seed_for
from autodas_dsl.statistics.blocks import transfers
from autodas_dsl.statistics.by_layer import SEEN_BY, Makers, unit
from autodas_dsl.statistics.capture import Passed, entry_names
from autodas_dsl.statistics.forward import Outcome, forward
from autodas_dsl.statistics.gradients import gradient, loss
from autodas_dsl.statistics.layers import activations
from autodas_dsl.statistics.network import Network, converted
from autodas_dsl.statistics.probes import Setup, prepare
from autodas_dsl.statistics.robust import perturbed
from autodas_dsl.statistics.twice import inputs_only


@dataclass(frozen=True, eq=False)
class Subject:
    """A network and what statistics are collected from it with.

    Attributes
    ----------
    who : str
        ``"s"`` or ``"t"``, student or teacher.
    seed : int
        Of everything drawn at random.
    named : mapping
        As in `FeatureFinder`.
    """

    who: str
    network: Network
    batch: Batch
    seed: int
    named: Mapping[str, str]

    @cached_property
    def x(self) -> Tensor:
        """The inputs, in the precision of the passes."""
        return converted(self.batch.x.to(self.network.device), self.network.dtype)

    @cached_property
    def y(self) -> Tensor:
        return self.batch.y.to(self.network.device)


@dataclass(frozen=True, eq=False)
class Pass:
    """What the forward pass of a probe showed.

    Attributes
    ----------
    derivatives : mapping
        By ``grad W``, ``grad A``, ``grad X``, ``grad H``, ``hess W``, ``T`` and ``J``, what of them
        was asked for.
    layers, taken : dict
        As in `Collected`; collectors fill them in.
    """

    subject: Subject
    setup: Setup
    seed: int
    outcome: Outcome
    derivatives: Mapping[str, tuple[Tensor, ...]]
    layers: dict[str, tuple[str, ...]] = field(default_factory=dict)
    taken: dict[str, str] = field(default_factory=dict)

    @property
    def network(self) -> Network:
        return self.subject.network

    def entries(
        self, key: str, what: str, calls: Mapping[str, tuple[object, Sequence[Tensor]]]
    ) -> tuple[Tensor, ...]:
        """One ``[B, C, R]`` per call, and the names of the calls under a key of `layers`.

        Parameters
        ----------
        what : str
            The hook that saw the tensors.
        calls : mapping
            By name the module or layer, and its tensors. What is left of one that passed stands for
            it.
        """
        samples = len(self.setup.x)
        found = {
            name: [
                tensor if isinstance(tensor, Passed) else entry
                for tensor in tensors
                if (entry := unit(what, self.network, samples, source, tensor.detach())) is not None
            ]
            for name, (source, tensors) in calls.items()
        }
        self.layers[key] = entry_names(list(found), [len(entries) for entries in found.values()])
        return tuple(entry for entries in found.values() for entry in entries)


def objective(setup: Setup, logits: Tensor, y: Tensor) -> Tensor:
    """What a pass is differentiated of."""
    return logits.sum() if setup.objective == "sum" else loss(logits, y)


INTERMEDIATE: dict[str, Callable[[Network, Outcome], list[Tensor]]] = {
    "grad A": lambda network, seen: [t for x in network.layers for t in seen.of_layer(x)],
    "grad H": lambda network, seen: seen.in_order("attention", network.names),
    "grad X": lambda network, seen: seen.in_order(
        "passed inputs", activations(network.module).values()
    ),
}
"""What of a pass is differentiated with respect to, besides weights and input."""


@contextmanager
def observed(
    subject: Subject, probe: str, needs: Collection[str], makers: Mapping[str, Makers]
) -> Iterator[Pass]:
    """Run a network under a probe.

    Parameters
    ----------
    needs : collection of str
        As in `collects`.
    makers : mapping
        As in `forward`.
    """
    network = subject.network
    if probe == "robust":
        setup = perturbed(network, subject.x, subject.y, subject.seed)
    else:
        setup = prepare(probe, network, subject.x, subject.seed)
    seed = seed_for(subject.seed, f"pass {probe}")
    differentiated = {"grad W", "hess W", *INTERMEDIATE} & set(needs)
    with forward(
        network, setup, seed, keep=needs,
        watched={x.parameter for x in network.layers} if differentiated else (),
        input_gradient=bool({"J", "T"} & set(needs)), second_order="hess W" in needs,
        named=subject.named, classes=subject.batch.classes, makers=makers,
    ) as outcome:  # fmt: skip
        derivatives = _differentiated(subject, setup, outcome, needs, makers)
        yield Pass(subject, setup, seed, outcome, derivatives)


def _differentiated(
    subject: Subject,
    setup: Setup,
    outcome: Outcome,
    needs: Collection[str],
    makers: Mapping[str, Makers],
) -> dict[str, tuple[Tensor, ...]]:
    layers = subject.network.layers
    found: dict[str, tuple[Tensor, ...]] = {}
    wanted: dict[str, list[Tensor]] = {}
    if {"grad W", "hess W"} & set(needs):
        wanted["grad W"] = [outcome.parameters[x.parameter] for x in layers]
    for name in sorted(INTERMEDIATE.keys() & set(needs)):
        wanted[name] = INTERMEDIATE[name](subject.network, outcome)
    passed = {name: group for name, group in wanted.items() if SEEN_BY.get(name) in makers}
    targets = {name: group for name, group in wanted.items() if name not in passed}
    second = "hess W" in needs
    if "T" in needs:
        found["T"] = transfers(subject.network, outcome, subject.seed)
    if "J" in needs:
        with inputs_only():
            found["J"] = gradient("J", outcome.logits.sum(), [outcome.x], retain=bool(wanted))
    if wanted:
        gradients = gradient(
            " and ".join(wanted),
            objective(setup, outcome.logits, subject.y),
            [t for group in targets.values() for t in group],
            retain=second,
            second_order=second,
            awaited=_awaited(subject.network, setup, passed, makers),
        )
        for name, group in targets.items():
            found[name], gradients = gradients[: len(group)], gradients[len(group) :]
    if second:  # last: its graph is the largest
        slopes = found["grad W"]
        found = {name: tuple(g.detach() for g in group) for name, group in found.items()}
        product = sum((g * g.detach()).sum() for g in slopes)
        assert isinstance(product, Tensor)
        found["hess W"] = gradient("hess W", product, targets["grad W"])
    return {**found, **{name: tuple(group) for name, group in passed.items()}}


def _awaited(
    network: Network, setup: Setup, passed: Mapping[str, Iterable[Tensor]],
    makers: Mapping[str, Makers],
) -> Iterator[tuple[Tensor, Callable[[Tensor], None]]]:  # fmt: skip
    """The tensors of which something is made with their gradients, and how, as `gradient` takes it."""
    for name, group in passed.items():
        what = SEEN_BY[name]
        returned = partial(makers[what].returned, partial(unit, what, network, len(setup.x)))
        for left in group:
            assert isinstance(left, Passed)
            assert left.followed is not None
            yield left.followed, partial(returned, left)

"""One forward pass under the conditions of a probe, with everything that was asked to be kept."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from autodas_dsl.language.errors import InputError
from autodas_dsl.language.foreign import foreign, one_line
from autodas_dsl.statistics.capture import (
    Calls,
    hook_activations,
    hook_outputs,
    hook_variances,
)
from autodas_dsl.statistics.errors import OutOfMemory, StatisticError, is_out_of_memory
from autodas_dsl.statistics.features import FeatureFinder
from autodas_dsl.statistics.functional import watch_every_activation
from autodas_dsl.statistics.layers import Layer
from autodas_dsl.statistics.network import Network, substituted, undisturbed
from autodas_dsl.statistics.probes import Setup
from autodas_dsl.statistics.twice import QuickTwice


@dataclass(frozen=True)
class Needs:
    """What a pass has to keep and to differentiate.

    Attributes
    ----------
    watched : frozenset of str
        Parameters that gradients are taken of.
    input_gradient : bool
        The gradient with respect to the input is taken.
    named, classes : mapping, int
        As in `FeatureFinder`.
    """

    outputs: bool = False
    inputs: bool = False
    functional: bool = False
    variances: bool = False
    features: bool = False
    stages: bool = False
    watched: frozenset[str] = frozenset()
    input_gradient: bool = False
    second_order: bool = False
    named: Mapping[str, str] = field(default_factory=dict)
    classes: int = 0

    @property
    def gradients(self) -> bool:
        return bool(self.watched) or self.input_gradient


@dataclass(eq=False)
class Outcome:
    """What a forward pass showed; its tensors still carry the graph."""

    x: Tensor
    parameters: Mapping[str, Tensor]
    outputs: Calls
    direct: Calls
    inputs: Calls
    functional: Calls
    variances: Calls
    finder: FeatureFinder
    logits: Tensor = field(init=False)

    def of_layer(self, layer: Layer) -> list[Tensor]:
        """The outputs of a layer at its calls, or where its weight was used without a call."""
        called = [t for module in layer.modules for t in self.outputs.of(module)]
        return called or self.direct.of(layer.module)

    def overwritten(self) -> bool:
        return any(
            c.overwritten() for c in (self.outputs, self.direct, self.inputs, self.functional)
        )


@contextmanager
def forward(network: Network, setup: Setup, needs: Needs, seed: int) -> Iterator[Outcome]:
    """Run the network; the graph may be differentiated inside the context.

    A network that writes into the outputs of its own layers is run a second time, on copies.

    Raises
    ------
    StatisticError
        When the network fails on the input (E440), runs out of memory (E445) or does not return
        logits (E441).
    """
    for keep_copies in (False, True):
        with _attempt(network, setup, needs, seed, keep_copies) as outcome:
            if keep_copies or not outcome.overwritten():
                yield outcome
                return


@contextmanager
def _attempt(
    network: Network, setup: Setup, needs: Needs, seed: int, keep_copies: bool
) -> Iterator[Outcome]:
    conditions = setup.conditions(gradients=needs.gradients, second_order=needs.second_order)
    samples = len(setup.x)
    with undisturbed(network, conditions, seed) as stack:
        outcome = Outcome(
            x=setup.x.clone().requires_grad_(needs.input_gradient),
            parameters=_watched(setup.parameters, needs.watched),
            outputs=Calls(keep_copies),
            direct=Calls(keep_copies),
            inputs=Calls(keep_copies),
            functional=Calls(keep_copies),
            variances=Calls(),
            finder=FeatureFinder(network, samples, needs.named, needs.stages, needs.classes),
        )
        _attach(network, needs, outcome, stack)
        if needs.second_order:
            stack.enter_context(QuickTwice())
        buffers = {name: buffer.clone() for name, buffer in setup.buffers.items()}
        x = outcome.x.view_as(outcome.x) if not needs.input_gradient else outcome.x.clone()
        stack.enter_context(substituted(network, {**outcome.parameters, **buffers}))
        with foreign(lambda error: failure(error, setup.x)):
            output = network.module(x)
        outcome.logits = logits_of(output, samples)
        yield outcome


def _watched(parameters: Mapping[str, Tensor], names: Collection[str]) -> dict[str, Tensor]:
    return {
        name: p.detach().requires_grad_() if name in names else p for name, p in parameters.items()
    }


def _attach(network: Network, needs: Needs, outcome: Outcome, stack: ExitStack) -> None:
    if needs.outputs:
        hook_outputs(network, outcome.outputs, outcome.direct, stack)
    if needs.inputs:
        hook_activations(network, outcome.inputs, stack)
    if needs.functional:
        watch_every_activation(network, outcome.functional, stack)
    if needs.variances:
        hook_variances(network, outcome.variances, stack)
    if needs.features:
        outcome.finder.attach(stack)


def failure(error: BaseException, x: Tensor) -> InputError:
    """The diagnostic for an exception out of a pass over `x`."""
    if is_out_of_memory(error):
        return OutOfMemory(f"batch of {len(x)}: {one_line(error)}")
    return StatisticError(
        "E440",
        f"the network fails on an input of shape {list(x.shape)}, {x.dtype}: {one_line(error)}",
        "check that data and network fit: channels, image size, precision, at least 2 samples",
    )


def logits_of(output: Any, samples: int) -> Tensor:
    """The logits ``[B, K]`` in what a network returned.

    A tensor, the ``logits`` of a dict or dataclass, or the first member of a tuple.

    Raises
    ------
    StatisticError
        E441, when there is no such tensor.
    """
    found = output
    if isinstance(output, Mapping):
        found = output.get("logits", next(iter(output.values())) if len(output) == 1 else None)
    elif not isinstance(output, Tensor) and hasattr(output, "logits"):
        found = output.logits
    elif isinstance(output, (tuple, list)) and output:
        found = output[0]
    if (
        isinstance(found, Tensor)
        and found.is_floating_point()
        and found.dim() == 2
        and len(found) == samples
    ):
        return found
    raise StatisticError(
        "E441",
        f"the network must return logits of shape [{samples}, classes], not {_shown(output)}",
        "return the logits, or a dict or dataclass that holds them as `logits`",
    )


def _shown(output: Any) -> str:
    if isinstance(output, Tensor):
        return f"a {output.dtype} tensor of shape {list(output.shape)}"
    if isinstance(output, Mapping):
        return "a dict of " + (", ".join(map(str, output)) or "nothing")
    if isinstance(output, (tuple, list)) and output:
        return f"a {type(output).__name__} that starts with {_shown(output[0])}"
    return type(output).__name__

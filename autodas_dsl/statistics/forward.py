"""One forward pass under the conditions of a probe, with everything that was asked to be kept."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from types import MappingProxyType
from typing import Any

from torch import Tensor, nn

from autodas_dsl.language.errors import InputError
from autodas_dsl.language.foreign import foreign, is_out_of_memory, one_line
from autodas_dsl.statistics.attention import hook_attention
from autodas_dsl.statistics.by_layer import Makers, unit
from autodas_dsl.statistics.capture import (
    Calls,
    Passed,
    hook_activations,
    hook_called_inputs,
    hook_called_outputs,
    hook_every_activation,
    hook_outputs,
    hook_passed_inputs,
    hook_variances,
)
from autodas_dsl.statistics.errors import OutOfMemory, StatisticError
from autodas_dsl.statistics.features import FeatureFinder
from autodas_dsl.statistics.layers import Layer, affine_layers, blocks, every_module
from autodas_dsl.statistics.network import Network, substituted, undisturbed
from autodas_dsl.statistics.probes import Setup
from autodas_dsl.statistics.twice import quick_twice

HOOKS: dict[str, Callable[[Network, Calls, ExitStack], None]] = {
    "outputs": hook_outputs,
    "inputs": hook_activations,
    "passed inputs": hook_passed_inputs,
    "functional": hook_every_activation,
    "attention": hook_attention,
    "variances": hook_variances,
    "block inputs": partial(hook_called_inputs, blocks),
    "block outputs": partial(hook_called_outputs, blocks),
    "affine inputs": partial(hook_called_inputs, affine_layers),
    "affine outputs": partial(hook_called_outputs, affine_layers),
    "module outputs": partial(hook_called_outputs, every_module),
}
"""What a pass can keep of the calls of modules."""


@dataclass(eq=False)
class Outcome:
    """What a forward pass showed; its tensors still carry the graph."""

    x: Tensor
    parameters: Mapping[str, Tensor]
    calls: Mapping[str, Calls]
    finder: FeatureFinder
    logits: Tensor = field(init=False)

    def in_order(self, kept: str, modules: Iterable[nn.Module]) -> list[Tensor]:
        """What was kept of the calls of modules, one module after the other."""
        return [t for module in modules for t in self.calls[kept].of(module)]

    def of_layer(self, layer: Layer) -> list[Tensor]:
        """The outputs of a layer at its calls, or where its weight was used without a call."""
        outputs = self.calls["outputs"]
        called = [t for module in layer.modules for t in outputs.of(module)]
        return called or outputs.of(layer)


@contextmanager
def forward(
    network: Network,
    setup: Setup,
    seed: int,
    *,
    keep: Collection[str] = (),
    watched: Collection[str] = (),
    input_gradient: bool = False,
    second_order: bool = False,
    named: Mapping[str, str] | None = None,
    classes: int = 0,
    makers: Mapping[str, Makers] = MappingProxyType({}),
) -> Iterator[Outcome]:
    """Run the network; the graph may be differentiated inside the context.

    A network that writes into the outputs of its own layers is run a second time, on copies.

    Parameters
    ----------
    keep : collection of str
        Keys of `HOOKS`, ``features`` to look for feature maps and classifier, ``stages`` for
        earlier maps too.
    watched : collection of str
        Parameters that gradients are taken of.
    input_gradient, second_order : bool
        The gradient with respect to the input is taken; gradients are differentiated.
    named, classes : mapping, int
        As in `FeatureFinder`.
    makers : mapping of str to Makers
        By hook what is made of the tensors that it sees, in place of keeping them.

    Raises
    ------
    StatisticError
        When the network fails on the input (E440), runs out of memory (E445) or does not return
        logits (E441).
    """
    samples = len(setup.x)

    def passed(what: str) -> Callable[[object, Tensor], Passed] | None:
        if what not in makers:
            return None
        return partial(makers[what].passed, partial(unit, what, network, samples))

    @contextmanager
    def attempt(keep_copies: bool) -> Iterator[Outcome]:
        gradients = bool(watched) or input_gradient
        with undisturbed(
            network, seed, setup.dtype, setup.norms, gradients=gradients, second_order=second_order
        ) as stack:
            outcome = Outcome(
                setup.x.clone().requires_grad_(input_gradient),
                _watched(setup.parameters, watched),
                {what: Calls(keep_copies, passed(what)) for what in HOOKS},
                FeatureFinder(network, samples, named or {}, "stages" in keep, classes),
            )
            for what, hook in HOOKS.items():
                if what in keep:
                    hook(network, outcome.calls[what], stack)
            if "features" in keep:
                outcome.finder.attach(stack)
            if second_order:
                stack.enter_context(quick_twice())
            buffers = {name: buffer.clone() for name, buffer in setup.buffers.items()}
            x = outcome.x.clone() if input_gradient else outcome.x.view_as(outcome.x)
            stack.enter_context(substituted(network, {**outcome.parameters, **buffers}))
            with foreign(lambda error: failure(error, setup.x)):
                output = network.module(x)
            outcome.logits = logits_of(output, samples)
            yield outcome

    for keep_copies in (False, True):
        with attempt(keep_copies) as outcome:
            if keep_copies or not any(c.overwritten() for c in outcome.calls.values()):
                for calls in outcome.calls.values():
                    calls.versions.clear()  # it holds what is to be let go
                yield outcome
                return


def _watched(parameters: Mapping[str, Tensor], names: Collection[str]) -> dict[str, Tensor]:
    return {
        name: p.detach().requires_grad_() if name in names else p for name, p in parameters.items()
    }


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

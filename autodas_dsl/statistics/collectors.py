"""How each statistic is collected: one function for each entry of `language.inputs`.

A new statistic is an entry there and a function here, which says what it needs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from autodas_dsl.execution.randomness import seed_for
from autodas_dsl.language.inputs import INPUTS, NTK_SAMPLES, Statistic, kind_of
from autodas_dsl.statistics.blocks import block_calls
from autodas_dsl.statistics.by_layer import Entries, maker_of, value_of
from autodas_dsl.statistics.capture import Passed, entry_names
from autodas_dsl.statistics.counts import multiply_adds, user_statistic
from autodas_dsl.statistics.curvature import curvature
from autodas_dsl.statistics.errors import StatisticError
from autodas_dsl.statistics.features import Head, Seen, as_map, embedding, stage_before
from autodas_dsl.statistics.fisher import fisher_information
from autodas_dsl.statistics.forward import forward
from autodas_dsl.statistics.gradients import gradient, loss
from autodas_dsl.statistics.layers import (
    Layer,
    activations,
    attention,
    batch_norms,
    blocks_before,
    is_activation,
)
from autodas_dsl.statistics.passes import Pass, Subject, objective
from autodas_dsl.statistics.probes import one_hot, prepare
from autodas_dsl.statistics.registry import COLLECTORS, Collector, Value, collects


def collector_of(statistic: Statistic) -> Collector:
    """How a statistic, or a user's own, is collected."""
    base, entry = statistic.base, INPUTS[statistic.base]
    if statistic.through:
        return _through(statistic)
    if entry.collect is not None:
        return COLLECTORS["user"]
    attribute = "all" if statistic.every else entry.parts if statistic.parts else statistic.probe
    found = COLLECTORS.get(f"{base}[{attribute}]", COLLECTORS[base])
    if statistic.stage == -1:
        return found
    return Collector(found.collect, found.needs | {"stages"})


def _through(statistic: Statistic) -> Collector:
    """What is made of a statistic, layer by layer; or was already, as its tensors passed."""
    whole, maker = collector_of(statistic.whole), maker_of(statistic)

    def made(entry: Tensor) -> Tensor | Entries:
        if isinstance(entry, Passed):
            return entry.made[statistic]
        return {statistic.whole: entry, value_of(statistic): entry}  # both 0, of an uncalled layer

    def collect(of: Pass, statistic: Statistic) -> Value:
        found = whole.collect(of, statistic.whole)
        if isinstance(found, Tensor):
            return maker([{statistic.whole: found}])[0]
        each = list(map(made, found))
        waiting = [one for one in each if not isinstance(one, Tensor)]
        later = iter(maker(waiting) if waiting else ())
        values = tuple(one if isinstance(one, Tensor) else next(later) for one in each)
        return values if kind_of(statistic).axes else torch.stack(values)

    return Collector(collect, whole.needs)


# --- counted ------------------------------------------------------------------------------------


def _numbers(*values: float) -> Tensor:
    """Exact up to 2^53, whatever the precision of the passes."""
    return torch.tensor(values, dtype=torch.float64)


@collects("fan_in")
def _fan_in(of: Subject, statistic: Statistic) -> Value:
    """Input channels of the layer's group times kernel size."""
    return _numbers(*(rows.shape[1] for rows in of.network.weights()))


@collects("fan_out")
def _fan_out(of: Subject, statistic: Statistic) -> Value:
    return _numbers(*(layer.outputs for layer in of.network.layers))


@collects("index")
def _index(of: Subject, statistic: Statistic) -> Value:
    return _numbers(*range(1, len(of.network.layers) + 1))


@collects("attn")
def _attention(of: Subject, statistic: Statistic) -> Value:
    return _numbers(*attention(of.network.module, of.network.layers))


@collects("params")
def _params(of: Subject, statistic: Statistic) -> Value:
    return _numbers(sum(p.numel() for p in of.network.parameters.values()))[0]


@collects("flops")
def _flops(of: Subject, statistic: Statistic) -> Value:
    return _numbers(multiply_adds(of.network, of.x))[0]


@collects("layers")
def _layers(of: Subject, statistic: Statistic) -> Value:
    return _numbers(len(of.network.layers))[0]


@collects("tensors")
def _tensors(of: Subject, statistic: Statistic) -> Value:
    return _numbers(len(of.network.parameters))[0]


@collects("Y")
def _labels(of: Subject, statistic: Statistic) -> Value:
    return one_hot(of.y, of.batch.classes, of.network.dtype)


# --- without the shared pass --------------------------------------------------------------------


@collects("user", needs="weights")
def _user(of: Subject, statistic: Statistic) -> Value:
    return user_statistic(statistic, of.network, of.batch)


@collects("W", needs="weights")
def _weights(of: Subject, statistic: Statistic) -> Value:
    return of.network.weights()


@collects("W[robust]", needs="parameters")
def _perturbed_weights(seen: Pass, statistic: Statistic) -> Value:
    return tuple(x.rows(seen.setup.parameters[x.parameter]) for x in seen.network.layers)


@collects("grad W[split]", needs="weights")
def _split_gradients(of: Subject, statistic: Statistic) -> Value:
    """``[G, C, R]`` per layer: a gradient for each of n consecutive parts of the batch.

    Raises
    ------
    StatisticError
        E452, when the batch has fewer samples than parts.
    """
    network, parts = of.network, statistic.parts
    _check_samples(statistic, parts, len(of.x))
    watched = [layer.parameter for layer in network.layers]
    stacks: list[list[Tensor]] = [[] for _ in network.layers]
    split = zip(of.x.tensor_split(parts), of.y.tensor_split(parts), strict=True)
    for part, (x, y) in enumerate(split):
        setup = prepare("", network, x, of.seed)
        seed = seed_for(of.seed, f"split {part} of {parts}")
        with forward(network, setup, seed, watched=watched) as outcome:
            targets = [outcome.parameters[name] for name in watched]
            found = gradient(str(statistic), loss(outcome.logits, y), targets)
        for stack, layer, g in zip(stacks, network.layers, found, strict=True):
            stack.append(layer.rows(g))
    return tuple(torch.stack(stack) for stack in stacks)


@collects("curvature", needs="weights")
def _curvature(of: Subject, statistic: Statistic) -> Value:
    return curvature(of, str(statistic))


@collects("NTK", needs="weights")
def _tangent_kernel(of: Subject, statistic: Statistic) -> Value:
    """``[n, n]``, symmetric: inner products of the gradients of each sample's summed logits.

    Over every parameter with ``weight`` in its name; the first n samples of the batch go through
    the network together, so BatchNorm couples them as it does in training.

    Raises
    ------
    StatisticError
        E452, when the batch has fewer samples.
    """
    network, size = of.network, statistic.parts or NTK_SAMPLES
    named = Statistic("NTK", parts=size)
    _check_samples(named, size, len(of.x))
    watched = sorted(name for name in network.parameters if "weight" in name)
    setup = prepare("", network, of.x[:size], of.seed)
    with forward(network, setup, seed_for(of.seed, "kernel"), watched=watched) as outcome:
        targets = [outcome.parameters[name] for name in watched]
        sums = outcome.logits.sum(1)
        rows = []
        for sample in range(size):
            found = gradient(str(named), sums[sample], targets, retain=sample < size - 1)
            rows.append([g.flatten() for g in found])
    kernel = torch.zeros(size, size, dtype=sums.dtype, device=sums.device)
    for gradients in zip(*rows, strict=True):
        stacked = torch.stack(gradients)
        kernel += stacked @ stacked.T
    return kernel


@collects("FIM", needs="weights")
def _fisher(of: Subject, statistic: Statistic) -> Value:
    return fisher_information(of, statistic)


def _check_samples(statistic: Statistic, needed: int, available: int) -> None:
    if needed > available:
        raise StatisticError(
            "E452",
            f"needs at least {needed} samples, the batch has {available}",
            "use a larger --batch-size",
            str(statistic),
        )


# --- layers in the shared pass ------------------------------------------------------------------


@collects("grad W", needs="grad W")
@collects("hess W", needs="hess W")
def _of_weights(seen: Pass, statistic: Statistic) -> Value:
    pairs = zip(seen.network.layers, seen.derivatives[statistic.base], strict=True)
    return tuple(layer.rows(g).detach() for layer, g in pairs)


@collects("A", needs="outputs")
@collects("grad A", needs="outputs, grad A")
def _of_outputs(seen: Pass, statistic: Statistic) -> Value:
    gradients = iter(seen.derivatives["grad A"] if statistic.prefix else ())
    calls: dict[str, tuple[object, list[Tensor]]] = {}
    for layer in seen.network.layers:
        found = seen.outcome.of_layer(layer)
        if statistic.prefix:
            found = [next(gradients) for _ in found]
        if not found:
            found = [seen.setup.x.new_zeros(len(seen.setup.x), layer.outputs, 1)]
        calls[layer.name] = layer, found
    return seen.entries("A", "outputs", calls)


@collects("X", needs="inputs")
def _inputs(seen: Pass, statistic: Statistic) -> Value:
    modules = activations(seen.network.module)
    kept = seen.outcome.calls["inputs"]
    calls = {name: (module, kept.of(module)) for name, module in modules.items()}
    return _activations(seen, "act", calls, statistic)


@collects("grad X", needs="passed inputs, grad X")
def _input_gradients(seen: Pass, statistic: Statistic) -> Value:
    gradients = iter(seen.derivatives["grad X"])
    kept = seen.outcome.calls["passed inputs"]
    modules = activations(seen.network.module)
    calls = {name: (m, [next(gradients) for _ in kept.of(m)]) for name, m in modules.items()}
    return _activations(seen, "act", calls, statistic)


@collects("block", needs="inputs")
def _blocks_before(seen: Pass, statistic: Statistic) -> Value:
    kept = seen.outcome.calls["inputs"]
    before = blocks_before(seen.network.module)
    _inputs(seen, statistic)  # which also names the calls
    return _numbers(*(n for module, n in before.items() for _ in kept.of(module)))


@collects("X[all]", needs="functional")
def _every_input(seen: Pass, statistic: Statistic) -> Value:
    calls: dict[str, tuple[object, list[Tensor]]] = {}
    for module, name in seen.network.names.items():
        shown = name if is_activation(module) else f"{name or 'network'} (function)"
        calls[shown] = module, seen.outcome.calls["functional"].of(module)
    return _activations(seen, "act[all]", calls, statistic)


def _activations(
    seen: Pass, key: str, calls: Mapping[str, tuple[object, Sequence[Tensor]]], statistic: Statistic
) -> tuple[Tensor, ...]:
    if not any(tensors for _, tensors in calls.values()):
        raise StatisticError(
            "E443",
            f"the network calls no activation {'' if statistic.every else 'module'}".rstrip(),
            "" if statistic.every else "X[all] takes functional activations too",
            str(statistic),
        )
    return seen.entries(key, "inputs", calls)


@collects("H", needs="attention")
@collects("grad H", needs="attention, grad H")
def _attention_maps(seen: Pass, statistic: Statistic) -> Value:
    """``[B, heads, queries keys]`` per map; maps of windows count as heads.

    Raises
    ------
    StatisticError
        E443, when there is none.
    """
    gradients = iter(seen.derivatives["grad H"] if statistic.prefix else ())
    calls: dict[str, tuple[object, list[Tensor]]] = {}
    for module, name in seen.network.names.items():
        found = seen.outcome.calls["attention"].of(module)
        tensors = [next(gradients) for _ in found] if statistic.prefix else found
        calls[name or "network"] = module, tensors
    maps = seen.entries("att", "attention", calls)
    if not maps:
        raise StatisticError(
            "E443",
            "the network makes no attention map",
            "it is a softmax over the last axis of [B, heads, queries, keys]",
            str(statistic),
        )
    return maps


@collects("Z", needs="module outputs")
def _module_outputs(seen: Pass, statistic: Statistic) -> Value:
    """``[B, C, R]`` per call of a module that returns a floating tensor for each sample."""
    kept = seen.outcome.calls["module outputs"]
    names = seen.network.names
    calls = {name or "network": (module, kept.of(module)) for module, name in names.items()}
    return seen.entries("mod", "module outputs", calls)


@collects("S", needs="variances")
def _variances(seen: Pass, statistic: Statistic) -> Value:
    kept = seen.outcome.calls["variances"]
    modules = batch_norms(seen.network.module)
    calls = {name: kept.of(module) for name, module in modules.items()}
    found = [v for entries in calls.values() for v in entries]
    if not found:
        raise StatisticError(
            "E443",
            "the network has no BatchNorm layer",
            "it exists for BatchNorm only",
            str(statistic),
        )
    seen.layers["bn"] = entry_names(list(calls), [len(entries) for entries in calls.values()])
    return torch.stack(found)


@collects("I", "O", needs="block inputs, block outputs")
def _blocks(seen: Pass, statistic: Statistic) -> Value:
    found = block_calls(seen.network, seen.outcome, str(statistic))
    seen.layers["block"] = tuple(name for name, _, _ in found)
    tensors = [source if statistic.name == "I" else result for _, source, result in found]
    first = seen.network.channels_first
    return tuple(as_map(t.detach(), None, first)[0].flatten(2) for t in tensors)


@collects("T", needs="block inputs, block outputs, T")
def _transfers(seen: Pass, statistic: Statistic) -> Value:
    seen.layers["block"] = tuple(
        name for name, _, _ in block_calls(seen.network, seen.outcome, str(statistic))
    )
    return seen.derivatives["T"]


@collects("J", needs="J")
def _jacobian(seen: Pass, statistic: Statistic) -> Value:
    return seen.derivatives["J"][0].detach().flatten(1)


# --- what student and teacher share -------------------------------------------------------------


@collects("P_s", "P_t", needs="logits")
def _logits(seen: Pass, statistic: Statistic) -> Value:
    return seen.outcome.logits.detach()


@collects("E_s", "E_t", needs="features")
def _embedding(seen: Pass, statistic: Statistic) -> Value:
    return embedding(_head(seen, statistic)).detach()


@collects("V_s", "V_t", needs="features")
def _classifier(seen: Pass, statistic: Statistic) -> Value:
    layer = _layer_of(seen, _head(seen, statistic), statistic)
    return layer.rows(seen.network.parameters[layer.parameter])


@collects("grad V_s", "grad V_t", needs="features")
def _classifier_gradient(seen: Pass, statistic: Statistic) -> Value:
    head = _head(seen, statistic)
    layer = _layer_of(seen, head, statistic)
    logits = seen.outcome.logits
    if head.input.dim() == 2 and torch.equal(head.output, logits):  # the closed form
        logits, embedded = logits.detach(), head.input.detach()
        error = logits.softmax(1) - one_hot(seen.subject.y, logits.shape[1], logits.dtype)
        return error.T @ embedded / len(embedded)
    # Only the classifier is watched, so the graph starts there: a forward, hardly a backward.
    with forward(seen.network, seen.setup, seen.seed, watched={layer.parameter}) as outcome:
        target = outcome.parameters[layer.parameter]
        of = objective(seen.setup, outcome.logits, seen.subject.y)
        return layer.rows(gradient(str(statistic), of, [target])[0])


def _head(seen: Pass, statistic: Statistic) -> Head:
    classes = seen.outcome.logits.shape[1]
    head = seen.outcome.finder.classifier(classes)
    if head is None:
        raise StatisticError(
            "E446",
            f"no Conv or Linear layer with {classes} outputs was called",
            'name the classifier: features={"E": "name.of.module"}',
            str(statistic),
        )
    seen.taken[f"E_{seen.subject.who}"] = f"input of {head.name}"
    return head


def _layer_of(seen: Pass, head: Head, statistic: Statistic) -> Layer:
    layer = next((x for x in seen.network.layers if head.module in x.modules), None)
    if layer is None:
        raise StatisticError(
            "E446",
            f"module {head.name!r} is no Conv or Linear layer and has no weight to take",
            'name the classifier layer: features={"E": "name.of.module"}',
            str(statistic),
        )
    return layer


@collects("F_s", "F_t", needs="features")
def _map(seen: Pass, statistic: Statistic) -> Value:
    finder = seen.outcome.finder
    head = finder.classifier(seen.outcome.logits.shape[1])
    key = "F" if statistic.stage == -1 else f"F[{statistic.stage}]"
    final = finder.chosen.get("F") or (head.before if head is not None else finder.last)
    if final is None:
        raise StatisticError(
            "E447",
            "no feature map or token sequence was seen before the classifier",
            'name a module that returns one: features={"F": "name.of.module"}',
            str(statistic),
        )
    taken = finder.chosen.get(key, final)
    if statistic.stage != -1 and key not in finder.chosen:
        taken = _stage(seen, statistic, final)
    if not finder.has_positions(taken.tensor) and taken.tensor.dim() < 3:
        raise StatisticError(
            "E447",
            f"module {taken.name!r} returns {list(taken.tensor.shape)}, which is no map",
            "name a module that returns [B, C, H, W] or [B, T, D]",
            str(statistic),
        )
    embedded = embedding(head).detach() if head is not None else None
    found, dropped = as_map(taken.tensor, embedded, seen.network.channels_first)
    tokens = f" without its first {dropped} token(s)" if dropped else ""
    seen.taken[f"F_{seen.subject.who}{key[1:]}"] = f"output of {taken.name}{tokens}"
    return found.detach()


def _stage(seen: Pass, statistic: Statistic, final: Seen) -> Seen:
    try:
        return stage_before(seen.outcome.finder, final, -1 - statistic.stage)[0]
    except IndexError as error:
        raise StatisticError(
            "E453",
            f"the network has {error.args[0]} stage(s)",
            "count stages from the end: -1 is the last",
            str(statistic),
        ) from error

"""Passes over a network: one forward, and the derivatives that its statistics need."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from autodas_dsl.language.inputs import Statistic
from autodas_dsl.statistics.capture import detached, entry_names, units
from autodas_dsl.statistics.errors import StatisticError
from autodas_dsl.statistics.features import (
    FeatureFinder,
    Head,
    Seen,
    as_map,
    embedding,
    stage_before,
)
from autodas_dsl.statistics.forward import Needs, Outcome, forward
from autodas_dsl.statistics.gradients import gradient, loss
from autodas_dsl.statistics.layers import Layer, activations, batch_norms, is_activation
from autodas_dsl.statistics.network import Network
from autodas_dsl.statistics.probes import Setup, one_hot
from autodas_dsl.statistics.twice import inputs_only

Value = Tensor | tuple[Tensor, ...]


class Pass:
    """All statistics of one probe, out of one forward pass.

    Parameters
    ----------
    who : str
        ``"s"`` or ``"t"``, student or teacher.
    y : Tensor
        Labels ``[B]``.
    named, classes : mapping, int
        As in `FeatureFinder`.
    """

    def __init__(
        self,
        who: str,
        network: Network,
        setup: Setup,
        y: Tensor,
        statistics: Sequence[Statistic],
        named: Mapping[str, str],
        classes: int,
        seed: int,
    ) -> None:
        self.classes = classes
        self.seed = seed
        self.who = who
        self.network = network
        self.setup = setup
        self.y = y
        self.statistics = statistics
        self.named = named
        self.layers: dict[str, tuple[str, ...]] = {}
        self.taken: dict[str, str] = {}
        self.bases = {s.base for s in statistics}
        kinds = {type(m) for m in network.names}
        self.channels_first = nn.Conv1d in kinds and nn.LayerNorm not in kinds

    def needs(self) -> Needs:
        gradients = {"grad W", "grad A", "hess W"} & self.bases
        learned = {"F", "E", "V", "grad V"} & {b.removesuffix(f"_{self.who}") for b in self.bases}
        return Needs(
            outputs=bool({"A", "grad A"} & self.bases),
            inputs=any(s.name == "X" and not s.every for s in self.statistics),
            functional=any(s.every for s in self.statistics),
            variances="S" in self.bases,
            features=bool(learned),
            stages=any(s.stage != -1 for s in self.statistics),
            watched=frozenset(x.parameter for x in self.network.layers)
            if gradients
            else frozenset(),
            input_gradient="J" in self.bases,
            second_order="hess W" in self.bases,
            named=self.named,
            classes=self.classes,
        )

    def run(self) -> dict[Statistic, Value]:
        with forward(self.network, self.setup, self.needs(), self.seed) as outcome:
            gradients = self._differentiate(outcome)
            return {s: self._value(s, outcome, gradients) for s in self.statistics}

    # -- derivatives -------------------------------------------------------------------------

    def _objective(self, logits: Tensor) -> Tensor:
        if self.setup.objective == "sum":
            return logits.sum()
        return loss(logits, self.y)

    def _differentiate(self, outcome: Outcome) -> dict[str, tuple[Tensor, ...]]:
        found: dict[str, tuple[Tensor, ...]] = {}
        targets: dict[str, list[Tensor]] = {}
        if {"grad W", "hess W"} & self.bases:
            targets["grad W"] = [outcome.parameters[x.parameter] for x in self.network.layers]
        if "grad A" in self.bases:
            targets["grad A"] = [t for x in self.network.layers for t in outcome.of_layer(x)]
        second = "hess W" in self.bases
        if targets:
            flat = [t for group in targets.values() for t in group]
            objective = self._objective(outcome.logits)
            again = second or "J" in self.bases
            name = " and ".join(targets)
            gradients = gradient(name, objective, flat, retain=again, second_order=second)
            for name, group in targets.items():
                found[name], gradients = gradients[: len(group)], gradients[len(group) :]
        if second:
            product = sum((g * g.detach()).sum() for g in found["grad W"])
            assert isinstance(product, Tensor)
            again = "J" in self.bases
            found["hess W"] = gradient("hess W", product, targets["grad W"], retain=again)
        if "J" in self.bases:
            with inputs_only():
                found["J"] = gradient("J", outcome.logits.sum(), [outcome.x])
        return found

    # -- values ------------------------------------------------------------------------------

    def _value(
        self, statistic: Statistic, outcome: Outcome, gradients: dict[str, tuple[Tensor, ...]]
    ) -> Value:
        base = statistic.base
        if base in ("grad W", "hess W"):
            pairs = zip(self.network.layers, gradients[base], strict=True)
            return detached([layer.rows(g) for layer, g in pairs])
        if base in ("A", "grad A"):
            return self._outputs(outcome, gradients.get("grad A"), base)
        if base == "X":
            return self._functional(outcome) if statistic.every else self._inputs(outcome)
        if base == "S":
            return self._variances(statistic, outcome)
        if base == "J":
            return gradients["J"][0].detach().flatten(1)
        if base.startswith("P_"):
            return outcome.logits.detach()
        return self._feature(statistic, outcome).detach()

    def _outputs(
        self, outcome: Outcome, gradients: tuple[Tensor, ...] | None, base: str
    ) -> tuple[Tensor, ...]:
        samples = len(self.setup.x)
        source = iter(gradients or ())
        counted: list[int] = []
        entries: list[Tensor] = []
        for layer in self.network.layers:
            seen = outcome.of_layer(layer)
            taken = [next(source) for _ in seen] if base == "grad A" else seen
            first = not isinstance(layer.module, nn.Linear)
            shaped = [units(t.detach(), samples, first) for t in taken]
            if not shaped:
                shaped = [self.setup.x.new_zeros(samples, layer.outputs, 1)]
            counted.append(len(shaped))
            entries += shaped
        self.layers["A"] = entry_names([x.name for x in self.network.layers], counted)
        return tuple(entries)

    def _inputs(self, outcome: Outcome) -> tuple[Tensor, ...]:
        modules = activations(self.network.module)
        calls = {name: outcome.inputs.of(module) for name, module in modules.items()}
        return self._activation_entries("act", calls, "X")

    def _functional(self, outcome: Outcome) -> tuple[Tensor, ...]:
        calls = {}
        for module, name in self.network.names.items():
            shown = name if is_activation(module) else f"{name or 'network'} (function)"
            calls[shown] = outcome.functional.of(module)
        return self._activation_entries("act[all]", calls, "X[all]")

    def _activation_entries(
        self, key: str, calls: Mapping[str, Sequence[Tensor]], statistic: str
    ) -> tuple[Tensor, ...]:
        found = [t for seen in calls.values() for t in seen]
        if not found:
            everywhere = statistic == "X[all]"
            raise StatisticError(
                "E443",
                f"the network calls no activation {'' if everywhere else 'module'}".rstrip(),
                "" if everywhere else "X[all] takes functional activations too",
                statistic,
            )
        self.layers[key] = entry_names(list(calls), [len(seen) for seen in calls.values()])
        samples = len(self.setup.x)
        return tuple(units(t.detach(), samples, t.dim() != 3 or self.channels_first) for t in found)

    def _variances(self, statistic: Statistic, outcome: Outcome) -> Tensor:
        modules = batch_norms(self.network.module)
        calls = {name: outcome.variances.of(module) for name, module in modules.items()}
        found = [v for seen in calls.values() for v in seen]
        if not found:
            raise StatisticError(
                "E443",
                "the network has no BatchNorm layer",
                "it exists for BatchNorm only",
                str(statistic),
            )
        self.layers["bn"] = entry_names(list(calls), [len(seen) for seen in calls.values()])
        return torch.stack(found)

    def _feature(self, statistic: Statistic, outcome: Outcome) -> Tensor:
        head = outcome.finder.classifier(outcome.logits.shape[1])
        letter = statistic.name.partition("_")[0]
        if letter == "F":
            return self._map(statistic, outcome.finder, head)
        if head is None:
            raise StatisticError(
                "E446",
                f"no Conv or Linear layer with {outcome.logits.shape[1]} outputs was called",
                'name the classifier: features={"E": "name.of.module"}',
                str(statistic),
            )
        self.taken[f"E_{self.who}"] = f"input of {head.name}"
        if letter == "E":
            return embedding(head)
        return self._classifier(statistic, head, outcome)

    def _classifier(self, statistic: Statistic, head: Head, outcome: Outcome) -> Tensor:
        layer = next((x for x in self.network.layers if head.module in x.modules), None)
        if layer is None:
            raise StatisticError(
                "E446",
                f"module {head.name!r} is no Conv or Linear layer and has no weight to take",
                'name the classifier layer: features={"E": "name.of.module"}',
                str(statistic),
            )
        if not statistic.prefix:
            return layer.rows(self.network.parameters[layer.parameter])
        if head.input.dim() == 2 and torch.equal(head.output, outcome.logits):
            return self._closed_form(outcome.logits.detach(), head.input.detach())
        return layer.rows(self._classifier_gradient(layer))

    def _closed_form(self, logits: Tensor, embedded: Tensor) -> Tensor:
        error = logits.softmax(1) - one_hot(self.y, logits.shape[1], logits.dtype)
        return error.T @ embedded / len(embedded)

    def _classifier_gradient(self, layer: Layer) -> Tensor:
        # Only the classifier is watched, so the graph starts there: a forward, hardly a backward.
        needs = Needs(watched=frozenset({layer.parameter}))
        with forward(self.network, self.setup, needs, self.seed) as outcome:
            target = outcome.parameters[layer.parameter]
            name = f"grad V_{self.who}"
            return gradient(name, self._objective(outcome.logits), [target])[0]

    def _map(self, statistic: Statistic, finder: FeatureFinder, head: Head | None) -> Tensor:
        key = "F" if statistic.stage == -1 else f"F[{statistic.stage}]"
        embedded = embedding(head).detach() if head is not None else None
        final = finder.chosen.get("F") or (head.before if head is not None else finder.last)
        if final is None:
            raise StatisticError(
                "E447",
                "no feature map or token sequence was seen before the classifier",
                'name a module that returns one: features={"F": "name.of.module"}',
                str(statistic),
            )
        seen = finder.chosen.get(key, final)
        if statistic.stage != -1 and key not in finder.chosen:
            seen = self._stage(statistic, finder, final)
        if not finder.has_positions(seen.tensor) and seen.tensor.dim() < 3:
            raise StatisticError(
                "E447",
                f"module {seen.name!r} returns {list(seen.tensor.shape)}, which is no map",
                "name a module that returns [B, C, H, W] or [B, T, D]",
                str(statistic),
            )
        found, dropped = as_map(seen.tensor, embedded, self.channels_first)
        tokens = f" without its first {dropped} token(s)" if dropped else ""
        self.taken[f"{key[0]}_{self.who}{key[1:]}"] = f"output of {seen.name}{tokens}"
        return found

    def _stage(self, statistic: Statistic, finder: FeatureFinder, final: Seen) -> Seen:
        try:
            return stage_before(finder, final, -1 - statistic.stage)[0]
        except IndexError as error:
            raise StatisticError(
                "E453",
                f"the network has {error.args[0]} stage(s)",
                "count stages from the end: -1 is the last",
                str(statistic),
            ) from error

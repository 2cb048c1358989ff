"""Collect what formulas name from one network and one batch, in the fewest passes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from autodas_dsl.data.batches import Batch
from autodas_dsl.execution.randomness import seed_for
from autodas_dsl.language.inputs import INPUTS, NTK_SAMPLES, Statistic
from autodas_dsl.statistics import counts, layers
from autodas_dsl.statistics.errors import StatisticError
from autodas_dsl.statistics.gradients import split_gradients, tangent_kernel
from autodas_dsl.statistics.network import Network, converted
from autodas_dsl.statistics.passes import Pass
from autodas_dsl.statistics.probes import one_hot, prepare

Value = Tensor | tuple[Tensor, ...]

_ARCHITECTURE = ("W", "fan_in", "fan_out", "index", "attn", "params", "flops", "layers")


@dataclass(frozen=True, eq=False)
class Collected:
    """The statistics of one network, in the memory of the processor.

    Attributes
    ----------
    values : mapping
        Layer lists with axes are tuples of tensors, numbers per layer one 1-D tensor, everything
        else one tensor.
    layers : mapping
        Names of the entries of each list: ``"lin"`` for weights, ``"A"`` for layer outputs (one
        per call, so longer than ``"lin"`` where a layer is used again), ``"act"``, ``"act[all]"``
        and ``"bn"``, each where it was collected.
    taken : mapping
        What was taken as ``F_s``, ``E_s``, …, in words.
    """

    values: Mapping[Statistic, Value] = field(default_factory=dict)
    layers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    taken: Mapping[str, str] = field(default_factory=dict)

    def __getitem__(self, statistic: Statistic) -> Value:
        return self.values[statistic]

    def merged(self, other: Collected) -> Collected:
        """Both; the layers are those of this one."""
        return Collected(
            {**self.values, **other.values},
            {**other.layers, **self.layers},
            {**self.taken, **other.taken},
        )


def collect(
    student: nn.Module,
    batch: Batch,
    wanted: Collection[Statistic],
    *,
    teacher: nn.Module | Collected | None = None,
    seed: int = 0,
    dtype: torch.dtype | None = None,
    features: Mapping[str, str] | None = None,
    absent: dict[Statistic, str] | None = None,
) -> Collected:
    """Collect statistics of a student, and join those of its teacher.

    Parameters
    ----------
    student : nn.Module
        Maps a batch to logits. Left exactly as it was found.
    batch : Batch
    wanted : collection of Statistic
        Only the passes that these need are run.
    teacher : nn.Module or Collected, optional
        A network, or what `collect_teacher` made of it, which saves a pass per student.
    seed : int
        Of everything drawn at random: noise weights and inputs, random layers of the network.
    dtype : torch.dtype, optional
        Precision of the passes; see `Network.of`.
    features : mapping, optional
        Modules of the student to take statistics at: ``"F"`` and ``"F[-2]"`` (their output),
        ``"E"`` (the classifier: its input).
    absent : dict, optional
        Filled with the statistics that this student does not have, and why; without it, the first
        is an error.

    Raises
    ------
    StatisticError
        When a statistic cannot be collected; the message names it.
    """
    of_teacher = {s for s in wanted if belongs_to_teacher(s)}
    own = _Collector("s", Network.of(student, dtype), batch, seed, features or {})
    collected = own.collect([s for s in wanted if s not in of_teacher], absent)
    if not of_teacher:
        return collected
    if teacher is None:
        raise no_teacher(min(of_teacher, key=str))
    if isinstance(teacher, nn.Module):
        teacher = collect_teacher(teacher, batch, of_teacher, seed=seed, dtype=dtype)
    missing = sorted(str(s) for s in of_teacher if s not in teacher.values)
    if missing:
        raise StatisticError(
            "E457", "was not collected from the teacher", "ask collect_teacher for it", missing[0]
        )
    return collected.merged(
        replace(teacher, values={s: v for s, v in teacher.values.items() if s in of_teacher})
    )


def collect_teacher(
    teacher: nn.Module,
    batch: Batch,
    wanted: Collection[Statistic],
    *,
    seed: int = 0,
    dtype: torch.dtype | None = None,
    features: Mapping[str, str] | None = None,
    size: int | None = None,
    absent: dict[Statistic, str] | None = None,
) -> Collected:
    """Collect the statistics of a teacher, once for all its students.

    Parameters
    ----------
    wanted : collection of Statistic
        Those that end in ``_t`` are collected, the others ignored.
    size : int, optional
        Height and width that the images are resized to first (bilinear, antialiased), for a
        teacher that works at another resolution than its students.
    absent : dict, optional
        As in `collect`.
    """
    if size is not None and batch.x.dim() == 4:
        x = F.interpolate(batch.x, size=(size, size), mode="bilinear", antialias=True)
        batch = replace(batch, x=x, source=f"{batch.source}, resized to {size}x{size}")
    collector = _Collector("t", Network.of(teacher, dtype), batch, seed, features or {})
    own = [s for s in wanted if belongs_to_teacher(s)]
    return replace(collector.collect(own, absent), layers={})


def belongs_to_teacher(statistic: Statistic) -> bool:
    return statistic.name.endswith("_t")


def no_teacher(statistic: Statistic) -> StatisticError:
    """The error for a statistic of a teacher where there is none."""
    return StatisticError(
        "E444", "there is no teacher to take it from", "add --teacher MODEL", str(statistic)
    )


def _on_cpu(values: Mapping[Statistic, Value]) -> dict[Statistic, Value]:
    """Formulas are evaluated on the processor, wherever the network was run."""
    return {
        s: v.cpu() if isinstance(v, Tensor) else tuple(t.cpu() for t in v)
        for s, v in values.items()
    }


def classes_of(network: nn.Module, input_shape: Sequence[int]) -> int:
    """How many classes a network tells apart, from one forward pass on noise.

    Raises
    ------
    StatisticError
        When it does not take inputs of that shape (E440) or returns no logits (E441).
    """
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(2, *input_shape, generator=generator)
    batch = Batch(x, torch.zeros(2, dtype=torch.int64), 1, "noise")
    logits = collect(network, batch, [Statistic("P_s")])[Statistic("P_s")]
    assert isinstance(logits, torch.Tensor)
    return logits.shape[1]


class _Collector:
    """Plans and runs the passes over one network, student ("s") or teacher ("t")."""

    def __init__(
        self, who: str, network: Network, batch: Batch, seed: int, named: Mapping[str, str]
    ) -> None:
        self.who = who
        self.network = network
        self.batch = batch
        self.seed = seed
        self.named = named
        self.x = converted(batch.x.to(network.device), network.dtype)
        self.y = batch.y.to(network.device)
        self.values: dict[Statistic, Value] = {}
        self.layers: dict[str, tuple[str, ...]] = {}
        self.taken: dict[str, str] = {}

    def collect(
        self, wanted: Iterable[Statistic], absent: dict[Statistic, str] | None = None
    ) -> Collected:
        groups: defaultdict[str, list[Statistic]] = defaultdict(list)
        for statistic in sorted(set(wanted)):
            groups[_pass_of(statistic)].append(statistic)
        if set(groups) - {"architecture", "labels"} or any(
            s.name == "W" for s in groups["architecture"]
        ):
            self.network.check_finite()
        self.layers["lin"] = tuple(layer.name for layer in self.network.layers)
        for name, statistics in sorted(groups.items()):
            self._group(name, statistics, absent)
        return Collected(_on_cpu(self.values), self.layers, self.taken)

    def _group(
        self, name: str, statistics: list[Statistic], absent: dict[Statistic, str] | None
    ) -> None:
        """Run a pass; where `absent` takes what is missing, run it again for the others."""
        while statistics:
            try:
                self._run(name, statistics)
            except StatisticError as error:
                named = error.statistic.split(" and ")
                lost = [s for s in statistics if str(s) in named or s.base in named]
                if absent is None or not lost:
                    raise
                absent.update(dict.fromkeys(lost, error.told))
                statistics = [s for s in statistics if s not in lost]
            else:
                return

    def _run(self, name: str, statistics: list[Statistic]) -> None:
        for statistic in statistics:
            if INPUTS[statistic.base].kind.layers == "lin" and not self.network.layers:
                raise StatisticError(
                    "E443",
                    "the network has no Conv or Linear layer",
                    "it is one value per such layer",
                    str(statistic),
                )
        if name == "architecture":
            for statistic in statistics:
                self.values[statistic] = self._architecture(statistic)
        elif name == "user":
            for statistic in statistics:
                self.values[statistic] = counts.user_statistic(statistic, self.network, self.batch)
        elif name == "labels":
            y = one_hot(self.y, self.batch.classes, self.network.dtype)
            self.values.update(dict.fromkeys(statistics, y))
        elif name == "kernel":
            for statistic in statistics:
                size = statistic.parts or NTK_SAMPLES
                self.values[statistic] = tangent_kernel(self.network, self.x, size, self.seed)
        elif name == "split":
            for statistic in statistics:
                self.values[statistic] = split_gradients(
                    self.network, self.x, self.y, statistic.parts, self.seed
                )
        else:
            self._pass(name.partition(" ")[2], statistics)

    def _pass(self, probe: str, statistics: list[Statistic]) -> None:
        setup = prepare(probe, self.network, self.x, self.seed)
        seed = seed_for(self.seed, f"pass {probe}")
        classes = self.batch.classes
        one = Pass(self.who, self.network, setup, self.y, statistics, self.named, classes, seed)
        self.values.update(one.run())
        self.layers.update(one.layers)
        self.taken.update(one.taken)

    def _architecture(self, statistic: Statistic) -> Value:
        network = self.network
        if statistic.name == "W":
            weights = network.weights()
            return tuple(x.rows(weights[x.parameter]) for x in network.layers)
        if statistic.name == "flops":
            return counts.flops(network, self.x)
        numbers = {
            "fan_in": lambda: layers.fan_in(network.layers, network.weights()),
            "fan_out": lambda: layers.fan_out(network.layers),
            "index": lambda: torch.arange(1.0, len(network.layers) + 1),
            "attn": lambda: layers.attention(network.module, network.layers),
            "params": lambda: torch.tensor(sum(p.numel() for p in network.parameters.values())),
            "layers": lambda: torch.tensor(len(network.layers)),
        }
        return numbers[statistic.name]().to(network.device, network.dtype)


def _pass_of(statistic: Statistic) -> str:
    if INPUTS[statistic.base].collect is not None:
        return "user"
    if statistic.name in _ARCHITECTURE and not statistic.prefix:
        return "architecture"
    if statistic.name == "Y":
        return "labels"
    if statistic.name == "NTK":
        return "kernel"
    if statistic.parts:
        return "split"
    return f"pass {statistic.probe}"

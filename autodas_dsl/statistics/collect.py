"""Collect what formulas name from one network and one batch, in the fewest passes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from autodas_dsl.data.batches import Batch
from autodas_dsl.execution.memory import return_freed_memory
from autodas_dsl.language.inputs import INPUTS, Statistic
from autodas_dsl.statistics.by_layer import makers_for, reads
from autodas_dsl.statistics.collectors import Value, collector_of
from autodas_dsl.statistics.errors import StatisticError, within_memory
from autodas_dsl.statistics.network import Network
from autodas_dsl.statistics.passes import Subject, observed

Run = tuple[bool, str]
"""Whether statistics share the forward pass of a probe, and which; or one statistic's own passes."""


@dataclass(frozen=True, eq=False)
class Collected:
    """The statistics of one network, on the device where it was run.

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

    def to(self, device: torch.device | str) -> Collected:
        """The same on a device; lone numbers, which mix with every device, stay where they are."""
        return self.changed(lambda _, tensor: tensor.to(device) if tensor.dim() else tensor)

    def changed(self, change: Callable[[Statistic, Tensor], Tensor]) -> Collected:
        """The same with every tensor replaced."""
        return replace(self, values={
            s: tuple(change(s, tensor) for tensor in v) if isinstance(v, tuple) else change(s, v)
            for s, v in self.values.items()
        })  # fmt: skip

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
    own = Subject("s", Network.of(student, dtype), batch, seed, features or {})
    collected = _collected(own, [s for s in wanted if s not in of_teacher], absent)
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
    subject = Subject("t", Network.of(teacher, dtype), batch, seed, features or {})
    own = [s for s in wanted if belongs_to_teacher(s)]
    return replace(_collected(subject, own, absent), layers={})


def belongs_to_teacher(statistic: Statistic) -> bool:
    return statistic.name.endswith("_t")


def run_of(statistic: Statistic) -> Run:
    """What a statistic comes out of: one run of the network for all that share it."""
    shared = collector_of(statistic).shares_pass
    return shared, statistic.probe if shared else str(statistic)


def is_free(statistic: Statistic) -> bool:
    """Whether a statistic is there without a run of the network: counted, or the weights."""
    return INPUTS[statistic.base].needs == "none" and not collector_of(statistic).shares_pass


def no_teacher(statistic: Statistic) -> StatisticError:
    """The error for a statistic of a teacher where there is none."""
    return StatisticError(
        "E444", "there is no teacher to take it from", "add --teacher MODEL", str(statistic)
    )


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


def _collected(
    subject: Subject, wanted: Iterable[Statistic], absent: dict[Statistic, str] | None
) -> Collected:
    """Run the passes over one network that statistics need."""
    groups: defaultdict[Run, list[Statistic]] = defaultdict(list)
    for statistic in sorted(set(wanted), key=str):
        groups[run_of(statistic)].append(statistic)
    if any(collector_of(s).needs for statistics in groups.values() for s in statistics):
        subject.network.check_finite()
    layers = {"lin": tuple(layer.name for layer in subject.network.layers)}
    collected = Collected(layers=layers)
    with within_memory(f"batch of {len(subject.batch.x)}"):
        ran = False
        for _, statistics in sorted(groups.items()):
            runs = not all(map(is_free, statistics))
            if ran and runs:
                return_freed_memory()  # what was kept lies between activations that are gone
            ran = ran or runs
            collected = collected.merged(_group(subject, statistics, absent))
    return collected.to(subject.network.device)


def _group(
    subject: Subject, statistics: list[Statistic], absent: dict[Statistic, str] | None
) -> Collected:
    """Statistics of one pass; where `absent` takes what is missing, it is run again for the
    others."""
    while statistics:
        try:
            return _values(subject, statistics)
        except StatisticError as error:
            named = error.statistic.split(" and ")
            lost = [
                s
                for s in statistics
                if any(r in named for one in reads(s) for r in (str(one), one.base))
            ]
            if absent is None or not lost:
                raise
            absent.update(dict.fromkeys(lost, error.told))
            statistics = [s for s in statistics if s not in lost]
    return Collected()


def _values(subject: Subject, statistics: list[Statistic]) -> Collected:
    for statistic in statistics:
        if INPUTS[statistic.base].kind.layers == "lin" and not subject.network.layers:
            raise StatisticError(
                "E443",
                "the network has no Conv or Linear layer",
                "it is one value per such layer",
                str(statistic),
            )
    collectors = {s: collector_of(s) for s in statistics}
    if not collectors[statistics[0]].shares_pass:
        return Collected({s: c.collect(subject, s) for s, c in collectors.items()})
    needs = frozenset().union(*(c.needs for c in collectors.values()))
    with observed(subject, statistics[0].probe, needs, makers_for(statistics)) as seen:
        values = {s: c.collect(seen, s) for s, c in collectors.items()}
    return Collected(values, seen.layers, seen.taken)

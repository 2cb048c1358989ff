"""A deterministic part of every statistic, for a first look at many formulas.

Class and channel axes stay whole, and so do maps: what is cut are samples (axis B) and the inputs of
each weight (axis R), evenly spaced. The same samples are kept everywhere.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from autodas_dsl.compiler.interpret import Entry, Values
from autodas_dsl.language.inputs import Statistic, kind_of

SAMPLES = 16
INPUTS = 64
_WHOLE = frozenset({"V_s", "V_t", "NTK"})  # their axis B counts classes or is the kernel's


@dataclass(frozen=True)
class Sampled:
    """A part of the statistics of one network; also `Values`."""

    values: dict[Statistic, Entry]
    layers: dict[str, tuple[str, ...]]


def sampled(collected: Values, samples: int = SAMPLES, inputs: int = INPUTS) -> Sampled:
    """Cut the statistics of one network.

    Parameters
    ----------
    samples : int
        Most that are kept along axis B.
    inputs : int
        Most that are kept along axis R.
    """
    values: dict[Statistic, Entry] = {}
    for statistic, value in collected.values.items():
        names = kind_of(statistic).names
        if isinstance(value, tuple):
            values[statistic] = tuple(_cut(v, statistic, names, samples, inputs) for v in value)
        else:
            values[statistic] = _cut(value, statistic, names, samples, inputs)
    return Sampled(values, dict(collected.layers))


def _cut(
    value: Tensor, statistic: Statistic, names: tuple[str, ...], samples: int, inputs: int
) -> Tensor:
    if statistic.name in _WHOLE:
        return value
    for axis, name in enumerate(names):
        most = {"B": samples, "R": inputs}.get(name, value.shape[axis])
        step = -(-value.shape[axis] // most)
        if step > 1:
            value = value[(slice(None),) * axis + (slice(None, None, step),)]
    return value.contiguous()

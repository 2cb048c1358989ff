"""Made-up statistics of networks with different layers and shapes, for the tests of the compiler."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from autodas_dsl.compiler.ir import Node
from autodas_dsl.compiler.pipeline import to_ir
from autodas_dsl.language.inputs import INPUTS, Statistic
from autodas_dsl.language.kinds import Kind
from autodas_dsl.language.parse import parse

BATCH, CLASSES, WIDTH = 6, 10, 8
SHAPES = ((4, 9), (6, 4), (4, 9), (5, 6), (4, 9), (7, 3))


@dataclass(frozen=True)
class Fake:
    """What `statistics.collect.Collected` looks like to the compiler."""

    values: dict[Statistic, Tensor | tuple[Tensor, ...]]
    layers: dict[str, tuple[str, ...]] = field(default_factory=dict)


def _drawer(seed: int, dtype: torch.dtype) -> Callable[..., Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return lambda *shape: torch.randn(*shape, generator=generator, dtype=torch.float64).to(dtype)


def teacher(dtype: torch.dtype = torch.float64) -> dict[Statistic, Tensor]:
    draw = _drawer(99, dtype)
    return {
        Statistic("F_t"): draw(BATCH, WIDTH, 4, 4), Statistic("E_t"): draw(BATCH, WIDTH),
        Statistic("P_t"): draw(BATCH, CLASSES), Statistic("V_t"): draw(CLASSES, WIDTH),
        Statistic("V_t", "grad"): draw(CLASSES, WIDTH),
        Statistic("Y"): torch.eye(CLASSES, dtype=dtype)[:BATCH],
        Statistic("F_t", stage=-2): draw(BATCH, 4, 8, 8),
    }  # fmt: skip


def fake(
    seed: int, layers: int, dtype: torch.dtype = torch.float64, calls: int | None = None
) -> Fake:
    """One network.

    Parameters
    ----------
    layers : int
        Weighted layers.
    calls : int, optional
        Entries of ``A`` and ``grad A``, where layers are used more than once.
    """
    draw = _drawer(seed, dtype)
    shapes = [SHAPES[(i + seed) % len(SHAPES)] for i in range(layers)]
    outputs = [shapes[i % layers] for i in range(calls or layers)]
    weights = lambda *lead: tuple(draw(*lead, *shape) for shape in shapes)  # noqa: E731
    maps = lambda: tuple(draw(BATCH, c, 4) for c, _ in outputs)  # noqa: E731
    kernel = draw(16, 16)
    values: dict[Statistic, Tensor | tuple[Tensor, ...]] = {
        Statistic("W"): weights(), Statistic("W", "hess"): weights(),
        Statistic("W", "grad", parts=2): weights(2),
        Statistic("A"): maps(), Statistic("A", "grad"): maps(),
        Statistic("X"): tuple(draw(BATCH, 5, 3) for _ in range(layers)),
        Statistic("X", "grad"): tuple(draw(BATCH, 5, 3) for _ in range(layers)),
        Statistic("block"): torch.arange(layers).to(dtype),
        Statistic("H"): (draw(BATCH, 2, 9).softmax(2), draw(BATCH, 3, 4).softmax(2)),
        Statistic("H", "grad"): (draw(BATCH, 2, 9), draw(BATCH, 3, 4)),
        Statistic("Z"): maps(),
        Statistic("I"): tuple(draw(BATCH, c, 4) for c in (3, 4)),
        Statistic("O"): tuple(draw(BATCH, c, 4) for c in (4, 5)),
        Statistic("T"): (draw(3, 4), draw(4, 5)),
        Statistic("S"): draw(layers).abs(), Statistic("S", probe="noise"): draw(layers).abs(),
        Statistic("F_s", stage=-2): draw(BATCH, 4, 8, 8), Statistic("E_s"): draw(BATCH, WIDTH),
        Statistic("P_s"): draw(BATCH, CLASSES), Statistic("V_s"): draw(CLASSES, WIDTH),
        Statistic("V_s", "grad"): draw(CLASSES, WIDTH), Statistic("J"): draw(BATCH, 12),
        Statistic("NTK", parts=16): kernel @ kernel.T + torch.eye(16, dtype=dtype),
        Statistic("attn"): (draw(layers) > 0).to(dtype),
        Statistic("FIM"): kernel @ kernel.T, Statistic("FIM", probe="kaiming"): kernel @ kernel.T,
    }  # fmt: skip
    for probe in ("", "flow", "flow_bn", "ones", "absolute", "robust"):
        values[Statistic("W", "grad", probe)] = weights()
    for probe in ("absolute", "robust"):
        values[Statistic("A", probe=probe)] = maps()
    values[Statistic("W", probe="robust")] = weights()
    for probe in ("tiny", "unit"):
        values[Statistic("P_s", probe=probe)] = draw(BATCH, CLASSES)
    for probe in ("", "noise", "noise2"):
        values[Statistic("F_s", probe=probe)] = draw(BATCH, WIDTH, 4, 4)
    for name in ("fan_in", "fan_out", "index"):
        values[Statistic(name)] = draw(layers).abs() + 1
    numbers = [name for name, entry in INPUTS.items() if entry.kind == Kind()]
    for place, name in enumerate(numbers):
        values[Statistic(name)] = torch.tensor(1000.0 * (place + 1) + seed)
    values.update(teacher(dtype))
    values[Statistic("X", every=True)] = tuple(draw(BATCH, 5, 3) for _ in range(layers + 1))
    values[Statistic("P_s", probe="jitter")] = draw(BATCH, CLASSES)
    values[Statistic("NTK", parts=3)] = kernel[:3] @ kernel[:3].T
    for name, entry in INPUTS.items():
        if Statistic(name) not in values:
            values[Statistic(name)] = _of_kind(entry.kind, shapes, draw)
    return Fake(
        values,
        {
            "lin": tuple(f"l{i}" for i in range(layers)),
            "act": tuple(f"a{i}" for i in range(layers)),
            "act[all]": tuple(f"f{i}" for i in range(layers + 1)),
            "block": ("blocks.0", "blocks.1"),
            "att": ("blocks.0.attn", "blocks.1.attn"),
            "mod": tuple(f"m{i}" for i in range(calls or layers)),
            "bn": tuple(f"b{i}" for i in range(layers)),
        },
    )


def _of_kind(
    kind: Kind, shapes: Sequence[tuple[int, int]], draw: Callable[..., Tensor]
) -> Tensor | tuple[Tensor, ...]:
    """Values for a statistic of which no more is known than its kind."""
    common = {"B": BATCH, "n": 16, "inputs": 12, "r_A": 4, "c_X": 5, "r_X": 3, "heads": 2, "r_H": 9}
    for who in ("s", "t"):
        common |= {f"C_{who}": WIDTH, f"H_{who}": 4, f"W_{who}": 4, f"D_{who}": WIDTH,
                   f"K_{who}": CLASSES}  # fmt: skip
    each = [{**common, "c_W": c, "r_W": r, "c_A": c} for c, r in shapes]
    if kind.layers and not kind.axes:
        return draw(len(shapes)).abs()
    drawn = tuple(draw(*(axis.size.evaluate(sizes) for axis in kind.axes)) for sizes in each)
    return drawn if kind.layers else drawn[0]


def networks(dtype: torch.dtype = torch.float64, count: int = 6) -> list[Fake]:
    """Networks of two to five layers."""
    return [fake(seed, (3, 4, 3, 2, 5)[seed % 5], dtype) for seed in range(count)]


def node(text: str) -> Node:
    return to_ir(parse(text))

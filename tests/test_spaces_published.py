"""Published facts about the spaces: parameter counts, isomorphism classes, state dicts."""

from __future__ import annotations

import csv
from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr
from torch import nn

from autodas_dsl import spaces
from autodas_dsl.spaces.autoformer import AutoFormerArch
from autodas_dsl.spaces.nasbench201 import NasBench201Arch
from autodas_dsl.spaces.pit import PitArch
from autodas_dsl.spaces.resnet import CifarResNet

TABLES = {"cifar-resnet": "cifar_resnet_s0", "pit": "pit", "autoformer": "autoformer"}


def parameters(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def built(name: str, arch: object) -> nn.Module:
    with torch.device("meta"):
        return spaces.get(name).build(arch)


def resnet_parameters(depth: tuple[int, ...], classes: int) -> int:
    total, before = 3 * 16 * 9 + 2 * 16, 16
    for blocks, width in zip(depth, (16, 32, 64), strict=True):
        total += 9 * before * width + 9 * width**2 + 4 * width
        total += (blocks - 1) * (18 * width**2 + 4 * width)
        if width != before:
            total += before * width + 2 * width
        before = width
    return total + 65 * classes


def block_parameters(width: int, hidden: int) -> int:
    attention = width * 3 * width + 3 * width + width * width + width
    return attention + 2 * width * hidden + hidden + width + 4 * width


def pit_parameters(arch: PitArch, classes: int) -> int:
    widths = [arch.base_dim * heads for heads in arch.num_heads]
    total = 3 * 16 * 16 * widths[0] + widths[0] + 27 * 27 * widths[0] + widths[0]
    for blocks, width in zip(arch.depth, widths, strict=True):
        total += blocks * block_parameters(width, width * arch.mlp_ratio)
    for before, width in pairwise(widths):
        total += 9 * width + width + before * width + width
    return total + 2 * widths[-1] + (widths[-1] + 1) * classes


def autoformer_parameters(arch: AutoFormerArch, classes: int) -> int:
    width = arch.hidden_dim
    total = 3 * 16 * 16 * width + width + 197 * width + width
    total += sum(block_parameters(width, int(width * ratio)) for ratio in arch.mlp_ratio)
    return total + 2 * width + (width + 1) * classes


@pytest.mark.parametrize("text", ["1-1-1", "3-7-5", "9-9-9", "18-18-18"])
def test_cifar_resnet_parameters(text: str) -> None:
    arch = spaces.get("cifar-resnet").parse(text)
    assert parameters(built("cifar-resnet", arch)) == resnet_parameters(arch.depth, 100)


def test_transformer_parameters() -> None:
    rng = np.random.default_rng(0)
    for _ in range(5):
        pit = spaces.get("pit").sample(rng)
        assert parameters(built("pit", pit)) == pit_parameters(pit, 100)
        autoformer = spaces.get("autoformer").sample(rng)
        found = parameters(built("autoformer", autoformer))
        assert found == autoformer_parameters(autoformer, 100)


def test_nasbench201_isomorphism_classes() -> None:
    space = spaces.get("nasbench201")
    assert len({space.canonical(arch) for arch in space.enumerate() or ()}) == 6_466
    conv, skip, none = "nor_conv_3x3", "skip_connect", "none"
    early = NasBench201Arch((conv, none, skip, none, none, skip))
    late = NasBench201Arch((skip, none, conv, none, none, skip))
    assert early != late
    assert space.canonical(early) == space.canonical(late)
    assert space.canonical(early) != space.canonical(
        NasBench201Arch((conv, none, conv, none, none, skip))
    )


def test_nasbench201_unused_choices_cost_nothing() -> None:
    space = spaces.get("nasbench201")
    rest = "|none~0|+|none~0|none~1|+|{}~0|none~1|none~2|"
    skip, conv = (space.parse(rest.format(op)) for op in ("skip_connect", "nor_conv_3x3"))
    more = sum(5 * (9 * width**2 + 2 * width) for width in (16, 32, 64))
    assert parameters(space.build(conv)) - parameters(space.build(skip)) == more


def test_nasbench201_parameters_as_published(shared: Path) -> None:
    space = spaces.get("nasbench201")
    with (shared / "reference" / "nasbench201_scores.csv").open(encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines))
    assert len(rows) == 200
    for row in rows[::4]:
        arch = space.parse(row["arch"])
        assert space.format(arch) == row["arch"]
        millions = parameters(built("nasbench201", arch)) / 1e6
        assert millions == pytest.approx(float(row["params_million"]), abs=1e-9)


@pytest.mark.parametrize(
    ("stem", "depth"), [("cifar_resnet_student", (1, 3, 1)), ("cifar_resnet_teacher", (3, 3, 3))]
)
def test_reference_weights_load(shared: Path, stem: str, depth: tuple[int, ...]) -> None:
    network = CifarResNet(depth, (8, 16, 32), classes=10, stem=8)
    with np.load(shared / "reference" / f"{stem}.npz") as arrays:
        state = {key: torch.from_numpy(arrays[key]) for key in arrays.files}
    network.load_state_dict(state, strict=True)
    inner = sum(isinstance(module, nn.ReLU) for module in network.modules())
    assert inner == 1 + sum(depth)
    if stem.endswith("student"):
        assert parameters(network) == 29_298


@cache
def sizes(shared: Path, name: str) -> tuple[list[dict[str, str]], list[int]]:
    """The rows of a published table, and the parameters of each network."""
    space = spaces.get(name)
    with (shared / "ground_truth" / f"{TABLES[name]}.csv").open(encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines))
    fields = [
        {key: value for key, value in row.items() if not key.endswith(("_kd", "_vanilla"))}
        for row in rows
    ]
    return rows, [parameters(built(name, space.from_fields(one))) for one in fields]


@pytest.mark.parametrize(
    ("name", "target", "expected"),
    [
        ("cifar-resnet", "cifar100_kd", 0.968),
        ("pit", "cifar100_kd", 0.954),
        ("pit", "flowers_kd", 0.973),
        ("autoformer", "cifar100_kd", 0.717),
        ("autoformer", "flowers_kd", 0.855),
        ("autoformer", "chaoyang_kd", 0.447),
        ("autoformer", "cifar100_vanilla", -0.473),
    ],
)
def test_parameters_rank_the_published_tables_as_known(
    shared: Path, name: str, target: str, expected: float
) -> None:
    rows, counts = sizes(shared, name)
    known = [
        (count, float(row[target])) for count, row in zip(counts, rows, strict=True) if row[target]
    ]
    assert spearmanr(*zip(*known, strict=True)).statistic == pytest.approx(expected, abs=6e-4)

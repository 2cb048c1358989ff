"""Scores computed from collected statistics equal those of independent implementations."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from autodas_dsl.data.batches import Batch, load_batch
from autodas_dsl.language.inputs import Statistic
from autodas_dsl.statistics.collect import Collected, collect, collect_teacher

W, GRAD, HESS = Statistic("W"), Statistic("W", "grad"), Statistic("W", "hess")
FLOW, FLOW_BN = Statistic("W", "grad", "flow"), Statistic("W", "grad", "flow_bn")
A, GRAD_A, X, J = Statistic("A"), Statistic("A", "grad"), Statistic("X"), Statistic("J")
PARAMS = Statistic("params")


class Block(nn.Module):
    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.downsample = None
        if stride != 1 or inputs != outputs:
            conv = nn.Conv2d(inputs, outputs, 1, stride, bias=False)
            self.downsample = nn.Sequential(conv, nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        shortcut = x if self.downsample is None else self.downsample(x)
        inner = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        return torch.relu(inner + shortcut)


class ResNet(nn.Module):
    def __init__(self, depths: tuple[int, int, int]) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 8, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(8)
        self.relu = nn.ReLU(inplace=True)
        widths = (8, 8, 16, 32)
        stages = []
        for stage, depth in enumerate(depths):
            before, width = widths[stage : stage + 2]
            strides = [2 if stage else 1] + [1] * (depth - 1)
            blocks = [Block(before if i == 0 else width, width, s) for i, s in enumerate(strides)]
            stages.append(nn.Sequential(*blocks))
        self.layer1, self.layer2, self.layer3 = stages
        self.fc = nn.Linear(32, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu(self.bn1(self.conv1(x)))
        x = self.layer3(self.layer2(self.layer1(x)))
        return self.fc(x.mean((2, 3)))


def loaded(network: nn.Module, path: Path) -> nn.Module:
    with np.load(path) as state:
        network.load_state_dict({name: torch.from_numpy(state[name]) for name in state.files})
    return network


def snip(of: Collected) -> Tensor:
    return sum((w * g).abs().sum() for w, g in zip(of[W], of[GRAD], strict=True))


def plain(of: Collected) -> Tensor:
    return sum((w * g).sum() for w, g in zip(of[W], of[GRAD], strict=True))


def grad_norm(of: Collected) -> Tensor:
    return sum(g.norm() for g in of[GRAD])


def grasp(of: Collected) -> Tensor:
    return -sum((w * h).sum() for w, h in zip(of[W], of[HESS], strict=True))


def fisher(of: Collected) -> Tensor:
    layers = zip(of[W], of[A], of[GRAD_A], strict=True)
    return sum(w.numel() * ((a * g).sum(2) ** 2).mean() for w, a, g in layers) / 2


def synflow(of: Collected) -> Tensor:
    return sum((w * g).abs().sum() for w, g in zip(of[W], of[FLOW], strict=True))


def synflow_bn(of: Collected) -> Tensor:
    return sum((w * g).abs().sum() for w, g in zip(of[W], of[FLOW_BN], strict=True))


def jacob_cov(of: Collected) -> Tensor:
    v = torch.linalg.eigvalsh(torch.corrcoef(of[J])) + 1e-5
    return -(v.log() + 1 / v).sum()


def nwot(of: Collected) -> Tensor:
    signs = torch.cat([x.flatten(1) > 0 for x in of[X]], 1).to(torch.float64)
    return torch.linalg.slogdet(signs @ signs.T + (1 - signs) @ (1 - signs).T)[1]


def diswot_relation(of: Collected) -> Tensor:
    s, t = (of[Statistic(name)].flatten(1) for name in ("F_s", "F_t"))
    grams = [nn.functional.normalize(f @ f.T, dim=1) for f in (s, t)]
    return -((grams[0] - grams[1]) ** 2).mean()


def diswot_semantic(of: Collected) -> Tensor:
    values = [of[Statistic(name, "grad")] for name in ("V_s", "V_t")]
    grams = [nn.functional.normalize(v[:, :, None] * v[:, None, :], dim=2) for v in values]
    return -((grams[0] - grams[1]) ** 2).sum() / values[0].numel()


def parameters(of: Collected) -> Tensor:
    return of[PARAMS]


SCORES: dict[str, tuple[Callable[[Collected], Tensor], tuple[Statistic, ...]]] = {
    "snip": (snip, (W, GRAD)),
    "plain": (plain, (W, GRAD)),
    "grad_norm": (grad_norm, (GRAD,)),
    "grasp": (grasp, (W, HESS)),
    "fisher": (fisher, (W, A, GRAD_A)),
    "synflow": (synflow, (W, FLOW)),
    "synflow_bn": (synflow_bn, (W, FLOW_BN)),
    "jacob_cov": (jacob_cov, (J,)),
    "nwot": (nwot, (X,)),
    "parameters": (parameters, (PARAMS,)),
    "diswot_relation": (diswot_relation, (Statistic("F_s"), Statistic("F_t"))),
    "diswot_semantic": (diswot_semantic, (Statistic("V_s", "grad"), Statistic("V_t", "grad"))),
}


@pytest.fixture(scope="module")
def expected(shared: Path) -> dict[str, Any]:
    return json.loads((shared / "reference" / "expected.json").read_text())


@pytest.fixture(scope="module")
def batch(shared: Path) -> Batch:
    return load_batch(str(shared / "reference" / "batch.npz"), input_shape=(3, 32, 32), classes=10)


@pytest.fixture(scope="module")
def student(shared: Path) -> nn.Module:
    return loaded(ResNet((1, 3, 1)), shared / "reference" / "cifar_resnet_student.npz")


@pytest.fixture(scope="module")
def teacher(shared: Path) -> nn.Module:
    return loaded(ResNet((3, 3, 3)), shared / "reference" / "cifar_resnet_teacher.npz")


@pytest.mark.parametrize("score", SCORES)
def test_resnet_alone(
    score: str, student: nn.Module, teacher: nn.Module, batch: Batch, expected: dict[str, Any]
) -> None:
    function, wanted = SCORES[score]
    found = collect(student, batch, wanted, teacher=teacher, dtype=torch.float64)
    assert float(function(found)) == pytest.approx(
        expected["cifar_resnet"]["scores"][score], rel=1e-6
    )


def test_resnet_all_at_once(
    student: nn.Module, teacher: nn.Module, batch: Batch, expected: dict[str, Any]
) -> None:
    wanted = {statistic for _, needed in SCORES.values() for statistic in needed}
    once = collect_teacher(teacher, batch, wanted, dtype=torch.float64)
    found = collect(student, batch, wanted, teacher=once, dtype=torch.float64)
    scores = {name: float(function(found)) for name, (function, _) in SCORES.items()}
    assert scores == pytest.approx(expected["cifar_resnet"]["scores"], rel=1e-6)


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
def test_vit(attention: str, shared: Path, batch: Batch, expected: dict[str, Any]) -> None:
    transformers = pytest.importorskip("transformers")
    settings = {**expected["vit"]["config"], "attn_implementation": attention}
    network = transformers.ViTForImageClassification(transformers.ViTConfig(**settings))
    loaded(network, shared / "reference" / "vit_student.npz")
    names = expected["vit"]["scores"]
    wanted = {statistic for name in names for statistic in SCORES[name][1]}
    found = collect(network, batch, wanted, dtype=torch.float64)
    assert {n: float(SCORES[n][0](found)) for n in names} == pytest.approx(names, rel=1e-6)


def test_float32_agrees_with_float64(student: nn.Module, batch: Batch) -> None:
    wanted = [W, GRAD, FLOW, A, X, Statistic("P_s", probe="jitter"), Statistic("S", probe="noise")]
    single = collect(student, batch, wanted)
    double = collect(student, batch, wanted, dtype=torch.float64)
    for statistic in wanted:
        pair = (single[statistic], double[statistic])
        ours, exact = (v if isinstance(v, tuple) else (v,) for v in pair)
        for a, b in zip(ours, exact, strict=True):
            assert torch.allclose(a.double(), b, rtol=1e-3, atol=1e-4 * float(b.abs().max()))

"""Replicas, recipes, losses, distillation: what is trained is what was meant."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from autodas_dsl import spaces
from autodas_dsl.language.errors import InputError
from autodas_dsl.models.spaces import named_source
from autodas_dsl.training.digits import SHIFTS, digits
from autodas_dsl.training.distillation import distill
from autodas_dsl.training.lessons import lessons_of
from autodas_dsl.training.recipe import Recipe, shuffled
from autodas_dsl.training.replicas import Apart, Grouped, Mapped, side_by_side
from autodas_dsl.training.rows import size
from autodas_dsl.training.together import softened, train

RESNET = "depth=1-2-1,width=4-8-8"
LESSONS = lessons_of(spaces.get("digits-resnet"))
VIT = "patch=4,dim=8,depth=2,heads=2,mlp=2"


@dataclass(frozen=True)
class Examples:
    x: Tensor
    y: Tensor


def initialised(space: str, arch: str, seed: int) -> nn.Module:
    return named_source(f"{space}:{arch}").build(seed)


def replicas(space: str, arch: str, count: int) -> list[nn.Module]:
    return [initialised(space, arch, seed).double() for seed in range(count)]


def code_of(error: pytest.ExceptionInfo[InputError]) -> str:
    return error.value.diagnostics[0].code


def test_digits_are_split_by_position_and_shifted() -> None:
    data = digits()
    assert data.train.x.shape == (300, 1, 8, 8)
    assert len(data.select.y) == 600
    assert len(data.test.y) == 897
    assert data.shifted.shape == (9, 300, 1, 8, 8)
    assert torch.equal(data.shifted[SHIFTS.index((0, 0))], data.train.x)
    down = data.shifted[SHIFTS.index((1, 0))]
    assert torch.equal(down[:, :, 1:], data.train.x[:, :, :-1])
    left = data.shifted[SHIFTS.index((0, -1))]
    assert torch.equal(left[..., :-1], data.train.x[..., 1:])
    paper = data.train.x.min()
    assert (down[:, :, 0] == paper).all()
    assert (left[..., -1] == paper).all()
    assert abs(float(data.train.x.mean())) < 0.01
    assert abs(float(data.train.x.std()) - 1) < 0.02


@pytest.mark.parametrize(("space", "arch", "kind"), [
    ("digits-resnet", RESNET, Grouped),
    ("digits-vit", VIT, Mapped),
])  # fmt: skip
def test_replicas_side_by_side_are_the_networks_one_by_one(
    space: str, arch: str, kind: type
) -> None:
    networks = replicas(space, arch, 3)
    x = torch.randn(3, 5, 1, 8, 8, dtype=torch.float64)
    whole = side_by_side(networks, x[0, :2])
    assert isinstance(whole, kind)
    y = torch.randint(10, (3, 5))
    for mode in (True, False):  # the pass in train mode leaves running statistics to the other
        logits = whole.train(mode)(x)
        for number, network in enumerate(networks):
            expected = network.train(mode)(x[number])
            torch.testing.assert_close(logits[number], expected, rtol=1e-9, atol=1e-11)
    whole.train()
    loss = F.cross_entropy(whole(x).flatten(0, 1), y.flatten(), reduction="sum")
    found = sum(g.square().sum() for g in torch.autograd.grad(loss, list(whole.parameters())))
    expected = 0.0
    for number, network in enumerate(networks):
        one = F.cross_entropy(network.train()(x[number]), y[number], reduction="sum")
        grads = torch.autograd.grad(one, list(network.parameters()))
        expected += sum(float(g.square().sum()) for g in grads)
    assert float(found) == pytest.approx(expected, rel=1e-9)


class Mixing(nn.Module):
    """Looks convolutional, and each channel sees the others' mean."""

    def __init__(self) -> None:
        super().__init__()
        self.bn, self.fc = nn.BatchNorm2d(1), nn.Linear(1, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.bn(x)
        return self.fc((x - x.mean(1, keepdim=True) / 2).mean((2, 3)))


def running() -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.BatchNorm1d(64), nn.Linear(64, 10))


def drawing() -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.Linear(64, 10))


@pytest.mark.parametrize("make", [Mixing, running, drawing])
def test_networks_that_cannot_be_joined_are_trained_apart(make: Callable[[], nn.Module]) -> None:
    networks = [make() for _ in range(2)]
    before = copy.deepcopy(networks[0].state_dict())
    whole = side_by_side(networks, LESSONS.views[0, :2])
    assert isinstance(whole, Apart)
    train(networks, LESSONS, Recipe(steps=2), seeds=[0, 1], taught=[False, False])
    assert all(torch.equal(before[k], v) for k, v in networks[0].state_dict().items())


def test_a_replica_does_not_notice_its_companions() -> None:
    recipe = Recipe(steps=4, batch=8)
    teacher = torch.randn(9, 300, 10)

    def trained(seeds: list[int], taught: list[bool]) -> Tensor:
        networks = [initialised("digits-resnet", RESNET, seed) for seed in seeds]
        whole = train(networks, LESSONS, recipe, seeds=seeds, taught=taught, teacher_logits=teacher)
        with torch.no_grad():
            return whole(digits().select.x[:20].expand(len(seeds), 20, 1, 8, 8))

    alone = trained([1], [True])
    among = trained([0, 1, 1], [False, True, False])
    torch.testing.assert_close(among[1], alone[0], rtol=1e-3, atol=1e-4)
    assert not torch.allclose(among[1], among[2], atol=1e-2)  # taught or not
    assert not torch.allclose(among[0], among[2], atol=1e-2)  # other seeds


def test_training_learns() -> None:
    networks = [initialised("digits-resnet", "depth=1-1-1,width=4-8-16", seed) for seed in (0, 1)]
    before = copy.deepcopy(networks[0].state_dict())
    recipe = Recipe(steps=80)
    whole = train(networks, LESSONS, recipe, seeds=[0, 1], taught=[False, False])
    assert not whole.training
    with torch.no_grad():
        logits = whole(digits().train.x.expand(2, 300, 1, 8, 8))
    assert (logits.argmax(-1) == digits().train.y).double().mean() > 0.6
    assert all(torch.equal(before[k], v) for k, v in networks[0].state_dict().items())


def test_the_learning_rate_climbs_then_falls() -> None:
    recipe = Recipe(steps=100, warmup=0.1)
    rates = [recipe.rate(step) for step in range(100)]
    assert rates[0] == pytest.approx(0.1)
    assert rates[9] == rates[10] == 1.0
    assert rates[55] == pytest.approx(0.5)
    assert rates == sorted(rates[:10]) + sorted(rates[10:], reverse=True)
    assert 0 < rates[-1] < 0.001


def test_epochs_are_shuffled_and_complete() -> None:
    rows = shuffled(np.random.default_rng(0), 12, 6, 4)
    assert rows.shape == (6, 4)
    first, second = rows[:3].flatten(), rows[3:].flatten()
    assert sorted(first.tolist()) == sorted(second.tolist()) == list(range(12))
    assert first.tolist() != second.tolist()


def test_softened_against_numpy() -> None:
    rng = np.random.default_rng(0)
    s, t = rng.normal(size=(2, 4, 5)) * 3

    def softmax(x: np.ndarray) -> np.ndarray:
        e = np.exp(x / 4 - (x / 4).max(-1, keepdims=True))
        return e / e.sum(-1, keepdims=True)

    expected = 16 * (softmax(t) * np.log(softmax(t) / softmax(s))).sum(-1)
    found = softened(torch.from_numpy(s), torch.from_numpy(t), 4.0)
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-10)


def small(classes: int = 10) -> nn.Module:
    space = spaces.get("digits-resnet")
    torch.manual_seed(0)
    return space.build(space.parse("depth=1-1-1,width=4-4-8"), classes)


@pytest.mark.parametrize("name", ["kd", "rkd", "at"])
def test_distilling_brings_the_student_nearer(name: str) -> None:
    data = Examples(digits().train.x[:64], digits().train.y[:64])
    teacher, student = initialised("digits-resnet", RESNET, 3), small()
    before = copy.deepcopy(teacher.state_dict())
    steps: list[tuple[int, str]] = []
    recipe = Recipe(steps=30, batch=16, learning_rate=0.02)
    done = distill(
        student,
        teacher,
        data,
        loss=name,
        held_out=data,
        recipe=recipe,
        progress=lambda *step: steps.append(step),
    )
    assert np.mean(done.losses[-5:]) < np.mean(done.losses[:5])
    assert done.network is student
    assert not student.training
    assert done.accuracy is not None
    assert 0 <= done.accuracy <= 1
    assert [step for step, _ in steps] == [*range(1, 31)]
    assert steps[-1][1].startswith("loss ")
    assert all(torch.equal(before[k], v) for k, v in teacher.state_dict().items())
    assert all(not module._forward_pre_hooks for module in student.modules())


def test_distilling_repeats_by_seed() -> None:
    data = Examples(digits().train.x[:32], digits().train.y[:32])

    def losses(seed: int) -> tuple[float, ...]:
        return distill(small(), small(), data, recipe=Recipe(steps=3), seed=seed).losses

    data = Examples(digits().train.x[:40], digits().train.y[:40])
    assert losses(0) == losses(0)
    assert losses(0) != losses(1)


class Sums(nn.Module):
    """Ten logits out of no layer."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(10))

    def forward(self, x: Tensor) -> Tensor:
        return x.flatten(1).sum(1, keepdim=True) * self.scale


def test_distilling_refuses_what_cannot_be() -> None:
    data = Examples(digits().train.x[:8], digits().train.y[:8])
    recipe = Recipe(steps=2)
    with pytest.raises(InputError) as error:
        distill(small(), small(), data, loss="rdk", recipe=recipe)
    assert code_of(error) == "E730"
    assert 'did you mean "rkd"?' in str(error.value)
    with pytest.raises(InputError) as error:
        distill(small(), small(7), data, recipe=recipe)
    assert code_of(error) == "E731"
    assert "10 classes, the teacher 7" in str(error.value)
    distill(small(), small(7), data, loss="cc", recipe=recipe)
    for x, y in [(data.x, data.y[:7]), (data.x[:0], data.y[:0])]:
        with pytest.raises(InputError) as error:
            distill(small(), small(), Examples(x, y), recipe=recipe)
        assert code_of(error) == "E732"
    with pytest.raises(InputError) as error:
        distill(
            small(),
            initialised("digits-resnet", "depth=1-1-1,width=4-4-16", 0),
            data,
            loss="ickd",
            recipe=recipe,
        )
    assert "8 channels, the teacher 16" in str(error.value)
    with pytest.raises(InputError) as error:
        distill(Sums(), small(), data, loss="cc", recipe=recipe)
    assert code_of(error) == "E733"
    for wrong in (data.y + 5, data.y - 1):
        with pytest.raises(InputError) as error:
            distill(small(), small(), Examples(data.x, wrong), recipe=recipe)
        assert code_of(error) == "E736"
    with pytest.raises(InputError) as error:
        distill(small(), small(), Examples(data.x.expand(8, 3, 8, 8), data.y), recipe=recipe)
    assert code_of(error) == "E440"
    with pytest.raises(InputError) as error:
        distill(small(), small(), data, recipe=Recipe("adamv"))
    assert code_of(error) == "E737"
    flat = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    with pytest.raises(InputError) as error:
        distill(flat, small(), data, loss="at", recipe=recipe)
    assert code_of(error) == "E735"
    with pytest.raises(InputError) as error:
        distill(small(), small(), Examples(data.x * torch.nan, data.y), recipe=recipe)
    assert code_of(error) == "E734"


def test_size_counts_multiply_adds() -> None:
    params, flops = size(spaces.get("digits-resnet"), "depth=1-1-1,width=4-4-4")
    stages = 64 * 2 * 144 + 16 * (2 * 144 + 16) + 4 * (2 * 144 + 16)
    assert flops == 64 * 36 + stages + 40
    assert params == 36 + 8 + 6 * 144 + 6 * 8 + 2 * (16 + 8) + 50

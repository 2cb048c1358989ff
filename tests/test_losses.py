"""Distillation losses are library formulas, and torch differentiates them as it does plain code."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from autodas_dsl.compiler.interpret import interpret
from autodas_dsl.compiler.pipeline import to_ir
from autodas_dsl.language.inputs import Statistic
from autodas_dsl.statistics.collect import Collected
from autodas_dsl.training.losses import LOSSES
from autodas_dsl.training.watching import Distance

TEMPERATURE = 4.0
EQUAL = ("ickd", "kd")
"""What needs equal classes or channels."""


# --- the same in plain torch, as their authors write them ----------------------------------------


def kd(a: Tensor, b: Tensor) -> Tensor:
    own, wanted = (F.log_softmax(x / TEMPERATURE, 1) for x in (a, b))
    return TEMPERATURE**2 * (wanted.exp() * (wanted - own)).sum(1).mean()


def cc(a: Tensor, b: Tensor) -> Tensor:
    return F.mse_loss(a @ a.T, b @ b.T)


def rkd(a: Tensor, b: Tensor) -> Tensor:
    def distances(rows: Tensor) -> Tensor:
        squared = (rows[:, None] - rows[None]).square().sum(-1)
        apart = ~torch.eye(len(rows), dtype=torch.bool)
        found = squared.clamp_min(1e-12).sqrt() * apart
        return found / found[apart].mean()

    def angles(rows: Tensor) -> Tensor:
        directions = F.normalize(rows[None] - rows[:, None], dim=-1)
        return directions @ directions.transpose(1, 2)

    return 25 * F.smooth_l1_loss(distances(a), distances(b)) + 50 * F.smooth_l1_loss(
        angles(a), angles(b)
    )


def pkt(a: Tensor, b: Tensor) -> Tensor:
    def similarities(rows: Tensor) -> Tensor:
        unit = F.normalize(rows, dim=1)
        scaled = (unit @ unit.T + 1) / 2
        return scaled / scaled.sum(1, keepdim=True)

    p, q = similarities(a), similarities(b)
    return (q * ((q + 1e-7) / (p + 1e-7)).log()).mean()


def pooled(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    size = (min(a.shape[2], b.shape[2]), min(a.shape[3], b.shape[3]))
    return F.adaptive_avg_pool2d(a, size), F.adaptive_avg_pool2d(b, size)


def at(a: Tensor, b: Tensor) -> Tensor:
    one, other = (F.normalize(x.square().mean(1).flatten(1), dim=1) for x in pooled(a, b))
    return F.mse_loss(one, other)


def sp(a: Tensor, b: Tensor) -> Tensor:
    one, other = (F.normalize(x.flatten(1) @ x.flatten(1).T, dim=1) for x in (a, b))
    return F.mse_loss(one, other)


def nst(a: Tensor, b: Tensor) -> Tensor:
    x, y = (F.normalize(one.flatten(2), dim=2) for one in pooled(a, b))

    def kernel(one: Tensor, other: Tensor) -> Tensor:
        return (one @ other.transpose(1, 2)).square().mean((1, 2))

    return (kernel(x, x) + kernel(y, y) - 2 * kernel(x, y)).mean()


def ickd(a: Tensor, b: Tensor) -> Tensor:
    def gram(x: Tensor) -> Tensor:
        rows = x.flatten(2)
        return F.normalize(rows @ rows.transpose(1, 2), dim=2)

    return (gram(a) - gram(b)).square().sum(2).mean()


PLAIN: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "kd": kd, "at": at, "sp": sp, "nst": nst, "ickd": ickd, "cc": cc, "rkd": rkd, "pkt": pkt,
}  # fmt: skip


# --- what they are given --------------------------------------------------------------------------


def drawn(
    name: str, who: str, *, classes: int = 5, width: int = 4, side: int = 2, dead: bool = False
) -> tuple[Statistic, Tensor]:
    """What a loss compares of one network; `dead` has a channel that is 0, as ReLU leaves them."""
    (letter,) = {s.name[0] for s in Distance(name, TEMPERATURE).statistics}
    shape = {"P": (6, classes), "E": (6, width), "F": (6, width, side, side)}[letter]
    generator = torch.Generator().manual_seed(ord(who))
    x = torch.randn(shape, generator=generator, dtype=torch.float64)
    if dead:
        x = torch.cat([x[:, :1] * 0, x[:, 1:].abs() + 0.1], 1)
    return Statistic(f"{letter}_{who}"), x


def compared(name: str, own: Statistic, other: Statistic, taught: Tensor) -> Callable[..., Tensor]:
    distance = Distance(name, TEMPERATURE)
    return lambda x: distance({own: x}, {other: taught})


def test_each_loss_has_a_plain_form() -> None:
    assert sorted(LOSSES) == sorted(PLAIN)


@pytest.mark.parametrize("name", sorted(LOSSES))
@pytest.mark.parametrize("dead", [False, True])
def test_a_loss_and_its_gradient_are_those_of_plain_torch(name: str, dead: bool) -> None:
    (own, a), (other, b) = drawn(name, "s", dead=dead), drawn(name, "t", dead=dead)
    distance = compared(name, own, other, b)
    a.requires_grad_()
    found, expected = distance(a), PLAIN[name](a, b)
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-12)
    (grad,), (wanted,) = torch.autograd.grad(found, [a]), torch.autograd.grad(expected, [a])
    assert grad.isfinite().all()
    assert grad.abs().sum() > 0
    torch.testing.assert_close(grad, wanted, rtol=1e-5, atol=1e-9)
    if not dead:
        assert torch.autograd.gradcheck(distance, (a,))


@pytest.mark.parametrize("name", sorted(LOSSES))
def test_a_loss_is_the_library_proxy_with_the_sign_turned(name: str) -> None:
    (own, a), (other, b) = drawn(name, "s"), drawn(name, "t")
    score = interpret(to_ir(name), Collected({own: a, other: b}))
    distance = compared(name, own, other, b)
    assert float(distance(a)) == -score > 1e-6
    assert float(distance(b)) == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("name", sorted(LOSSES))
def test_in_single_precision_too_gradients_are_finite(name: str) -> None:
    (own, a), (other, b) = drawn(name, "s", dead=True), drawn(name, "t", dead=True)
    a = a.float().requires_grad_()
    (grad,) = torch.autograd.grad(compared(name, own, other, b.float())(a), [a])
    assert grad.isfinite().all()
    assert grad.dtype == torch.float32


@pytest.mark.parametrize("name", sorted(set(LOSSES) - set(EQUAL)))
def test_losses_between_different_shapes(name: str) -> None:
    (own, a), (other, b) = drawn(name, "s"), drawn(name, "t", classes=7, width=9, side=4)
    assert Distance(name, TEMPERATURE).misfit({own: a}, {other: b}) is None
    assert compared(name, own, other, b)(a).isfinite()


@pytest.mark.parametrize(
    ("name", "what"), [("kd", ("classes", 5, 7)), ("ickd", ("channels", 4, 9))]
)
def test_losses_that_need_equal_ones(name: str, what: tuple[str, int, int]) -> None:
    (own, a), (other, b) = drawn(name, "s"), drawn(name, "t", classes=7, width=9)
    assert Distance(name, TEMPERATURE).misfit({own: a}, {other: b}) == what


def test_the_temperature_is_that_of_the_recipe() -> None:
    (own, a), (other, b) = drawn("kd", "s"), drawn("kd", "t")
    at_one = -F.log_softmax(a, 1)
    expected = (F.softmax(b, 1) * (F.log_softmax(b, 1) + at_one)).sum(1).mean()
    torch.testing.assert_close(Distance("kd", 1.0)({own: a}, {other: b}), expected)

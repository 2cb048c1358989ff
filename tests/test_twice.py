"""Convolutions and batch normalisation that are quick to differentiate twice equal torch's."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from autodas_dsl.statistics.twice import quick_twice


def drawn(*shape: int) -> Tensor:
    generator = torch.Generator().manual_seed(sum(shape))
    return torch.randn(*shape, generator=generator, dtype=torch.float64).requires_grad_()


@pytest.mark.parametrize(
    ("stride", "padding", "dilation", "groups"),
    [(1, 1, 1, 1), (2, 0, 1, 1), ((2, 1), (1, 0), 1, 1), (1, 2, 2, 2), (1, 0, (1, 2), 4)],
)
def test_convolutions(stride: object, padding: object, dilation: object, groups: int) -> None:
    def convolved(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        with quick_twice():
            return torch.conv2d(x, weight, bias, stride, padding, dilation, groups)  # type: ignore[call-overload, no-any-return]

    inputs = (drawn(2, 4, 6, 7), drawn(4, 4 // groups, 3, 2), drawn(4))
    assert torch.equal(
        convolved(*inputs),
        torch.conv2d(*inputs, stride, padding, dilation, groups),  # type: ignore[call-overload]
    )
    assert torch.autograd.gradcheck(convolved, inputs)
    assert torch.autograd.gradgradcheck(convolved, inputs)


@pytest.mark.parametrize("norm", [nn.BatchNorm1d(3), nn.BatchNorm2d(3), nn.BatchNorm2d(3, eps=0.1)])
def test_batch_normalisation(norm: nn.Module) -> None:
    norm = norm.double().requires_grad_(False)
    for parameter in norm.parameters():
        parameter.copy_(torch.linspace(-1, 2, 3))

    def normed(x: Tensor) -> Tensor:
        with quick_twice():
            return norm(x)  # type: ignore[no-any-return]

    x = drawn(5, 3) if isinstance(norm, nn.BatchNorm1d) else drawn(2, 3, 4, 3)
    assert torch.equal(normed(x), norm(x))
    assert torch.autograd.gradcheck(normed, (x,))
    assert torch.autograd.gradgradcheck(normed, (x,))


def test_what_it_does_not_cover_is_torchs() -> None:
    learned, plain = nn.BatchNorm2d(3).double(), nn.BatchNorm2d(3, affine=False).double()
    same = nn.Conv2d(3, 3, 3, padding="same").double()
    x = drawn(2, 3, 4, 4)
    with quick_twice():
        assert torch.conv2d(x, same.weight).shape == (2, 3, 2, 2)
        assert torch.conv2d(x, same.weight, padding=1).shape == x.shape
        assert torch.equal(
            nn.functional.batch_norm(x, None, None, training=True),
            nn.functional.batch_norm(x, None, None, None, None, True),
        )
    for module in (learned, learned.eval(), plain, same):
        expected = torch.autograd.grad(module(x).sum(), [x, *module.parameters()])
        with quick_twice():
            found = torch.autograd.grad(module(x).sum(), [x, *module.parameters()])
        for one, other in zip(found, expected, strict=True):
            assert torch.equal(one, other)

"""Convolutions and batch normalisation that are quick to differentiate twice.

torch takes the second derivative of a convolution through convolutions with kernels as large as
the map. Its three bilinear maps (output, gradient of the input, gradient of the weight) are each
other's derivatives, so the second derivative needs no other kernels than the first. That of batch
normalisation is taken in closed form, in fewer passes over the map.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable
from torch.nn import functional
from torch.overrides import TorchFunctionMode

_INPUTS_ONLY: ContextVar[bool] = ContextVar("inputs_only", default=False)
_NOT_TRANSPOSED: tuple[bool, list[int]] = (False, [0, 0])


class _Geometry(NamedTuple):
    stride: list[int]
    padding: list[int]
    dilation: list[int]
    groups: int


@contextmanager
def inputs_only() -> Iterator[None]:
    """Within it, backward passes are about inputs: they skip the gradients of convolutions' weights,
    which a `Function` cannot see to be unwanted."""
    token = _INPUTS_ONLY.set(True)
    try:
        yield
    finally:
        _INPUTS_ONLY.reset(token)


class QuickTwice(TorchFunctionMode):
    """Within it, 2-D convolutions and batch normalisation are the quick ones, as far as they cover
    a call."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        if func is torch.conv2d and len(args) == 7 and args[0].dim() == 4:
            x, weight, bias, stride, padding, dilation, groups = args
            if not isinstance(padding, str):
                geometry = _Geometry(_pair(stride), _pair(padding), _pair(dilation), groups)
                out: Tensor = _Output.apply(x, weight, bias, geometry)
                return out
        given = kwargs or {}
        if func is functional.batch_norm and given.keys() >= {"weight", "training", "eps"}:
            weight = given["weight"]
            if given["training"] and weight is not None and not weight.requires_grad:
                normed: Tensor = _Normed.apply(args[0], weight, given.get("bias"), given["eps"])
                return normed
        return func(*args, **(kwargs or {}))


def _pair(value: int | Sequence[int]) -> list[int]:
    return [value, value] if isinstance(value, int) else list(value)


class _Output(Function):
    """x * w + b."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, geometry: _Geometry
    ) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.geometry = geometry
        *sizes, groups = geometry
        out: Tensor = torch.ops.aten.convolution(x, weight, bias, *sizes, *_NOT_TRANSPOSED, groups)
        return out

    @staticmethod
    def backward(ctx: Any, gy: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        of_x, of_weight, of_bias, _ = ctx.needs_input_grad
        of_weight = of_weight and not _INPUTS_ONLY.get()
        bias = gy.sum((0, 2, 3)) if of_bias else None
        if not torch.is_grad_enabled():  # differentiated for the last time
            of_both = _backward(gy, x, weight, ctx.geometry, of_x, of_weight)
            return *of_both, bias, None
        return (
            _InputGradient.apply(gy, weight, x.detach(), ctx.geometry) if of_x else None,
            _WeightGradient.apply(x, gy, weight.detach(), ctx.geometry) if of_weight else None,
            bias,
            None,
        )


class _InputGradient(Function):
    """The derivative of (x * w) · gy with respect to x; `like` has its shape."""

    @staticmethod
    def forward(ctx: Any, gy: Tensor, weight: Tensor, like: Tensor, geometry: _Geometry) -> Tensor:
        ctx.save_for_backward(gy, weight)
        ctx.geometry = geometry
        return _backward(gy, like, weight, geometry, True, False)[0]

    @staticmethod
    def backward(ctx: Any, ggx: Tensor) -> tuple[Tensor | None, Tensor | None, None, None]:
        gy, weight = ctx.saved_tensors
        of_gy, of_weight, *_ = ctx.needs_input_grad
        return (
            _Output.apply(ggx, weight, None, ctx.geometry) if of_gy else None,
            _WeightGradient.apply(ggx, gy, weight.detach(), ctx.geometry) if of_weight else None,
            None,
            None,
        )


class _WeightGradient(Function):
    """The derivative of (x * w) · gy with respect to w; `like` has its shape."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, gy: Tensor, like: Tensor, geometry: _Geometry) -> Tensor:
        ctx.save_for_backward(x, gy)
        ctx.geometry = geometry
        return _backward(gy, x, like, geometry, False, True)[1]

    @staticmethod
    def backward(ctx: Any, ggw: Tensor) -> tuple[Tensor | None, Tensor | None, None, None]:
        x, gy = ctx.saved_tensors
        of_x, of_gy, *_ = ctx.needs_input_grad
        return (
            _InputGradient.apply(gy, ggw, x.detach(), ctx.geometry) if of_x else None,
            _Output.apply(x, ggw, None, ctx.geometry) if of_gy else None,
            None,
            None,
        )


def _backward(
    gy: Tensor, x: Tensor, weight: Tensor, geometry: _Geometry, of_x: bool, of_weight: bool
) -> tuple[Tensor, Tensor]:
    *sizes, groups = geometry
    found = torch.ops.aten.convolution_backward(
        gy, x, weight, None, *sizes, *_NOT_TRANSPOSED, groups, [of_x, of_weight, False]
    )
    return found[0], found[1]


class _Normed(Function):
    """Batch normalisation by the statistics of the batch; scale and shift are constants."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, eps: float) -> Tensor:
        out, mean, inverse = torch.native_batch_norm(
            x, weight, bias, None, None, training=True, momentum=0.0, eps=eps
        )
        ctx.save_for_backward(x, weight, mean, inverse)
        ctx.eps = eps
        return out

    @staticmethod
    def backward(ctx: Any, gy: Tensor) -> tuple[Tensor, None, None, None]:
        return _NormedGradient.apply(gy, *ctx.saved_tensors, ctx.eps), None, None, None


class _NormedGradient(Function):
    """Its first derivative: of gy and x, linear in gy and its own adjoint in it."""

    @staticmethod
    def forward(
        ctx: Any, gy: Tensor, x: Tensor, weight: Tensor, mean: Tensor, inverse: Tensor, eps: float
    ) -> Tensor:
        ctx.save_for_backward(gy, x, weight, mean, inverse)
        ctx.eps = eps
        return _normed_gradient(gy, x, weight, mean, inverse, eps)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, ggx: Tensor) -> tuple[Tensor, Tensor, None, None, None, None]:
        """With s = 1/std, n = (x - mean) s and averages over all but channels, the derivative of
        <ggx, weight s (gy - avg(gy) - n avg(gy n))> with respect to x."""
        gy, x, weight, mean, inverse = ctx.saved_tensors
        others = [0, *range(2, x.dim())]
        shape = [1, -1] + [1] * (x.dim() - 2)

        def average(values: Tensor) -> Tensor:
            return values.mean(others)

        of_gy, of_ggx = average(gy), average(ggx)
        along_gy = (average(gy * x) - mean * of_gy) * inverse
        along_ggx = (average(ggx * x) - mean * of_ggx) * inverse
        shared = average(gy * ggx) - of_gy * of_ggx - 3 * along_gy * along_ggx
        scale = -weight * inverse**2
        of_x = scale * shared * inverse
        constant = -of_x * mean - scale * (along_ggx * of_gy + along_gy * of_ggx)
        found = torch.addcmul(constant.view(shape), x, of_x.view(shape))
        found.addcmul_(gy, (scale * along_ggx).view(shape))
        found.addcmul_(ggx, (scale * along_gy).view(shape))
        own = _normed_gradient(ggx, x, weight, mean, inverse, ctx.eps)
        return own, found, None, None, None, None


def _normed_gradient(
    gy: Tensor, x: Tensor, weight: Tensor, mean: Tensor, inverse: Tensor, eps: float
) -> Tensor:
    found: Tensor = torch.ops.aten.native_batch_norm_backward(
        gy, x, weight, None, None, mean, inverse, True, eps, [True, False, False]
    )[0]
    return found

"""Convolutions and batch normalisation that are quick to differentiate twice.

torch takes the second derivative of a convolution through convolutions with kernels as large as
the map. Its three bilinear maps (output, gradient of the input, gradient of the weight) are each
other's derivatives, so the second derivative needs no other kernels than the first. That of batch
normalisation is taken in closed form, in fewer passes over the map.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable
from torch.nn import functional

from autodas_dsl.statistics.capture import Intercepting

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


def quick_twice() -> Intercepting:
    """Within it, 2-D convolutions and batch normalisation are the quick ones, as far as they cover
    a call."""
    return Intercepting(_quick)


def _quick(func: Any, args: tuple[Any, ...], options: Mapping[str, Any]) -> Any:
    if func is torch.conv2d and len(args) == 7 and args[0].dim() == 4:
        x, weight, bias, stride, padding, dilation, groups = args
        if not isinstance(padding, str):
            geometry = _Geometry(_pair(stride), _pair(padding), _pair(dilation), groups)
            return _Convolution.apply("y", x, weight, None, bias, geometry)
    if func is functional.batch_norm and options.keys() >= {"weight", "training", "eps"}:
        weight = options["weight"]
        if options["training"] and weight is not None and not weight.requires_grad:
            return _Normed.apply(args[0], weight, options.get("bias"), options["eps"])
    return func(*args, **options)


def _pair(value: int | Sequence[int]) -> list[int]:
    return [value, value] if isinstance(value, int) else list(value)


class _Convolution(Function):
    """The derivative of (x * w) · y with respect to one of x, w and y; y's is the convolution.

    Only the shape is read of the one that it is `of`. The derivatives with respect to the other
    two, with what comes back in the place of that one, are of the same form.
    """

    @staticmethod
    def forward(
        ctx: Any, of: str, x: Tensor, w: Tensor, y: Tensor | None, bias: Tensor | None,
        geometry: _Geometry,
    ) -> Tensor:  # fmt: skip
        others = {name: value for name, value in zip("xwy", (x, w, y), strict=True) if name != of}
        ctx.save_for_backward(*others.values())
        ctx.of, ctx.others, ctx.geometry = of, tuple(others), geometry
        if y is not None:
            of_x, of_w = _derivatives(x, w, y, geometry, of == "x", of == "w")
            return of_x if of == "x" else of_w
        *sizes, groups = geometry
        out: Tensor = torch.ops.aten.convolution(x, w, bias, *sizes, *_NOT_TRANSPOSED, groups)
        return out

    @staticmethod
    def backward(ctx: Any, back: Tensor) -> tuple[Tensor | None, ...]:
        given = {ctx.of: back, **dict(zip(ctx.others, ctx.saved_tensors, strict=True))}
        x, w, y = (given[name] for name in "xwy")
        _, of_x, of_w, of_y, of_bias, _ = ctx.needs_input_grad
        if ctx.of == "y":
            of_w = of_w and not _INPUTS_ONLY.get()
            bias = y.sum((0, 2, 3)) if of_bias else None
            if not torch.is_grad_enabled():  # differentiated for the last time
                return None, *_derivatives(x, w, y, ctx.geometry, of_x, of_w), None, bias, None
        else:
            bias = None
        found = _Convolution.apply
        return (
            None,
            found("x", x.detach(), w, y, None, ctx.geometry) if of_x else None,
            found("w", x, w.detach(), y, None, ctx.geometry) if of_w else None,
            found("y", x, w, None, None, ctx.geometry) if of_y else None,
            bias,
            None,
        )


def _derivatives(
    x: Tensor, w: Tensor, y: Tensor, geometry: _Geometry, of_x: bool, of_w: bool
) -> tuple[Tensor, Tensor]:
    *sizes, groups = geometry
    found = torch.ops.aten.convolution_backward(
        y, x, w, None, *sizes, *_NOT_TRANSPOSED, groups, [of_x, of_w, False]
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

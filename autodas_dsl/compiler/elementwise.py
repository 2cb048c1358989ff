"""The torch functions of elementwise operators that torch itself has not, or slowly."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from autodas_dsl.compiler.backend import backend_of


def _elementary(name: str, x: Tensor, overwrite: bool = False) -> Tensor:
    return backend_of(x).elementary(name, x, overwrite)


def exp(x: Tensor) -> Tensor:
    return _elementary("exp", x)


def log(x: Tensor) -> Tensor:
    return _elementary("log", x)


def sqrt(x: Tensor) -> Tensor:
    return _elementary("sqrt", x)


def tanh(x: Tensor) -> Tensor:
    return _elementary("tanh", x)


def abslog(x: Tensor) -> Tensor:
    """ln 1 where x is 0."""
    return _elementary("log", functional.threshold(torch.abs(x), 0.0, 1.0), True)


def symlog(x: Tensor) -> Tensor:
    return _elementary("log1p", torch.abs(x), True).copysign_(x)


def abssqrt(x: Tensor) -> Tensor:
    return _elementary("sqrt", torch.abs(x), True)


def softplus(x: Tensor) -> Tensor:
    """max(x, 0) + ln(1 + e^-|x|): exact for large and for small x."""
    part = _elementary("exp", torch.abs(x).neg_(), True)
    return _elementary("log1p", part, True).add_(x.clamp_min(0))


def mish(x: Tensor) -> Tensor:
    """x tanh(ln(1 + e^x)) as x n / (n + 2) with n = e^x (e^x + 2); beyond 20 it is x."""
    grown = _elementary("exp", x.clamp_max(20), True)
    n = (grown + 2).mul_(grown)
    return n.div_(n + 2).mul_(x)


def power(x: Any, exponent: Any) -> Tensor:
    """IEEE power of tensors or numbers; square roots and whole exponents by repeated squaring are
    twenty times as fast. (-inf)^0.5 is NaN here."""
    if isinstance(x, Tensor) and not isinstance(exponent, Tensor):
        if exponent == 0.5:
            return sqrt(x).add_(0.0)  # (-0)^0.5 is 0
        if isinstance(exponent, int) and 4 <= exponent <= 16:
            return _whole_power(x, exponent)
    result: Tensor = torch.pow(x, exponent)
    return result


def _whole_power(x: Tensor, exponent: int) -> Tensor:
    if exponent == 1:
        return x
    half = _whole_power(x * x, exponent // 2)
    return half * x if exponent % 2 else half

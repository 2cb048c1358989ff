"""Attention maps, kept as they are made, whether or not the network shows them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from autodas_dsl.statistics.capture import Calls, Intercepting, follow, running_modules
from autodas_dsl.statistics.network import Network

_SOFTMAX = frozenset({torch.softmax, torch.Tensor.softmax, F.softmax, torch.special.softmax})


def hook_attention(network: Network, calls: Calls, stack: ExitStack) -> None:
    """Keep the attention maps, under the innermost module they are made in.

    They are what a softmax over the last axis of a tensor with more than two axes returns, and
    what `torch.nn.functional.scaled_dot_product_attention` makes on its way, which is then taken
    in plain arithmetic.
    """
    running = running_modules(network, stack)

    def softmax(func: Any, *args: Any, **options: Any) -> Any:
        weights = func(*args, **options)
        dim = options.get("dim", args[1] if len(args) > 1 else None)
        if weights.dim() > 2 and dim in (-1, weights.dim() - 1):
            follow(weights)
            calls.add(running[-1], weights)
            return weights.clone() if calls.keep_copies or weights.is_leaf else weights
        return weights

    def fused(
        query: Tensor, key: Tensor, value: Tensor, attn_mask: Tensor | None = None,
        dropout_p: float = 0.0, is_causal: bool = False, scale: float | None = None,
        enable_gqa: bool = False,
    ) -> Tensor:  # fmt: skip
        if enable_gqa:
            groups = query.shape[-3] // key.shape[-3]
            key, value = (t.repeat_interleave(groups, -3) for t in (key, value))
        scores = query @ key.transpose(-2, -1)
        scores = scores * (query.shape[-1] ** -0.5 if scale is None else scale)
        if is_causal:
            scores = scores + scores.new_full(scores.shape[-2:], -torch.inf).triu(1)
        if attn_mask is not None:
            blocked = attn_mask.dtype == torch.bool
            scores = scores.masked_fill(~attn_mask, -torch.inf) if blocked else scores + attn_mask
        weights = softmax(torch.softmax, scores, -1)
        return torch.dropout(weights, dropout_p, dropout_p > 0) @ value

    def watch(func: Any, args: tuple[Any, ...], options: Mapping[str, Any]) -> Any:
        if func is F.scaled_dot_product_attention:
            return fused(*args, **options)
        if func is F.multi_head_attention_forward:  # what it calls inside is not intercepted
            with _replaced(F, scaled_dot_product_attention=fused,
                           softmax=partial(softmax, torch.softmax)):  # fmt: skip
                return func(*args, **options)
        return softmax(func, *args, **options) if func in _SOFTMAX else func(*args, **options)

    stack.enter_context(Intercepting(watch))


@contextmanager
def _replaced(owner: Any, **names: Any) -> Iterator[None]:
    held = {name: getattr(owner, name) for name in names}
    try:
        for name, value in names.items():
            setattr(owner, name, value)
        yield
    finally:
        for name, value in held.items():
            setattr(owner, name, value)

"""Channel covariances of every layer, kept in place of the activations they are made of.

A search over spectra of activations needs ``chancov(A)``, not ``A``: 64 by 64 values a layer
instead of 64 by 65,536. Use it with ``--with gram_statistics.py --inputs cov_A,cor_A,…``; a formula
that was found keeps its meaning with ``chancov(A)`` for ``cov_A`` and ``chancorr(A)`` for ``cor_A``.
"""

import torch
from torch import nn

from autodas_dsl.compiler.kernels import chancorr, chancov
from autodas_dsl.language.extend import Input, kind

LAYERS = (nn.Conv1d, nn.Conv2d, nn.Linear)


def outputs(model, batch):
    """The logits, and what each layer put out: [B, C, positions]."""
    seen = {}

    def keep(layer, _, out):
        seen[layer] = out

    layers = [module for module in model.modules() if isinstance(module, LAYERS)]
    handles = [layer.register_forward_hook(keep) for layer in layers]
    logits = model(batch.x)
    for handle in handles:
        handle.remove()
    return logits, layers, [seen[layer] for layer in layers]


def rows(layer, tensor):
    """[B, C, positions]; tokens of a Linear layer are [B, positions, C]."""
    if isinstance(layer, nn.Linear) and tensor.dim() > 2:
        tensor = tensor.flatten(1, -2).transpose(1, 2)
    return tensor.flatten(2) if tensor.dim() > 2 else tensor.unsqueeze(-1)


def gram(of):
    def collect(model, batch):
        with torch.no_grad():
            _, layers, tensors = outputs(model, batch)
        return [of(rows(*pair), 3) for pair in zip(layers, tensors, strict=True)]

    return collect


def gram_of_gradients(model, batch):
    logits, layers, tensors = outputs(model, batch)
    loss = nn.functional.cross_entropy(logits, batch.y)
    gradients = torch.autograd.grad(loss, tensors, materialize_grads=True)  # 0 for dead edges
    return [chancov(rows(*pair), 3) for pair in zip(layers, gradients, strict=True)]


SQUARE = kind("lin", C="channels", R="channels")
cov_A = Input("cov_A", SQUARE, "chancov(A): channel covariance of each layer's output.",
              r"\Sigma_{{A{index}}}", "activations", collect=gram(chancov))  # fmt: skip
cor_A = Input("cor_A", SQUARE, "chancorr(A): channel correlation of each layer's output.",
              r"R_{{A{index}}}", "activations", collect=gram(chancorr))  # fmt: skip
cov_gA = Input("cov_gA", SQUARE, "chancov(grad A): channel covariance of each output's gradient.",
               r"\Sigma_{{\nabla A{index}}}", "activations", collect=gram_of_gradients)  # fmt: skip

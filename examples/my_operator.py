"""Operators and a statistic of your own. Use them with ``--with my_operator.py``.

A function gets tensors with any number of leading axes (layers or networks of one shape are
stacked there), so axes are counted from the end: `dims` are those of one tensor.
"""

import torch

from autodas_dsl.language.extend import Attribute, Input, kind, op


def share_above(x, dims, limit):
    return (x.abs() > limit).double().mean(dims)


def last_bias(model, batch):
    biases = [p for name, p in model.named_parameters() if name.endswith("bias")]
    return biases[-1].norm() if biases else 0.0


gelu = op("gelu", "x -> x", torch.nn.functional.gelu, "x times the normal distribution of x.",
          group="elementwise", latex=r"\operatorname{{GELU}}\!\left({0}\right)")  # fmt: skip
above = op("above", "x -> less", share_above, "Share of values further from 0 than a limit.",
           group="reduction", axis="HW C B CHW G", hides=True,
           attrs=(Attribute("limit", 1, 0, 100, search=(0.1, 1), doc="The limit."),))  # fmt: skip
bias = Input("bias", kind(), "Norm of the last bias.", r"\|b\|", "weights", collect=last_bias)

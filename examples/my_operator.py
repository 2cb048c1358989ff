"""Operators and a statistic of one's own, for every command that reads formulas: --with FILE.py."""

import torch
from torch import nn

from autodas_dsl.language.extend import op, statistic

softsign = op("softsign", "x -> x", "torch.nn.functional.softsign({0})", "x / (1 + |x|).")


def far_from_zero(x, dims):
    """Axes before the named ones stay as they are; `dims` counts from the end."""
    return torch.sum(x.abs() / (1 + x.abs()), dims)


softcount = op(
    "softcount", "x -> less", far_from_zero, "The sum of |x| / (1 + |x|).",
    latex=r"\left|{0}\right|_{{\mathrm{{soft}}{within}}}", laws="even nonnegative",
)  # fmt: skip


def count_convolutions(model, batch):
    """The batch, with x and y, is there for statistics that need it."""
    return sum(isinstance(module, nn.Conv2d) for module in model.modules())


depth_of = statistic("depth_of", count_convolutions, "How many convolutions there are.")

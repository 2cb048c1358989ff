"""An operator and a statistic of one's own, for every command that reads formulas:

autodas-dsl score examples/resnet20.py -p "sum(softcount(W)) + depth_of" --with examples/my_operator.py
"""

import torch
from torch import nn

from autodas_dsl.language.extend import op, statistic


def softcount_of(x, dims):
    """Any leading axes are kept: `dims` counts from the end."""
    return torch.sum(x.abs() / (1 + x.abs()), dims)


softcount = op(
    "softcount",
    "x -> less",
    softcount_of,
    "How many entries are far from 0: the sum of |x| / (1 + |x|).",
    latex=r"\left|{0}\right|_{{\mathrm{{soft}}{within}}}",
    laws="even nonnegative",
)
softsign = op(
    "softsign", "x -> x", "torch.nn.functional.softsign({0})", "x / (1 + |x|).", laws="odd"
)


def count_convolutions(model, batch):
    return sum(isinstance(module, nn.Conv2d) for module in model.modules())


depth_of = statistic("depth_of", count_convolutions, "How many convolutions the network has.")

"""A space of your own in one function: an architecture is any text that ``build`` understands.

Use it with ``--space my_functions.py`` and a table whose column ``arch`` holds such texts.
"""

from torch import nn

input_shape = (1, 8, 8)
classes = 10


def build(arch: str):
    """``conv3|conv5|skip``: one layer after the other."""
    layers, width = [], input_shape[0]
    for layer in arch.split("|"):
        if layer != "skip":
            kernel = int(layer.removeprefix("conv"))
            layers += [nn.Conv2d(width, 8, kernel, padding="same"), nn.ReLU()]
            width = 8
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, classes))


def sample(rng):
    """Only `search` needs this, or ``archs()``, which lists all architectures."""
    return "|".join(rng.choice(["skip", "conv1", "conv3", "conv5"], 4))

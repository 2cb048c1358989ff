"""The usual changes of training images: mirrored, and cut out of a padded image."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from autodas_dsl.language.errors import InputError
from autodas_dsl.training.recipe import Recipe


def augmented(x: Tensor, recipe: Recipe) -> Tensor:
    """Each image by itself, drawn from torch's generator.

    Parameters
    ----------
    x : Tensor
        ``[B, C, H, W]``; other inputs can only be left as they are.
    recipe : Recipe
        Its `flip` and `crop` say what is done.

    Raises
    ------
    InputError
        E756, when the inputs are no images.
    """
    if not (recipe.flip or recipe.crop):
        return x
    if x.dim() != 4:
        raise InputError(
            "E756", f"inputs of shape {list(x.shape[1:])} are no images to flip or crop",
            "leave flip and crop out",
        )  # fmt: skip
    if recipe.crop:
        x = cropped(x, recipe.crop)
    if recipe.flip:
        mirrored = torch.rand(len(x)).to(x.device) < 0.5
        x = torch.where(mirrored[:, None, None, None], x.flip(3), x)
    return x


def cropped(x: Tensor, padding: int) -> Tensor:
    """Each image moved by up to `padding` pixels each way, filled with zeros."""
    count, channels, height, width = x.shape
    padded = F.pad(x, (padding,) * 4)
    down, right = torch.randint(2 * padding + 1, (2, count)).to(x.device)
    # every axis is indexed: with channels last, oneDNN overwrites memory on AVX2 processors
    image = torch.arange(count, device=x.device)[:, None, None, None]
    channel = torch.arange(channels, device=x.device)[:, None, None]
    rows = down[:, None] + torch.arange(height, device=x.device)
    columns = right[:, None] + torch.arange(width, device=x.device)
    return padded[image, channel, rows[:, None, :, None], columns[:, None, None, :]]

"""What blocks do to their inputs, and to gradients on the way back."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from autodas_dsl.execution.randomness import seed_for
from autodas_dsl.statistics.errors import StatisticError
from autodas_dsl.statistics.features import as_map
from autodas_dsl.statistics.forward import Outcome
from autodas_dsl.statistics.gradients import gradient
from autodas_dsl.statistics.layers import blocks
from autodas_dsl.statistics.network import Network


def block_calls(
    network: Network, outcome: Outcome, statistic: str
) -> list[tuple[str, Tensor, Tensor]]:
    """The blocks that were called: name, input, output; in registration order.

    Raises
    ------
    StatisticError
        E770, when there is none.
    """
    seen = [outcome.calls[what] for what in ("block inputs", "block outputs")]
    found = [
        (name if call == 0 else f"{name}#{call + 1}", source, result)
        for name, module in blocks(network.module).items()
        for call, (source, result) in enumerate(zip(*(s.of(module) for s in seen), strict=False))
    ]
    if not found:
        raise StatisticError(
            "E770", "the network has no blocks",
            "blocks are the modules of a sequence that have layers of their own", statistic,
        )  # fmt: skip
    return found


def transfers(network: Network, outcome: Outcome, seed: int) -> tuple[Tensor, ...]:
    """``[c_in s^2, c_out]`` per block: what the statistic `T` is.

    From AZ-NAS (Lee and Ham, CVPR 2024): for the Jacobian J of a block and random signs v,
    the mean over batch and positions of J^T v v^T.

    Raises
    ------
    StatisticError
        E771, when a block changes the resolution by no whole factor.
    """
    return tuple(_transfer(network, seed, *call) for call in block_calls(network, outcome, "T"))


def _transfer(network: Network, seed: int, name: str, source: Tensor, result: Tensor) -> Tensor:
    generator = torch.Generator().manual_seed(seed_for(seed, f"signs {name}"))
    drawn = torch.randint(0, 2, result.shape, generator=generator)
    signs = (2 * drawn - 1).to(result.device, result.dtype)
    if result.requires_grad:
        (back,) = gradient("T", (result * signs).sum(), [source], retain=True)
    else:  # it does not depend on the input
        back = torch.zeros_like(source)
    same = back.shape == signs.shape and torch.equal(back, signs)
    given, taken = (as_map(t, None, network.channels_first)[0] for t in (back, signs))
    stride = given.shape[-1] // taken.shape[-1]
    if [side * stride for side in taken.shape[2:]] != list(given.shape[2:]):
        shapes = " to ".join(str(list(t.shape)) for t in (source, result))
        raise StatisticError(
            "E771", f"block {name} changes the resolution by no whole factor: {shapes}",
            "its positions cannot be joined to channels; I and O are still there",
            "T",
        )  # fmt: skip
    if same:
        return given.new_zeros(given.shape[1], taken.shape[1])
    rows = [t.transpose(0, 1).flatten(1) for t in (F.pixel_unshuffle(given, stride), taken)]
    return rows[0] @ rows[1].T / rows[1].shape[1]

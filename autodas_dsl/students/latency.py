"""How long a network takes for one sample, measured on this device."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

WARM_UP = 5
RUNS = 30


@dataclass(frozen=True, slots=True)
class Latency:
    """Seconds of one forward pass of one sample, over `RUNS` passes after `WARM_UP` others.

    Attributes
    ----------
    median : float
    low, high : float
        Quartiles.
    """

    median: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.median * 1e3:.3g} ms ({self.low * 1e3:.3g}–{self.high * 1e3:.3g})"


def measured(network: nn.Module, x: Tensor) -> Latency:
    """The latency of a network in eval mode on `x` [1, ...], both on the device that is measured."""
    network.eval()
    taken = []
    with torch.inference_mode():
        for _ in range(WARM_UP + RUNS):
            start = time.perf_counter()
            network(x)
            if x.device.type != "cpu":
                torch.get_device_module(x.device).synchronize()
            taken.append(time.perf_counter() - start)
    low, median, high = np.quantile(taken[WARM_UP:], (0.25, 0.5, 0.75))
    return Latency(float(median), float(low), float(high))

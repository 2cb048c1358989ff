"""Distillation losses, an entry each: formulas of the library with the sign turned, and modules.

The table imports nothing heavy, so that the command line can complete its names.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Loss:
    """One distillation loss.

    Attributes
    ----------
    factor : float
        The usual one, beside a cross-entropy of factor 1.
    shares : bool
        Whether the cross-entropy gives way: (1 - alpha) CE + alpha L, as Hinton et al. (2015) have
        it, where every other paper adds its loss to the whole cross-entropy.
    module : str
        The module of this room whose `Learnt` it is, for a loss with parameters of its own; empty
        for the formula of the library that has the name.
    """

    factor: float
    shares: bool = False
    module: str = ""


LOSSES = {
    "kd": Loss(1.0, shares=True),
    "at": Loss(1000.0),
    "sp": Loss(3000.0),
    "nst": Loss(50.0),
    "ickd": Loss(2.5),
    "cc": Loss(0.02),
    "rkd": Loss(1.0),
    "pkt": Loss(30_000.0),
    "dkd": Loss(1.0),
    "hints": Loss(100.0, module="hints"),
    "crd": Loss(0.8, module="contrast"),
}

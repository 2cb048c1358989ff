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
        The usual one beside the cross-entropy.
    module : str
        The module of this room whose `Learnt` it is, for a loss with parameters of its own; empty
        for the formula of the library that has the name.
    """

    factor: float
    module: str = ""


LOSSES = {
    "kd": Loss(1.0),
    "at": Loss(1000.0),
    "sp": Loss(3000.0),
    "nst": Loss(50.0),
    "ickd": Loss(2.5),
    "cc": Loss(0.02),
    "rkd": Loss(1.0),
    "pkt": Loss(30_000.0),
    "dkd": Loss(1.0),
    "hints": Loss(100.0, "hints"),
    "crd": Loss(0.8, "contrast"),
}

"""Distillation losses: formulas of the library with the sign turned, which torch differentiates.

The table imports nothing, so that the command line can complete its names.
"""

from __future__ import annotations

LOSSES = {
    "kd": 1.0,
    "at": 1000.0,
    "sp": 3000.0,
    "nst": 50.0,
    "ickd": 2.5,
    "cc": 0.02,
    "rkd": 1.0,
    "pkt": 30_000.0,
}
"""By the name of a formula over P, E and F its usual factor beside the cross-entropy."""

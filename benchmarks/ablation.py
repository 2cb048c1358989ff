"""What the parts of the language are worth: the same search with some of them left out.

One line per variant: Kendall and Spearman of the best formula on the selection and on the held-out
architectures, mean and standard deviation over the seeds (each with its own split).

    python benchmarks/ablation.py [TABLE] [--space NAME] [--target COLUMN] [--data FILE.npz]
        [--seeds 3] [--iterations 100] [--memory 1]
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from autodas_dsl.evolution.config import Config
from autodas_dsl.evolution.session import search
from autodas_dsl.evolution.vocabulary import DEFAULT_INPUTS
from autodas_dsl.scoring.setting import Data

_PAIRS = tuple(name for name in DEFAULT_INPUTS if name.endswith(("_s", "_t")))
VARIANTS: dict[str, dict[str, Any]] = {
    "everything": {},
    "instinct only": {"terms": "instinct"},
    "interaction only": {"terms": "interaction"},
    "gradient-free": {"gradient_free": True},
    "no weights": {"inputs": tuple(i for i in DEFAULT_INPUTS if i not in ("W", "grad W"))},
    "weights only": {"inputs": ("W", "grad W")},
    "no activations": {"inputs": tuple(i for i in DEFAULT_INPUTS if not i.endswith(("A", "A)")))},
    "maps and logits only": {"inputs": _PAIRS},
    "no transforms, no spectra": {
        "operators": ("arithmetic", "elementwise", "normalise", "distance", "norm", "reduction")
    },
    "no distances but CKA": {
        "operators": ("arithmetic", "elementwise", "normalise", "transform", "spectral", "norm",
                      "reduction", "CKA")
    },
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("table", nargs="?", default="digits-resnet")
    parser.add_argument("--space")
    parser.add_argument("--target")
    parser.add_argument("--data")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--iterations", type=int, default=100)
    parser.add_argument(
        "--memory", type=float, default=1, help="GiB, see evolve --memory and --thin"
    )
    options = parser.parse_args()
    table = Path(options.table) if options.table.endswith(".csv") else options.table
    data = Data(options.data) if options.data else None
    settings: dict[str, Any] = {
        "strategy": "adaptive-elite", "population": 20,  # as when docs/results.md was made
        "target": options.target, "space": options.space, "data": data, "null_repeats": 0,
        "memory": options.memory, "thin": options.memory,
    }  # fmt: skip
    print(
        "| variant | selection tau | held-out tau | held-out Spearman |\n| --- | --- | --- | --- |"
    )
    for name, changes in VARIANTS.items():
        found = []
        for seed in range(options.seeds):
            config = Config(iterations=options.iterations, seed=seed, **settings, **changes)
            champion = search([table], config).run.champion
            held = champion.held_out[0].agreement
            found.append((champion.individual.tau, held.kendall or 0.0, held.spearman or 0.0))
        cells = zip(np.mean(found, axis=0), np.std(found, axis=0), strict=True)
        shown = " | ".join(f"{mean:.3f} ± {spread:.3f}" for mean, spread in cells)
        print(f"| {name} | {shown} |", flush=True)


if __name__ == "__main__":
    main()

"""One formula over stored statistics, beside the pass that collected them.

``python benchmarks/formula.py`` prints, for each formula, its share of the time that collecting W,
grad W, F, E and P of all networks takes; batch 64, float32. Nothing is known to the engine before.
"""

from __future__ import annotations

import time
from statistics import median

from autodas_dsl import spaces
from autodas_dsl.compiler.engine import Engine
from autodas_dsl.compiler.ir import Node
from autodas_dsl.compiler.pipeline import to_ir
from autodas_dsl.data.batches import load_batch
from autodas_dsl.language.inputs import Statistic
from autodas_dsl.language.library import load
from autodas_dsl.statistics.collect import Collected, collect, collect_teacher

ARCHITECTURES = ("1-1-1", "1-3-5", "3-3-3", "5-5-5", "7-7-7")
FORMULAS = ("snip", "rho_cnn", "rho_cnn_s0")
OWN = [Statistic("W"), Statistic("W", "grad"), *(Statistic(f"{name}_s") for name in "FEP")]
REPEATS = 5


def main() -> None:
    space = spaces.get("cifar-resnet")
    batch = load_batch("noise", size=64, input_shape=space.input_shape, classes=space.classes)
    wanted = [Statistic(f"{name}_t") for name in "FEP"]
    teacher = collect_teacher(space.build(space.parse("9-9-9")), batch, wanted)
    networks = [space.build(space.parse(text)) for text in ARCHITECTURES]
    collect(networks[0], batch, OWN)  # warm
    started = time.perf_counter()
    stored = [collect(network, batch, OWN).merged(teacher) for network in networks]
    collecting = time.perf_counter() - started
    evaluation(stored, to_ir(load("snip")))  # warm
    print(f"collecting {len(networks)} networks: {collecting:.2f} s")
    for name in FORMULAS:
        node = to_ir(load(name))
        seconds = median(evaluation(stored, node) for _ in range(REPEATS))
        print(f"{name:12} {seconds / collecting:.2%} of it")


def evaluation(stored: list[Collected], node: Node) -> float:
    """Seconds that one formula takes on all networks."""
    engine = Engine(stored)
    started = time.perf_counter()
    engine.evaluate([node])
    return time.perf_counter() - started


if __name__ == "__main__":
    main()

"""What it costs to collect W, grad W, F, E and P, beside a bare forward and backward.

Both run over the same cifar-resnets and the same batch, in turns, in one process; the printed
ratios are what counts, not the times.

    python benchmarks/collect.py [--batch-size 64] [--repeats 10] [--threads 1]
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from torch import nn

from autodas_dsl import spaces
from autodas_dsl.data.batches import load_batch
from autodas_dsl.language.inputs import Statistic
from autodas_dsl.statistics.collect import collect

WANTED = [Statistic(n) for n in ("W", "F_s", "E_s", "P_s")] + [Statistic("W", "grad")]
DEPTHS = ("1-1-1", "3-3-3", "1-3-5", "5-5-5", "7-7-7")


def bare(network: nn.Module, x: torch.Tensor, y: torch.Tensor) -> None:
    parameters = list(network.parameters())
    torch.autograd.grad(F.cross_entropy(network(x), y), parameters)


def seconds(run: Callable[[], object], threads: int) -> float:
    # On one thread the time of this process, which other processes hardly disturb.
    clock = time.process_time if threads == 1 else time.perf_counter
    start = clock()
    run()
    return clock() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=10, help="the first one warms up")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    batch = load_batch("noise", size=options.batch_size, input_shape=(3, 32, 32), classes=100)
    total_bare = total_ours = 0.0
    print(f"{'network':>8} {'bare ms':>9} {'collect ms':>11} {'ratio':>7}")
    for depths in DEPTHS:
        space, arch = spaces.resolve(f"cifar-resnet:{depths}")
        torch.manual_seed(0)
        network = space.build(arch).train()
        runs = (partial(bare, network, batch.x, batch.y), partial(collect, network, batch, WANTED))
        times = [[seconds(run, options.threads) for run in runs] for _ in range(options.repeats)]
        plain, ours = (statistics.median(column) for column in zip(*times[1:], strict=True))
        total_bare += plain
        total_ours += ours
        print(f"{depths:>8} {plain * 1e3:9.1f} {ours * 1e3:11.1f} {ours / plain:7.3f}")
    ratio = total_ours / total_bare
    print(f"{'all':>8} {total_bare * 1e3:9.1f} {total_ours * 1e3:11.1f} {ratio:7.3f}")


if __name__ == "__main__":
    main()

"""What a device does with the work of a search: collecting, formulas a second, one whole search.

Everything on S0, 64 cifar-resnets. Run it once for each device of a machine; where formulas are
computed on a GPU and on a processor, `--against` a file of scores tells how far they differ.

    python benchmarks/device.py --device cpu --formulas 1000 --scores cpu.npz
    python benchmarks/device.py --device cuda --scores cuda.npz --against cpu.npz
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import formulas
import numpy as np
import s0
import torch
from scipy.stats import spearmanr

from autodas_dsl.compiler.engine import Engine
from autodas_dsl.evolution.api import evolve
from autodas_dsl.execution.memory import tune_memory
from autodas_dsl.scoring.setting import Data
from autodas_dsl.statistics.collect import Collected, collect, collect_teacher

T = TypeVar("T")
GENERATION = 500


def timed(run: Callable[[], T]) -> tuple[float, T]:
    """Seconds of the clock, with what the device still computes."""
    before = time.perf_counter()
    found = run()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - before, found


def collecting(device: str, dtype: torch.dtype) -> list[Collected]:
    """Statistics of all networks, the first of which warms up."""
    images = s0.batch()
    networks = [s0.network(text).to(device) for text in s0.architectures()]
    teacher = collect_teacher(s0.network(s0.TEACHER).to(device), images, s0.STATISTICS, dtype=dtype)
    collect(networks[0], images, s0.STATISTICS, teacher=teacher, dtype=dtype)
    seconds, found = timed(lambda: [
        collect(network, images, s0.STATISTICS, teacher=teacher, dtype=dtype)
        for network in networks
    ])  # fmt: skip
    print(f"collecting a network of S0, batch 64:   {1e3 * seconds / 64:8.1f} ms", flush=True)
    return found


def evaluating(networks: list[Collected], count: int, device: str) -> dict[str, np.ndarray]:
    """Scores of random formulas, in generations; the first formula lays the statistics out."""
    population = formulas.population(count, networks)
    roots = list(population.values())
    engine = Engine(networks)
    laid, _ = timed(lambda: engine.evaluate(roots[:1]))
    starts = range(0, count, GENERATION)
    seconds, found = timed(
        lambda: [one for a in starts for one in engine.evaluate(roots[a : a + GENERATION])]
    )
    print(f"formulas on 64 networks, {count}:          {count / seconds:8.1f} a second", flush=True)
    print(f"the first formula:                      {1e3 * laid:8.1f} ms")
    if device != "cpu":
        peak = torch.cuda.max_memory_allocated() / 2**20
        print(f"peak memory of the device:              {peak:8.0f} MiB", flush=True)
    return {text: one.scores for text, one in zip(population, found, strict=True)}


def differing(own: dict[str, np.ndarray], path: Path) -> None:
    """How far scores are from those of another device."""
    with np.load(path) as other:
        shared = [text for text in own if text in other.files]
        far, ranks, validity = [], [], 0
        for text in shared:
            a, b = own[text], other[text]
            both = np.isfinite(a) & np.isfinite(b)
            validity += int((np.isfinite(a) != np.isfinite(b)).any())
            scale = np.abs(b[both]).max(initial=0) or 1.0
            far.append(np.abs(a[both] - b[both]).max(initial=0) / scale)
            if both.sum() > 2 and np.ptp(a[both]) and np.ptp(b[both]):
                ranks.append(spearmanr(a[both], b[both]).statistic)
    shares = ", ".join(f"{q:.0%} within {np.quantile(far, q):.1e}" for q in (0.5, 0.9, 0.99, 1.0))
    print(f"{len(shared)} formulas beside {path.name}, error by the largest score: {shares}")
    print(
        f"rank correlation of both: lowest {min(ranks):.4f}, {np.mean(np.array(ranks) > 0.999):.1%} above 0.999"
    )
    print(f"valid on one only: {validity}", flush=True)


def searching(device: str, dtype: torch.dtype) -> None:
    """One search with its statistics collected, no null level, nothing stored."""
    images = str(s0.SHARED / "images" / "cifar10_320.npz")
    with tempfile.TemporaryDirectory() as folder:
        seconds, run = timed(lambda: evolve(
            s0.SHARED / "ground_truth" / "cifar_resnet_s0.csv", target="cifar100_kd",
            data=Data(images, 64), inputs=("W", "grad W", "F_s", "E_s", "P_s", "F_t", "E_t", "P_t"),
            iterations=10**6, max_evaluations=1000, baselines=("params",), device=device,
            dtype=dtype, run=Path(folder) / "run",
        ))  # fmt: skip
    tau = run.champion.held_out[0].agreement.kendall
    print(f"a search of 1,000 formulas over S0:     {seconds:8.1f} s, Kendall held out {tau:.3f}")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--formulas", type=int, default=5000)
    parser.add_argument("--dtype", choices=("float32", "float64"), default="float32")
    parser.add_argument("--scores", type=Path, help="keep the scores in this .npz")
    parser.add_argument("--against", type=Path, help="scores of another device")
    parser.add_argument("--no-search", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    tune_memory()
    dtype = getattr(torch, options.dtype)
    named = torch.cuda.get_device_name() if options.device != "cpu" else "one thread of a processor"
    print(f"# {named}, torch {torch.__version__}, {options.dtype}")
    networks = collecting(options.device, dtype)
    found = evaluating(networks, options.formulas, options.device)
    if options.scores:
        kept: dict[str, Any] = dict(found)
        np.savez(options.scores, **kept)
    if options.against:
        differing(found, options.against)
    if not options.no_search:
        searching(options.device, dtype)


if __name__ == "__main__":
    main()

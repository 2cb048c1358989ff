"""What a student search costs over the statistics that its formula needs, side by side.

    python benchmarks/students.py [SPACE] [-p snip] [--budget 40] [--repeats 5]

The search draws, sizes, scores and ranks; the other side builds the same networks and collects the
same statistics of the same batch. They take turns in one process with one thread; seconds are those
of the processor, nothing is stored. Printed are the medians and the median of the ratios.
"""

from __future__ import annotations

import argparse
import statistics
import time
from functools import partial
from pathlib import Path

import torch

from autodas_dsl import find_student, spaces
from autodas_dsl.compiler.pipeline import to_ir
from autodas_dsl.compiler.reading import needed
from autodas_dsl.language.library import load
from autodas_dsl.models.spaces import space_source
from autodas_dsl.scoring.scorebook import ScoreBook
from autodas_dsl.scoring.setting import Data, usual_setting
from autodas_dsl.scoring.table import table_batch
from autodas_dsl.statistics.collect import collect


def _listed(scored: list[str], done: int, name: str) -> None:
    scored.append(name)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("space", nargs="?", default="digits-resnet")
    parser.add_argument("-p", "--proxy", default="snip")
    parser.add_argument("--budget", type=int, default=40)
    parser.add_argument("--repeats", type=int, default=5, help="the first one warms up")
    options = parser.parse_args()
    torch.set_num_threads(1)
    space = spaces.get(options.space)
    setting = usual_setting(space, Data(space.data))
    batch = table_batch(space, setting, None, 0)
    wanted = needed([to_ir(load(options.proxy))])
    times: list[tuple[float, float]] = []
    for _ in range(options.repeats + 1):
        scored: list[str] = []
        start = time.process_time()
        with ScoreBook(Path(":memory:")) as book:
            find_student(
                space, options.proxy, budget=options.budget, book=book,
                progress=partial(_listed, scored),
            )  # fmt: skip
        middle = time.process_time()
        for name in scored:
            collect(space_source(space, name).build(0), batch, wanted)
        times.append((middle - start, time.process_time() - middle))
    ratio = statistics.median(ours / theirs for ours, theirs in times[1:])
    search, bare = (statistics.median(column) for column in zip(*times[1:], strict=True))
    print(
        f"{options.space}, {options.proxy}, {len(scored)} networks: search {search:.2f} s, "
        f"their statistics {bare:.2f} s, ratio {ratio:.3f}"
    )


if __name__ == "__main__":
    main()

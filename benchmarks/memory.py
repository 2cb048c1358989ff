"""Peak memory: of a ranking as tables grow, and of a search as `--memory` does.

Each line is a process of its own. Imports and the passes over one network take memory in any case;
`--memory` bounds what comes on top.

    python benchmarks/memory.py [--table TABLE] [--sizes 6,24,96] [--budgets 0.1,0.25,1]
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
from collections.abc import Callable
from pathlib import Path


def nothing() -> None:
    pass


def ranking(table: str, data: str | None, size: int) -> None:
    """All first-order proxies of the library that these networks allow, nothing stored."""
    from autodas_dsl import spaces
    from autodas_dsl.evaluation.rank import rank
    from autodas_dsl.language.library import library_names, load
    from autodas_dsl.scoring.setting import Data, usual_setting

    found = _loaded(table)
    space = spaces.get(found.space or "")
    setting = usual_setting(space, Data(data or space.data, 64))
    proxies = [load(name) for name in library_names() if name not in ("grasp", "te_nas")]
    rank(found, space, proxies, setting=setting, limit=size)


def passing(table: str, data: str | None) -> None:
    """The passes of a search over the largest network."""
    from autodas_dsl import spaces
    from autodas_dsl.evolution.config import Config
    from autodas_dsl.evolution.run import statistics_needed
    from autodas_dsl.scoring.setting import Data, usual_setting
    from autodas_dsl.scoring.stored import collect_table

    found = _loaded(table)
    space = spaces.get(found.space or "")
    setting = usual_setting(space, Data(data or space.data, 64))

    def size(architecture: str) -> int:
        return sum(p.numel() for p in space.build(space.parse(architecture)).parameters())

    collect_table([max(found.architectures, key=size)], space, statistics_needed(Config()), setting)


def searching(table: str, data: str | None, budget: float) -> None:
    """A short search with all default statistics."""
    from autodas_dsl.evolution.config import Config
    from autodas_dsl.evolution.session import search
    from autodas_dsl.scoring.setting import Data

    samples = Data(data, 64) if data else None
    config = Config(
        iterations=30, data=(samples,) if samples else (), memory=budget, null_repeats=0
    )
    search([_loaded(table)], config)


def _loaded(table: str):  # type: ignore[no-untyped-def]
    from autodas_dsl.tables.read import load_table

    return load_table(Path(table) if table.endswith(".csv") else table)


def peak(run: Callable[..., None], *given: object) -> float:
    """MiB of a new process that runs this."""
    context = multiprocessing.get_context("spawn")
    theirs, ours = context.Pipe()
    process = context.Process(target=_measured, args=(ours, run, given))
    process.start()
    ours.close()
    found: float = theirs.recv()
    process.join()
    return found


def _measured(pipe, run, given) -> None:  # type: ignore[no-untyped-def]
    import torch

    torch.set_num_threads(1)
    run(*given)
    pipe.send(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--table", default="digits-resnet")
    parser.add_argument("--data")
    parser.add_argument("--sizes", default="6,24,96")
    parser.add_argument("--budgets", default="0.1,0.25,1")
    options = parser.parse_args()
    print(f"{'imports':<32} {peak(nothing):7.0f} MiB", flush=True)
    for size in options.sizes.split(","):
        found = peak(ranking, options.table, options.data, int(size))
        print(f"{'rank ' + size + ' architectures':<32} {found:7.0f} MiB", flush=True)
    base = peak(passing, options.table, options.data)
    print(f"{'the passes over one network':<32} {base:7.0f} MiB", flush=True)
    for budget in options.budgets.split(","):
        found = peak(searching, options.table, options.data, float(budget))
        over = found - base
        name = f"evolve --memory {budget} GiB"
        print(f"{name:<32} {found:7.0f} MiB, {over:.0f} on top of the passes", flush=True)


if __name__ == "__main__":
    main()

"""Building a table: every architecture of a sample trained, alone and taught, over many seeds.

``python -m autodas_dsl.training.build digits-resnet --out FILE`` does the same as
``autodas-dsl table build digits-resnet``.
"""

from __future__ import annotations

import argparse
import hashlib
import multiprocessing
import platform
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import sklearn
import torch
from safetensors.numpy import load_file, save_file

from autodas_dsl import spaces
from autodas_dsl.language.spans import InputError
from autodas_dsl.spaces.base import suggestion
from autodas_dsl.training import sheet
from autodas_dsl.training.agreement import half_agreement, spearman, spearman_brown
from autodas_dsl.training.digits import SELECT, TRAIN, digits
from autodas_dsl.training.recipe import Recipe
from autodas_dsl.training.rows import (
    Row,
    Taught,
    consult,
    single_threaded,
    size,
    train_row,
    train_teacher,
)

Progress = Callable[[int, int], None]
"""Told how many architectures are done, and of how many, when that changes."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How the table of a space is built.

    Attributes
    ----------
    limit : int
        Architectures in the table, the first ones of a fixed random order.
    seeds : tuple of int
        Replicas trained alone, and taught.
    recipe : Recipe
    within : str, optional
        A field that ranks much of the table by itself: the findings are given for each of its
        values too.
    """

    limit: int
    seeds: tuple[int, int]
    recipe: Recipe
    within: str = ""


PLANS = {
    "digits-resnet": Plan(limit=96, seeds=(8, 16), recipe=Recipe()),
    "digits-vit": Plan(
        limit=96,
        seeds=(4, 8),
        recipe=Recipe("adamw", learning_rate=1e-2, weight_decay=0.05, steps=1000),
        within="patch",
    ),
}
"""The tables that can be built; a space on the digits joins by a line here."""


def build_table(
    space_name: str,
    out: Path,
    *,
    limit: int | None = None,
    vanilla_seeds: int | None = None,
    kd_seeds: int | None = None,
    workers: int = 1,
    progress: Progress | None = None,
) -> Path:
    """Train a sample of a space and write its table; a second call goes on where one stopped.

    The teacher's weights are kept beside the table, in ``digits-teacher.safetensors``, and used
    from there when present. The accuracies do not depend on `workers`.

    Parameters
    ----------
    space_name : str
        A key of `PLANS`.
    out : Path
        The CSV file.
    limit, vanilla_seeds, kd_seeds : int, optional
        Other numbers than the plan's. A finished table may be taken up again with a larger limit.
    workers : int
        Processes, each with one thread.
    progress : callable, optional

    Returns
    -------
    Path
        `out`

    Raises
    ------
    InputError
        No plan for the space (E722), fewer than 2 seeds or 3 architectures (E723), an output file
        that is another build's (E720) or cannot be written (E721).
    """
    if space_name not in PLANS:
        raise InputError(
            "E722", f'no table can be built for "{space_name}"', suggestion(space_name, [*PLANS])
        )
    plan = PLANS[space_name]
    seeds = (vanilla_seeds or plan.seeds[0], kd_seeds or plan.seeds[1])
    archs = sample(space_name, limit or plan.limit)
    if min(seeds) < 2 or len(archs) < 3:
        raise InputError("E723", "a table needs 2 seeds and 3 architectures", "ask for more")
    out = Path(out)
    with _pool(workers) as pool:
        taught = _teacher(out.with_name("digits-teacher.safetensors"), pool)
        provenance = _provenance(space_name, plan.recipe, seeds, taught)
        rows = sheet.read(out, provenance, seeds)
        waiting = [arch for arch in archs if arch not in rows]
        if progress is not None:
            progress(len(archs) - len(waiting), len(archs))
        jobs = [
            pool.submit(train_row, space_name, arch, plan.recipe, seeds, taught.logits)
            for arch in waiting
        ]
        try:
            for job in as_completed(jobs):
                row = job.result()
                rows[row.arch] = row
                sheet.replace(out, sheet.render(_ordered(rows, archs), provenance, seeds))
                if progress is not None:
                    progress(sum(arch in rows for arch in archs), len(archs))
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
    ordered = _ordered(rows, archs)
    sheet.replace(out, sheet.render(ordered, provenance | _findings(space_name, ordered), seeds))
    return out


def sample(space_name: str, limit: int) -> list[str]:
    """The first `limit` architectures of a fixed random order of a space's members."""
    space = spaces.get(space_name)
    members = space.enumerate()
    assert members is not None, "plans are for spaces that can be listed"
    texts = [space.format(arch) for arch in members]
    order = np.random.default_rng(0).permutation(len(texts))
    return [texts[number] for number in order[:limit]]


def _pool(workers: int) -> ProcessPoolExecutor:
    context = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(workers, mp_context=context, initializer=single_threaded)


def _teacher(path: Path, pool: ProcessPoolExecutor) -> Taught:
    if not path.exists():
        save_file(pool.submit(train_teacher).result(), path)
    return pool.submit(consult, load_file(path)).result()


def _ordered(rows: dict[str, Row], archs: Sequence[str]) -> list[Row]:
    """Rows in the order of the sample, whichever was done first."""
    return [rows[arch] for arch in archs if arch in rows]


def _provenance(
    space_name: str, recipe: Recipe, seeds: tuple[int, int], taught: Taught
) -> dict[str, str]:
    """What must agree for two builds to be one table."""
    weights = b"".join(taught.weights[key].tobytes() for key in sorted(taught.weights))
    tests = len(digits().test.y)
    return {
        "table": space_name,
        "space": space_name,
        "data": "scikit-learn digits, 1797 handwritten 8x8 images in their order",
        "splits": f"train first {TRAIN}, selection next {SELECT} (not reported), test last {tests}",
        "accuracies": f"share of the {tests} test images, mean over seeds",
        "seeds": f"vanilla 0-{seeds[0] - 1}, kd 0-{seeds[1] - 1}",
        "recipe": f"{recipe}, shifts of up to 1 pixel",
        "teacher": f"digits-resnet {spaces.get('digits-resnet').teacher}, seed 0, "
        f"selection {taught.select:.4f}, test {taught.test:.4f}, "
        f"sha256 {hashlib.sha256(weights).hexdigest()[:16]}",
        "versions": f"torch {torch.__version__}, scikit-learn {sklearn.__version__}, "
        f"numpy {np.__version__}, {platform.machine()}",
    }


def _findings(space_name: str, rows: Sequence[Row]) -> dict[str, str]:
    """Noise ceilings, and what size alone explains, in all rows and in each group of them."""
    count = len(rows)
    space = spaces.get(space_name)
    found = {
        "command": f"autodas-dsl table build {space_name} --limit {count}",
        "architectures": f"{count}, drawn at random from {space.count()}",
    }
    groups = {"": list(rows)}
    if within := PLANS[space_name].within:
        for row in rows:
            value = getattr(space.parse(row.arch), within)
            groups.setdefault(f" within {within}={value}", []).append(row)
    for group, members in sorted(groups.items()):
        if len(members) > 2:
            found |= {f"{key}{group}": text for key, text in _agreement(space_name, members)}
    return found


def _agreement(space_name: str, rows: Sequence[Row]) -> Iterator[tuple[str, str]]:
    sizes = np.array([size(space_name, row.arch) for row in rows], dtype=np.float64)
    for target in sheet.TARGETS:
        table = np.array([getattr(row, target) for row in rows])
        half = half_agreement(table)
        yield (
            f"noise ceiling {target}",
            f"{spearman_brown(half):.4f} (spearman of half the seeds {half:.4f})",
        )
        for name, column in zip(("params", "flops"), sizes.T, strict=True):
            yield f"spearman {name} {target}", f"{spearman(column, table.mean(1)):.4f}"


def main() -> None:
    """Build one table from the command line, a line for each architecture done."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("space", choices=sorted(PLANS))
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--limit", type=int)
    parser.add_argument("--workers", type=int, default=1)
    given = parser.parse_args()
    build_table(
        given.space,
        given.out,
        limit=given.limit,
        workers=given.workers,
        progress=lambda done, total: print(f"{done}/{total}", flush=True),
    )


if __name__ == "__main__":
    main()

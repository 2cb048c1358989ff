"""Building a table: every architecture of a sample trained, alone and taught, over many seeds."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import sklearn
import torch
from safetensors.numpy import load_file, save
from scipy.stats import spearmanr

from autodas_dsl import spaces
from autodas_dsl.execution.executors import executor_of
from autodas_dsl.execution.jobs import DEADLY, Job, Lost, persistent
from autodas_dsl.execution.threads import one_thread
from autodas_dsl.language.errors import InputError
from autodas_dsl.language.files import write_atomic
from autodas_dsl.spaces.base import suggestion
from autodas_dsl.tables.info import noise_ceiling
from autodas_dsl.tables.table import MINIMUM
from autodas_dsl.tables.write import write_table
from autodas_dsl.training.digits import SELECT, TRAIN, digits
from autodas_dsl.training.recipe import Recipe
from autodas_dsl.training.rows import DECIMALS, Row, Training, size
from autodas_dsl.training.sheet import TARGETS, begun, table_of
from autodas_dsl.training.teacher import (
    TEACHER_FILE,
    TEACHER_SPACE,
    Taught,
    consult,
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
    workers: int | str = 1,
    executor: Any = None,
    progress: Progress | None = None,
) -> Path:
    """Train a sample of a space and write its table; a second call goes on where one stopped.

    The teacher's weights are kept beside the table, in `TEACHER_FILE`, and used from there when
    present. The accuracies do not depend on the workers.

    Parameters
    ----------
    space_name : str
        A key of `PLANS`.
    out : Path
        The CSV file.
    limit, vanilla_seeds, kd_seeds : int, optional
        Other numbers than the plan's. A finished table may be taken up again with a larger limit.
    workers : int or str
        Processes, each with one thread, or ``"ray"``.
    executor : optional
        Trains instead, see `executor_of`; it is closed at the end.
    progress : callable, optional

    Returns
    -------
    Path
        `out`

    Raises
    ------
    InputError
        No plan for the space (E722), fewer than 2 seeds or 5 architectures (E723), an output file
        that is another build's (E720) or cannot be written (E721, E517), workers that die (E724).
    """
    if space_name not in PLANS:
        raise InputError(
            "E722", f'no table can be built for "{space_name}"', suggestion(space_name, [*PLANS])
        )
    plan = PLANS[space_name]
    limit = plan.limit if limit is None else limit
    alone = plan.seeds[0] if vanilla_seeds is None else vanilla_seeds
    taught = plan.seeds[1] if kd_seeds is None else kd_seeds
    if min(alone, taught) < 2 or limit < MINIMUM:
        raise InputError(
            "E723", f"a table needs 2 seeds and {MINIMUM} architectures", "ask for more"
        )
    out = Path(out)
    if not out.parent.is_dir():
        raise InputError("E721", f"there is no folder {out.parent}", "make it, or choose another")
    order = sampling_order(space_name)
    with one_thread(), executor_of(workers, executor) as trainers:
        teacher = _teacher(out.with_name(TEACHER_FILE))
        provenance = _provenance(plan.recipe, (alone, taught), teacher)
        rows = begun(out, space_name, provenance, (alone, taught))
        waiting = [arch for arch in order[:limit] if arch not in rows]
        total = len(rows) + len(waiting)
        if progress is not None:
            progress(len(rows), total)
        training = Training(space_name, plan.recipe, (alone, taught), teacher.logits)
        lost = []
        for number, row in persistent(trainers, (Job(training, arch) for arch in waiting)):
            if isinstance(row, Lost):
                lost.append(waiting[number])
                continue
            rows[row.arch] = row
            ordered = [rows[arch] for arch in order if arch in rows]
            write_table(table_of(space_name, ordered, provenance), out, decimals=DECIMALS)
            if progress is not None:
                progress(len(rows), total)
    if lost:
        raise InputError(
            "E724", f"{lost[0]} cannot be trained: {DEADLY}",
            "the same command with fewer --workers trains what is missing",
        )  # fmt: skip
    ordered = [rows[arch] for arch in order if arch in rows]
    findings = _findings(space_name, ordered)
    write_table(table_of(space_name, ordered, provenance | findings), out, decimals=DECIMALS)
    return out


def sampling_order(space_name: str) -> list[str]:
    """All members of a space in a fixed random order; a table holds the first of them."""
    space = spaces.get(space_name)
    members = space.enumerate()
    assert members is not None, "plans are for spaces that can be listed"
    texts = [space.format(arch) for arch in members]
    return [texts[number] for number in np.random.default_rng(0).permutation(len(texts))]


def _teacher(path: Path) -> Taught:
    if not path.exists():
        write_atomic(path, save(train_teacher()))
    return consult(load_file(path))


def _provenance(recipe: Recipe, seeds: tuple[int, int], taught: Taught) -> dict[str, str]:
    """What must agree for two builds to be one table."""
    weights = b"".join(taught.weights[key].tobytes() for key in sorted(taught.weights))
    tests = len(digits().test.y)
    return {
        "data": "scikit-learn digits, 1797 handwritten 8x8 images in their order",
        "splits": f"train first {TRAIN}, selection next {SELECT} (not reported), test last {tests}",
        "accuracies": f"share of the {tests} test images, mean over seeds",
        "seeds": f"vanilla 0-{seeds[0] - 1}, kd 0-{seeds[1] - 1}",
        "recipe": f"{recipe}, shifts of up to 1 pixel",
        "teacher": f"{TEACHER_SPACE} {spaces.get(TEACHER_SPACE).teacher}, seed 0, "
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
        if len(members) >= MINIMUM:
            found |= {f"{key}{group}": text for key, text in _agreement(space_name, members)}
    return found


def _agreement(space_name: str, rows: Sequence[Row]) -> Iterator[tuple[str, str]]:
    sizes = np.array([size(space_name, row.arch) for row in rows], dtype=np.float64)
    for target in TARGETS:
        seeds = np.array([getattr(row, target) for row in rows])
        ceiling = noise_ceiling(seeds)
        if ceiling is not None:
            yield (
                f"noise ceiling {target}",
                f"{ceiling.all_seeds:.4f} (spearman of half the seeds {ceiling.halves:.4f})",
            )
        for name, column in zip(("params", "flops"), sizes.T, strict=True):
            correlation = spearmanr(column, seeds.mean(1)).statistic
            yield f"spearman {name} {target}", f"{correlation:.4f}"

"""Building a table: every architecture of a sample trained, alone and taught, over many seeds."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import sklearn
import torch
from scipy.stats import spearmanr

from autodas_dsl import spaces
from autodas_dsl.data.samples import Samples
from autodas_dsl.execution.executors import executor_of
from autodas_dsl.execution.jobs import DEADLY, Job, Lost, persistent
from autodas_dsl.execution.threads import one_thread
from autodas_dsl.language.errors import InputError
from autodas_dsl.language.visible import visible
from autodas_dsl.scoring.setting import Teacher, teacher_from, usual_teacher
from autodas_dsl.spaces.base import Space, suggestion
from autodas_dsl.statistics.fingerprint import device_name
from autodas_dsl.tables.info import noise_ceiling
from autodas_dsl.tables.table import MINIMUM, write_table
from autodas_dsl.training.lessons import Lessons, lessons_of
from autodas_dsl.training.losses import LOSSES
from autodas_dsl.training.recipe import Recipe
from autodas_dsl.training.rows import (
    DECIMALS,
    KD,
    TARGETS,
    Row,
    Training,
    Untrainable,
    begun,
    size,
    table_of,
)
from autodas_dsl.training.teacher import consult

Progress = Callable[[int, int], None]
"""Told how many architectures are done, and of how many, when that changes."""

_TRIES = 1000
"""Draws without one new architecture after which a space is taken to have no more."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How the table of a space is built.

    Attributes
    ----------
    sample : int
        Architectures in the table, the first ones of a fixed random order.
    seeds : tuple of int
        Replicas trained alone, and taught.
    recipe : Recipe
    within : str, optional
        A field that ranks much of the table by itself: the findings are given for each of its
        values too.
    """

    sample: int = 64
    seeds: tuple[int, int] = (4, 4)
    recipe: Recipe = field(default_factory=Recipe)
    within: str = ""


PLANS = {
    "digits-resnet": Plan(sample=96, seeds=(8, 16)),
    "digits-vit": Plan(
        sample=96,
        seeds=(4, 8),
        recipe=Recipe("adamw", learning_rate=1e-2, weight_decay=0.05, steps=1000),
        within="patch",
    ),
}
"""How the tables that ship were built; any other space has the usual `Plan`."""


def build_table(
    space: str | Space[Any],
    out: Path,
    *,
    data: str | Samples | None = None,
    test_data: str | Samples | None = None,
    teacher: str | Teacher | torch.nn.Module | None = None,
    loss: str = KD,
    sample: int | None = None,
    seeds: tuple[int, int] | None = None,
    recipe: Recipe | None = None,
    device: str = "cpu",
    workers: int | str = 1,
    executor: Any = None,
    progress: Progress | None = None,
    command: str = "",
) -> Path:
    """Train a sample of a space and write its table; a second call goes on where one stopped.

    Each row stands in the file as soon as it is trained. The accuracies do not depend on the
    workers. Networks that cannot be built or trained are left out, which the table says.

    Parameters
    ----------
    space : str or Space
        A name, a file of your own or a space.
    out : Path
        The CSV file.
    data, test_data : str or samples, optional
        What is trained and tested on; see `lessons_of`.
    teacher : str, nn.Module or Teacher, optional
        By default the space's usual one, where that has trained weights.
    loss : str
        With which the taught learn, a key of `LOSSES`.
    sample : int, optional
        Architectures, drawn at random. A finished table may be taken up again with a larger one.
    seeds : tuple of int, optional
        Networks of each architecture trained alone, and taught; 0 leaves that column out.
    recipe : Recipe, optional
    device : str
        Where networks are trained; another one rounds otherwise, so that the table names it.
    workers : int or str
        Processes, each with one thread, or ``"ray"``.
    executor : optional
        Trains instead, see `executor_of`; it is closed at the end.
    progress : callable, optional
    command : str
        The command line behind it, for the table to name.

    Returns
    -------
    Path
        `out`

    Raises
    ------
    InputError
        An output file that is another build's (E720) or cannot be written (E721, E517), no samples
        (E722), too few seeds or architectures (E723), workers that die (E724), a teacher of other
        classes (E725), none or one that guesses (E726), no network that can be trained (E727), an
        unknown loss (E730).
    """
    family = spaces.get(space) if isinstance(space, str) else space
    plan = PLANS.get(family.name, Plan())
    guide = teacher_from(teacher) or _trained(usual_teacher(family))
    both = seeds or (plan.seeds if guide else (plan.seeds[0], 0))
    _require(both, guide, sample, loss)
    out = Path(out)
    if not out.parent.is_dir():
        raise InputError("E721", f"there is no folder {out.parent}", "make it, or choose another")
    order = sampling_order(family, plan.sample if sample is None else sample)
    lessons = lessons_of(family, data, test_data)
    with one_thread(), executor_of(workers, executor) as trainers:
        logits, teacher_said = (
            consult(guide, lessons, family, device) if guide and both[1] else (None, "none")
        )
        used = recipe or plan.recipe
        table = _Growing(
            family, out, _provenance(family, lessons, used, both, teacher_said, loss, device), both
        )
        training = Training(
            family,
            used,
            both,
            lessons,
            guide,
            logits if loss == KD else None,
            loss,
            device,
        )
        waiting = [arch for arch in order if arch not in table.rows]
        total = len(table.rows) + len(waiting)
        if progress is not None:
            progress(len(table.rows), total)
        lost, left_out = [], []
        for number, row in persistent(trainers, (Job(training, arch) for arch in waiting)):
            if isinstance(row, Lost):
                lost.append(waiting[number])
            elif isinstance(row, Untrainable):
                left_out.append(row)
            else:
                table.add(row, order)
            if progress is not None:
                progress(len(table.rows) + len(left_out), total)
    if lost:
        raise InputError(
            "E724", f"{lost[0]} cannot be trained: {DEADLY}",
            "the same command with fewer --workers trains what is missing",
        )  # fmt: skip
    if not table.rows:
        raise InputError(
            "E727", f"no network of {family.name} could be trained: {left_out[0].reason}",
            "score one of them alone to see what is wrong: autodas-dsl score SPACE:ARCH -p params",
        )  # fmt: skip
    table.finish(order, plan.within, left_out, command)
    return out


def sampling_order(space: Space[Any], sample: int) -> list[str]:
    """Members of a space in a fixed random order, isomorphic ones once; fewer where there are fewer."""
    rng = np.random.default_rng(0)
    members = space.enumerate()
    if members is not None:
        every = [space.format(arch) for arch in members]
        drawn: Iterator[str] = (every[number] for number in rng.permutation(len(every)))
    else:
        drawn = iter(lambda: space.format(space.sample(rng)), None)
    found: dict[str, str] = {}
    tries = 0
    for text in drawn:
        before = len(found)
        found.setdefault(space.canonical(space.parse(text)), text)
        tries = 0 if len(found) > before else tries + 1
        if len(found) == sample or (members is None and tries == _TRIES):
            break
    return list(found.values())


class _Growing:
    """The table as far as it is, in the file whenever a row has come."""

    def __init__(
        self, space: Space[Any], out: Path, provenance: dict[str, str], seeds: tuple[int, int]
    ) -> None:
        self._space, self._out, self._provenance = space, out, provenance
        self.rows = begun(out, space, provenance, seeds)

    def add(self, row: Row, order: Sequence[str]) -> None:
        self.rows[row.arch] = row
        self._write(self._ordered(order), {})

    def finish(
        self, order: Sequence[str], within: str, left_out: Sequence[Untrainable], command: str
    ) -> None:
        rows = self._ordered(order)
        count = self._space.count()
        found = {"command": command} if command else {}
        found["architectures"] = f"{len(rows)}, drawn at random" + (
            f" from {count}" if count else ""
        )
        if left_out:
            reasons = visible("; ".join(f"{one.arch}: {one.reason}" for one in left_out))
            found["left out"] = f"{len(left_out)} that could not be trained; {reasons}"
        self._write(rows, found | _findings(self._space, rows, within))

    def _ordered(self, order: Sequence[str]) -> list[Row]:
        """Those of this sample in its order, then those of a larger one before."""
        first = {arch: self.rows[arch] for arch in order if arch in self.rows}
        return [*(first | self.rows).values()]

    def _write(self, rows: Sequence[Row], findings: dict[str, str]) -> None:
        table = table_of(self._space, rows, self._provenance | findings)
        write_table(table, self._out, decimals=DECIMALS)


def _trained(teacher: Teacher | None) -> Teacher | None:
    return teacher if teacher is not None and teacher.weights else None


def _require(
    seeds: tuple[int, int], teacher: Teacher | None, sample: int | None, loss: str
) -> None:
    """Refuse what would make no table, before anything is trained."""
    if 1 in seeds or min(seeds) < 0 or seeds == (0, 0) or (sample or MINIMUM) < MINIMUM:
        raise InputError(
            "E723", f"a table needs 2 seeds and {MINIMUM} architectures", "ask for more"
        )
    if loss not in LOSSES:
        raise InputError("E730", f'there is no loss "{loss}"', suggestion(loss, [*LOSSES]))
    if seeds[1] and teacher is None:
        raise InputError(
            "E726", "there is no teacher for the networks that are taught",
            "add --teacher MODEL, or train alone: --seeds N,0",
        )  # fmt: skip


def _provenance(
    space: Space[Any],
    lessons: Lessons,
    recipe: Recipe,
    seeds: tuple[int, int],
    teacher: str,
    loss: str,
    device: str,
) -> dict[str, str]:
    """What must agree for two builds to be one table."""
    own = {"space file": f"{Path(space.file).name}, sha256 {space.source}"} if space.file else {}
    pairs = zip(TARGETS, seeds, strict=True)
    used = [
        str(recipe),
        lessons.augmentation,
        *([f"loss {loss}"] if seeds[1] and loss != KD else []),
    ]
    machine = platform.machine() if device == "cpu" else device_name(device)
    return {
        **own,
        **lessons.said,
        "seeds": ", ".join(f"{target} 0-{count - 1}" for target, count in pairs if count),
        "recipe": ", ".join(used),
        "teacher": teacher,
        "versions": f"torch {torch.__version__}, scikit-learn {sklearn.__version__}, "
        f"numpy {np.__version__}, {machine}",
    }


def _findings(space: Space[Any], rows: Sequence[Row], within: str) -> dict[str, str]:
    """Noise ceilings, and what size alone explains, in all rows and in each group of them."""
    groups = {"": list(rows)}
    if within:
        for row in rows:
            value = getattr(space.parse(row.arch), within)
            groups.setdefault(f" within {within}={value}", []).append(row)
    found: dict[str, str] = {}
    for group, members in sorted(groups.items()):
        if len(members) >= MINIMUM:
            found |= {f"{key}{group}": text for key, text in _agreement(space, members)}
    return found


def _agreement(space: Space[Any], rows: Sequence[Row]) -> Iterator[tuple[str, str]]:
    sizes = np.array([size(space, row.arch) for row in rows], dtype=np.float64)
    for target in TARGETS:
        seeds = np.array([getattr(row, target) for row in rows])
        if not seeds.size:
            continue
        ceiling = noise_ceiling(seeds)
        if ceiling is not None:
            yield (
                f"noise ceiling {target}",
                f"{ceiling.all_seeds:.4f} (spearman of half the seeds {ceiling.halves:.4f})",
            )
        for name, column in zip(("params", "flops"), sizes.T, strict=True):
            if np.ptp(column) and np.ptp(seeds.mean(1)):
                correlation = spearmanr(column, seeds.mean(1)).statistic
                yield f"spearman {name} {target}", f"{correlation:.4f}"

"""The whole loop on a space: grow a formula, search with it, distil what it finds.

1. `evolve` on half of the space's table (the run folder is resumed where it exists).
2. Search the space under each limit of parameters with what was found, with formulas that are
   published, by size, at random and by the measured table, without stored scores, for the CPU
   seconds beside them.
3. Distil every student that was picked with seeds that no table has seen.

Every pick and every training is a line in RUN/results.csv as soon as it is done: the same command
goes on after it was stopped, and prints the table at its end. Students that several ways picked are
trained once. The folder has a cache of its own, so that statistics are collected in the seconds of
the search; a search that was stopped counts only its last part.

    python benchmarks/loop.py digits-resnet [--run runs/loop-digits-resnet]
    python benchmarks/loop.py digits-vit
    python benchmarks/loop.py digits-resnet --tiny      # seconds: whether it runs

Accuracies are means over the seeds, of `random` over its students, with 95 % intervals of Student's
t. `measured table` picks the student whose distilled accuracy in the table is best: of those that
were ever measured, none is better but by chance. `evolved` may pick a network of the half it was
selected on, as a user's would; the column `in` says so.
"""

from __future__ import annotations

import argparse
import csv
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

from autodas_dsl import evolve, find_student, spaces
from autodas_dsl.evaluation import splits
from autodas_dsl.execution.threads import one_thread
from autodas_dsl.language.errors import InputError
from autodas_dsl.language.files import write_atomic
from autodas_dsl.models.spaces import space_source
from autodas_dsl.scoring.scorebook import ScoreBook
from autodas_dsl.scoring.setting import usual_teacher
from autodas_dsl.spaces.base import Space
from autodas_dsl.students.sizes import Limits, Sizes
from autodas_dsl.tables import load_table
from autodas_dsl.tables.table import Table
from autodas_dsl.training.build import PLANS
from autodas_dsl.training.lessons import lessons_of
from autodas_dsl.training.recipe import Recipe
from autodas_dsl.training.teacher import consult
from autodas_dsl.training.together import accuracies, train

LIMITS = {"digits-resnet": (4000, 8000, 16000), "digits-vit": (2000, 6000, 15000)}
"""Parameters; in each space about a tenth, a third and two thirds of the networks have fewer."""

FORMULAS = ("params", "flops", "snip", "synflow", "diswot", "rho_cnn_s0_aligned")
EVOLVED, SUM, RANDOM, MEASURED = "evolved", "evolved sum", "random", "measured table"
RANDOM_PICKS = 10
FIRST_SEED = 1000
"""Of the trainings; the tables hold seeds from 0."""

FIELDS = ("kind", "way", "limit", "repeat", "architecture", "params", "in", "cpu_seconds", "value")


@dataclass(frozen=True)
class Settings:
    """How much is done."""

    iterations: int = 300
    seeds: int = 8
    random: int = RANDOM_PICKS
    recipe: Recipe | None = None
    formulas: tuple[str, ...] = FORMULAS
    limits: tuple[int, ...] | None = None


TINY = Settings(20, 2, 2, Recipe(steps=2), ("params", "snip"), (2500,))


class Results:
    """The lines of a file, each there as soon as it is known."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.lines: list[dict[str, str]] = []
        if path.exists():
            whole = path.read_text(encoding="utf-8")
            kept = whole[: whole.rfind("\n") + 1]  # a line that was cut short is done again
            self.lines = list(csv.DictReader(kept.splitlines()))
            write_atomic(path, kept)
        else:
            write_atomic(path, ",".join(FIELDS) + "\n")

    def find(self, **wanted: object) -> dict[str, str] | None:
        texts = {key: str(value) for key, value in wanted.items()}
        return next((line for line in self.lines if texts.items() <= line.items()), None)

    def add(self, **values: object) -> dict[str, str]:
        line = {key: str(values.get(key, "")) for key in FIELDS}
        with self._path.open("a", encoding="utf-8", newline="") as file:
            csv.DictWriter(file, FIELDS, lineterminator="\n").writerow(line)
            file.flush()
            os.fsync(file.fileno())
        self.lines.append(line)
        return line


@contextmanager
def cpu_seconds() -> Iterator[Callable[[], float]]:
    began = time.process_time()
    yield lambda: round(time.process_time() - began, 2)


class Loop:
    """One space, its table and its results."""

    def __init__(self, name: str, run: Path, settings: Settings, seed: int) -> None:
        self.name, self.run, self.settings, self.seed = name, run, settings, seed
        self.space: Space[Any] = spaces.get(name)
        self.table: Table = load_table(name)
        self.limits = settings.limits or LIMITS[name]
        run.mkdir(parents=True, exist_ok=True)
        self.results = Results(run / "results.csv")

    def evolved(self) -> None:
        """Grow a formula; its cost is what the first, whole search took."""
        folder = self.run / "evolve"
        if self.results.find(kind="evolve"):
            return
        with cpu_seconds() as spent:
            evolve(
                self.name, iterations=self.settings.iterations, seed=self.seed, run=folder,
                resume=folder.exists(),
            )  # fmt: skip
            self.results.add(kind="evolve", way=EVOLVED, cpu_seconds=spent())

    def ways(self) -> dict[str, str]:
        """The formula of every way that has one."""
        found = {EVOLVED: str(self.run / "evolve" / "best.proxy")}
        beside = self.run / "evolve" / "best_sum.proxy"
        if beside.exists():
            found[SUM] = str(beside)
        return found | {name: name for name in self.settings.formulas}

    def pick(self) -> None:
        """The student of every way under every limit."""
        for limit in self.limits:
            for way, formula in self.ways().items():
                self._picked(way, limit, 0, partial(self._search, formula, limit))
            self._picked(MEASURED, limit, 0, partial(self._best_measured, limit))
            for repeat in range(self.settings.random):
                self._picked(RANDOM, limit, repeat, partial(self._at_random, limit, repeat))

    def distil(self) -> None:
        """Train every student that was picked, each once."""
        picked = {
            line["architecture"]: line for line in self.results.lines if line["kind"] == "pick"
        }
        waiting = [
            arch for arch in picked
            if arch and not self.results.find(kind="trained", architecture=arch)
        ]  # fmt: skip
        if not waiting:
            return
        teacher = usual_teacher(self.space)
        assert teacher is not None, "the built-in spaces have one"
        lessons = lessons_of(self.space)
        logits, _ = consult(teacher, lessons, self.space)
        recipe = self.settings.recipe or PLANS[self.name].recipe
        seeds = range(FIRST_SEED, FIRST_SEED + self.settings.seeds)
        for number, arch in enumerate(waiting, start=1):
            print(f"# training {number} of {len(waiting)}: {arch}", flush=True)
            source = space_source(self.space, arch)
            with cpu_seconds() as spent:
                whole = train(
                    [source.build(seed) for seed in seeds], lessons, recipe, seeds=seeds,
                    taught=[True] * len(seeds), teacher_logits=logits,
                )  # fmt: skip
                found = accuracies(whole, len(seeds), lessons.test)
            text = " ".join(f"{one:.6f}" for one in found)
            self.results.add(kind="trained", architecture=arch, cpu_seconds=spent(), value=text)

    def report(self) -> None:
        """Print the table."""
        cost = self.results.find(kind="evolve")
        assert cost is not None, "it was grown"
        print(f"\n{self.name}: {self.settings.seeds} seeds, evolving took {cost['cpu_seconds']} s of CPU, "
              "once")  # fmt: skip
        head = f"{'':<20} {'params':>7}  {'accuracy':<18} {'search s':>8}  {'in':<9} student"
        for limit in self.limits:
            print(f"\nat most {limit:,} parameters\n{head}")
            for way in (*self.ways(), RANDOM, MEASURED):
                print(self._line(way, limit))

    def _line(self, way: str, limit: int) -> str:
        picks = [
            line for line in self.results.lines
            if (line["kind"], line["way"], line["limit"]) == ("pick", way, str(limit))
        ]  # fmt: skip
        known = [line for line in picks if line["architecture"]]
        if not known:
            return f"{way:<20} {picks[0]['value']}"
        each = [self._accuracies(line["architecture"]) for line in known]
        values = [float(np.mean(one)) for one in each] if len(each) > 1 else each[0]
        params = np.mean([int(line["params"]) for line in known])
        seconds = np.mean([float(line["cpu_seconds"]) for line in known])
        student = known[0]["architecture"] if len(known) == 1 else f"{len(known)} students"
        where = known[0]["in"] if len(known) == 1 else ""
        return f"{way:<20} {params:7,.0f}  {_interval(values):<18} {seconds:8.1f}  {where:<9} {student}"

    def _accuracies(self, arch: str) -> list[float]:
        line = self.results.find(kind="trained", architecture=arch)
        assert line is not None, "it was trained"
        return [float(text) for text in line["value"].split()]

    def _picked(self, way: str, limit: int, repeat: int, choose: Callable[[], str]) -> None:
        if self.results.find(kind="pick", way=way, limit=limit, repeat=repeat):
            return
        print(f"# at most {limit:,} parameters: {way}", flush=True)
        arch, reason = "", ""
        with cpu_seconds() as spent:
            try:
                arch = choose()
            except InputError as error:  # a formula that fits no network of the space
                reason = error.diagnostics[0].message
            taken = spent()
        params = Sizes(self.space, Limits()).params(arch) if arch else ""
        self.results.add(
            kind="pick", way=way, limit=limit, repeat=repeat, architecture=arch, params=params,
            cpu_seconds=taken, value=reason, **({"in": self._half(arch)} if arch else {}),
        )  # fmt: skip

    def _search(self, formula: str, limit: int) -> str:
        with ScoreBook(Path(":memory:")) as book:
            found = find_student(
                self.space, formula, max_params=limit, budget=1000, top=1, seed=self.seed, book=book
            )
        return found.best[0].architecture

    def _best_measured(self, limit: int) -> str:
        sizes = Sizes(self.space, Limits(limit))
        fitting = [row for row, arch in enumerate(self.table.architectures) if sizes.fits(arch)]
        return self.table.architectures[max(fitting, key=lambda row: self.table.columns["kd"][row])]

    def _at_random(self, limit: int, repeat: int) -> str:
        sizes, rng = (
            Sizes(self.space, Limits(limit)),
            np.random.default_rng([self.seed, limit, repeat]),
        )
        while True:
            arch = self.space.format(self.space.sample(rng))
            if sizes.fits(arch):
                return arch

    def _half(self, arch: str) -> str:
        """Whether the formula was selected on it."""
        if arch not in self.table.architectures:
            return "no table"
        table, _ = self.table.measured("kd")
        parted = splits.split(splits.isomorphism_classes(table, self.space), "half", self.seed)
        row = table.architectures.index(arch)
        return "selection" if row in parted.selection.tolist() else "report"


def _interval(values: Sequence[float]) -> str:
    """The mean, and half the width of its 95 % interval."""
    spread = stats.t.ppf(0.975, len(values) - 1) * stats.sem(values)
    return f"{np.mean(values):.4f} ± {spread:.4f}"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("space", choices=[*LIMITS])
    parser.add_argument("--run", type=Path, help="folder of the results")
    parser.add_argument("--iterations", type=int, default=Settings.iterations)
    parser.add_argument("--seeds", type=int, default=Settings.seeds)
    parser.add_argument("--seed", type=int, default=0, help="of split, search and scores")
    parser.add_argument("--limits", help="parameters, separated by commas")
    parser.add_argument("--tiny", action="store_true", help="only to see that it runs")
    options = parser.parse_args()
    settings = TINY if options.tiny else Settings(options.iterations, options.seeds)
    if options.limits:
        settings = replace(settings, limits=tuple(map(int, options.limits.split(","))))
    run = options.run or Path("runs") / f"loop-{options.space}{'-tiny' if options.tiny else ''}"
    os.environ["XDG_CACHE_HOME"] = str((run / "cache").resolve())
    with one_thread():
        loop = Loop(options.space, run, settings, options.seed)
        loop.evolved()
        loop.pick()
        loop.distil()
        loop.report()


if __name__ == "__main__":
    main()

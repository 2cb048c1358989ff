"""A whole search on tables a user names: split, collect, search, and the scores behind the result."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from autodas_dsl import spaces
from autodas_dsl.compiler.pipeline import to_ir
from autodas_dsl.evaluation import splits
from autodas_dsl.evaluation.bootstrap import interval
from autodas_dsl.evaluation.correlations import STATISTICS, agreement
from autodas_dsl.evolution.config import Config
from autodas_dsl.evolution.folder import probe, text_of
from autodas_dsl.evolution.identity import written_out
from autodas_dsl.evolution.interrupt import Interrupt, Stopped, listening
from autodas_dsl.evolution.measure import first_reason
from autodas_dsl.evolution.null import REPEATS, null_level
from autodas_dsl.evolution.prepare import MEMORY, Prepared, prepare
from autodas_dsl.evolution.results import Null
from autodas_dsl.evolution.run import SILENT, Run, evolve, statistics_needed, statistics_of
from autodas_dsl.evolution.simplified import NAME, simplified
from autodas_dsl.evolution.task import Task
from autodas_dsl.evolution.vocabulary import chosen_operators
from autodas_dsl.evolution.watch import Watch
from autodas_dsl.execution.threads import one_thread
from autodas_dsl.language.errors import InputError
from autodas_dsl.language.files import plain_name, write_atomic
from autodas_dsl.language.folders import cache_folder
from autodas_dsl.language.infer import Allowed
from autodas_dsl.language.inputs import Statistic
from autodas_dsl.language.kinds import Requirement
from autodas_dsl.language.library import load
from autodas_dsl.scoring.setting import Data, Setting, Teacher, usual_setting
from autodas_dsl.scoring.table import require_space
from autodas_dsl.simplify.simplify import Simplified
from autodas_dsl.spaces.base import Space
from autodas_dsl.statistics.collect import belongs_to_teacher
from autodas_dsl.statistics.store import user_store
from autodas_dsl.tables.read import load_table
from autodas_dsl.tables.table import Table

BASELINES = ("params", "flops", "snip", "synflow", "rho_cnn_s0", "rho_cnn_s0_aligned")
BUILTIN = "digits-resnet"
SCORES = "scores.csv"
SIMPLIFIED = f"{NAME}.proxy"
NULL = "null.json"
CUT_SHORT = ("interrupt", "time")
BEST = "best"
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Options:
    """What the networks of a search are scored under.

    Parameters
    ----------
    target : str, optional
        Accuracy column, the same in all tables.
    space : str, optional
        Space of tables that do not say theirs.
    data : Data, optional
        By default what each space is usually scored on.
    size : int, optional
        Samples of that usual data.
    teacher : Teacher, optional
        By default the usual one of each space.
    dtype : torch.dtype
        Of the passes and of the formulas.
    device : str
        Where networks run; formulas are evaluated on the processor.
    split : str
        How selection and report are parted, see `splits.split`.
    baselines : tuple of str
        Formulas reported beside the best one; those that do not fit, with the requirement.
    workers : int
        Processes that evaluate formulas; the result does not depend on it.
    screening : bool
        Look at formulas on a few architectures and a sample of their statistics first.
    memory : int
        Bytes for statistics, see `prepare`.
    null_repeats : int
        Searches on shuffled accuracies that estimate the null level; 0: none.
    """

    target: str | None = None
    space: str | None = None
    data: Data | None = None
    size: int | None = None
    teacher: Teacher | None = None
    dtype: torch.dtype = torch.float32
    device: str = "cpu"
    split: str = "half"
    baselines: tuple[str, ...] = BASELINES
    workers: int = 1
    screening: bool = False
    memory: int = MEMORY
    null_repeats: int = REPEATS


@dataclass(frozen=True)
class Compared:
    """How one formula ranks some architectures; ends are of 95 % bootstrap intervals.

    `reason` says why a correlation is undefined or the first score invalid.
    """

    proxy: str
    n: int
    invalid: int
    kendall: float | None
    kendall_low: float | None
    kendall_high: float | None
    spearman: float | None
    spearman_low: float | None
    spearman_high: float | None
    pearson: float | None
    pearson_low: float | None
    pearson_high: float | None
    reason: str


def compare(proxy: str, scores: Floats, accuracies: Floats, reason: str = "") -> Compared:
    """Correlations of scores with accuracies, with their intervals."""
    found = agreement(scores, accuracies)
    ends: dict[str, float | None] = {}
    for name in STATISTICS:
        spread = interval(scores, accuracies, name)
        ends[f"{name}_low"] = spread.low if spread else None
        ends[f"{name}_high"] = spread.high if spread else None
    return Compared(
        proxy=proxy, n=found.n, invalid=found.invalid, kendall=found.kendall,
        spearman=found.spearman, pearson=found.pearson, reason=reason or found.reason, **ends,
    )  # fmt: skip


@dataclass(frozen=True, eq=False)
class Scores:
    """Scores of the best formula and the baselines on the architectures of one table.

    Parameters
    ----------
    task, target : str
    architectures : tuple of str
        Those of the selection first.
    held_out : bool array [n]
    accuracies : float64 array [n]
    scores : dict of str to float64 array [n]
        ``best`` first; NaN where invalid.
    reasons : dict of str to str
        Why the first invalid score of a formula is invalid.
    """

    task: str
    target: str
    architectures: tuple[str, ...]
    held_out: npt.NDArray[np.bool_]
    accuracies: Floats
    scores: dict[str, Floats] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)

    def compared(self, held_out: bool) -> list[Compared]:
        """How each formula ranks one half of the architectures, the best formula first."""
        half = self.held_out == held_out
        return [
            compare(name, values[half], self.accuracies[half], self.reasons.get(name, ""))
            for name, values in self.scores.items()
        ]


@dataclass(frozen=True)
class Session:
    """A finished search, the scores behind it, and what the same search finds in nothing.

    `null` is None for a search that was cut short, or was one on shuffled accuracies itself;
    `simpler` is the best formula written more simply, or as it was with the reason; `interrupted`
    says that the user cut any of this short.
    """

    run: Run
    scores: tuple[Scores, ...]
    notes: tuple[str, ...]
    simpler: Simplified
    null: Null | None = None
    interrupted: bool = False


def search(
    tables: Sequence[str | Path | Table] = (BUILTIN,),
    config: Config | None = None,
    options: Options | None = None,
    *,
    folder: Path | None = None,
    resume: bool = False,
    command: Sequence[str] = (),
    max_time: float | None = None,
    watch: Watch = SILENT,
) -> Session:
    """Search for a formula that ranks the architectures of tables.

    Parameters
    ----------
    tables : sequence of str, Path or Table
        Built-in names, CSV files, or tables.
    config : Config, optional
        What the search does; its seed also chooses split, weights and batch.
    options : Options, optional
    folder : Path, optional
        Where journal and results go; nothing is written without it.
    resume : bool
        Continue the run that `folder` holds; more iterations extend it.
    command : sequence of str
        The command line behind this search, for `folder` to keep.
    max_time : float, optional
        Seconds after which the search stops at the end of a generation.
    watch : Watch
        Told about every phase.

    Returns
    -------
    Session

    Raises
    ------
    InputError
    """
    config, options = config or Config(), options or Options()
    chosen_operators(config.operators)
    if folder is not None:
        probe(folder, resume)
    with ExitStack() as stack:
        stack.enter_context(one_thread())
        loaded = [_loaded(table, options) for table in tables]
        watch.phase(
            "collecting statistics",
            sum(len(table.measured(options.target)[0]) for table, _ in loaded),
        )
        networks = count(1)
        prepared = [
            stack.enter_context(
                _prepared(
                    place, loaded, config, options, lambda _, __: watch.reached(next(networks))
                )
            )
            for place in range(len(loaded))
        ]
        interrupt = stack.enter_context(listening(watch.stopping))

        def allowed(requirement: Requirement) -> bool:
            return all(one.allowed(requirement) for one in prepared)

        run = evolve(
            config, [one.task for one in prepared], allowed, folder=folder, resume=resume,
            command=command, baselines=options.baselines, max_time=max_time, interrupt=interrupt, watch=watch,
        )  # fmt: skip
        scores = tuple(_scores(one, run, options.baselines) for one in prepared)
        watch.phase("simplifying")
        simpler = simplified(run.best, [one.task for one in prepared], config.seed)
        if folder is not None:
            write_atomic(folder / SCORES, scores_text(scores))
            _keep(folder / SIMPLIFIED, str(simpler.proxy) if simpler.steps else "")
        null = _null(
            config, options, [one.task for one in prepared], allowed, run, interrupt, watch
        )
        if folder is not None:
            _keep(folder / NULL, text_of({"taus": list(null.taus)}) if null is not None else "")
    notes = dict.fromkeys(note for one in prepared for note in one.stored.notes)
    return Session(replace(run, null=null), scores, tuple(notes), simpler, null, interrupt.asked)


def _keep(path: Path, text: str) -> None:
    """Write a file, or remove the one of an earlier state of the same run."""
    if text:
        write_atomic(path, text)
    else:
        path.unlink(missing_ok=True)


def _null(
    config: Config, options: Options, tasks: Sequence[Task], allowed: Allowed, run: Run,
    interrupt: Interrupt, watch: Watch,
) -> Null | None:  # fmt: skip
    """The null level of a whole search; the first Ctrl-C does without it."""
    unwanted = not options.null_repeats or config.null
    if unwanted or run.stopped in CUT_SHORT or interrupt.asked:
        return None
    try:
        return null_level(
            config, tasks, allowed, repeats=options.null_repeats, known=run.facts,
            cache=cache_folder(), interrupt=interrupt, watch=watch,
        )  # fmt: skip
    except Stopped:
        return None


def _loaded(given: str | Path | Table, options: Options) -> tuple[Table, Space[Any]]:
    table = given if isinstance(given, Table) else load_table(given, options.space)
    name = options.space or table.space
    return table, require_space(table, spaces.get(name) if name else None)


def _classes(table: Table, space: Space[Any], target: str | None) -> tuple[str, ...]:
    return splits.isomorphism_classes(table.measured(target)[0], space)


def _prepared(
    place: int,
    loaded: Sequence[tuple[Table, Space[Any]]],
    config: Config,
    options: Options,
    collecting: Callable[[int, str], None],
) -> Prepared:
    table, space = loaded[place]
    beside = [
        name
        for number, (other, its_space) in enumerate(loaded)
        if number != place and its_space.name == space.name
        for name in _classes(other, its_space, options.target)
    ]
    setting = usual_setting(
        space, options.data or Data(space.data, options.size), options.teacher,
        dtype=options.dtype, device=options.device,
    )  # fmt: skip
    needed = statistics_needed(config, ())
    _require_teacher(needed, setting)
    return prepare(
        table, space, needed, setting, optional=sorted(statistics_of(options.baselines)),
        target=options.target, split=options.split, beside=beside, seed=config.seed,
        workers=options.workers, screening=options.screening, memory=options.memory,
        store=user_store(), progress=collecting,
    )  # fmt: skip


def _require_teacher(needed: Sequence[Statistic], setting: Setting) -> None:
    first = next(filter(belongs_to_teacher, needed), None)
    if setting.teacher is None and first is not None:
        raise InputError(
            "E444", f"{first}: there is no teacher to take it from",
            "add --teacher MODEL, or --terms instinct to search without one",
        )  # fmt: skip


def _scores(prepared: Prepared, run: Run, baselines: Sequence[str]) -> Scores:
    """Scores on both halves; the journal holds those of the selection only."""
    names = [BEST, *baselines]
    trees = [run.best.expression, *(written_out(load(name)) for name in baselines)]
    nodes = [to_ir(tree) for tree in trees]
    halves = [half for half in (prepared.task.selection, prepared.task.report) if half]
    found = [half.evaluate(nodes) for half in halves]
    return Scores(
        task=prepared.task.name,
        target=prepared.task.target,
        architectures=prepared.stored.architectures,
        held_out=np.concatenate([np.full(len(h), i == 1) for i, h in enumerate(halves)]),
        accuracies=np.concatenate([half.accuracies for half in halves]),
        scores={
            name: np.concatenate([outcomes[place].scores for outcomes in found])
            for place, name in enumerate(names)
        },
        reasons={
            name: first_reason([outcomes[place] for outcomes in found])
            for place, name in enumerate(names)
        },
    )


def scores_text(tables: Sequence[Scores]) -> str:
    """``scores.csv``: one line per architecture, an empty cell where a score is invalid."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    names = list(tables[0].scores)
    writer.writerow(["table", "target", "architecture", "half", "accuracy", *names])
    writer.writerows(row for table in tables for row in _rows(table, names))
    return out.getvalue()


def _rows(table: Scores, names: Sequence[str]) -> Iterator[list[Any]]:
    for place, architecture in enumerate(table.architectures):
        half = "held-out" if table.held_out[place] else "selection"
        values = [table.scores[name][place] for name in names]
        yield [
            table.task, table.target, architecture, half, repr(float(table.accuracies[place])),
            *("" if np.isnan(value) else repr(float(value)) for value in values),
        ]  # fmt: skip


def free_folder(root: Path, tables: Sequence[str | Path]) -> Path:
    """The first unused ``root/TABLES-N``."""
    stem = "+".join(plain_name(Path(str(table)).stem) for table in tables)
    number = 1
    while (root / f"{stem}-{number}").exists():
        number += 1
    return root / f"{stem}-{number}"


__all__ = ["Options", "Scores", "Session", "free_folder", "scores_text", "search"]

"""A whole search on tables a user names: split, collect, search, and the scores behind the result."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import torch

from autodas_dsl.compiler.outcome import Outcome
from autodas_dsl.compiler.pipeline import to_ir
from autodas_dsl.evaluation import splits
from autodas_dsl.evolution.best_sum import sum_outcome
from autodas_dsl.evolution.config import Config
from autodas_dsl.evolution.finished import Run
from autodas_dsl.evolution.identity import written_out
from autodas_dsl.evolution.interrupt import Interrupt, Stopped, listening
from autodas_dsl.evolution.measure import TableScores, first_reason
from autodas_dsl.evolution.null import null_level
from autodas_dsl.evolution.prepare import Prepared, prepare
from autodas_dsl.evolution.run import CUT_SHORT, SILENT, evolve, statistics_needed, statistics_of
from autodas_dsl.evolution.run_folder import RunFolder
from autodas_dsl.evolution.run_records import BEST, SUM, Null
from autodas_dsl.evolution.task import Networks, Task
from autodas_dsl.evolution.vocabulary import chosen_operators
from autodas_dsl.evolution.watch import Watch
from autodas_dsl.execution.jobs import Executor, InProcess
from autodas_dsl.execution.threads import one_thread
from autodas_dsl.language.errors import InputError
from autodas_dsl.language.folders import cache_folder
from autodas_dsl.language.infer import Allowed
from autodas_dsl.language.inputs import Statistic
from autodas_dsl.language.kinds import Requirement
from autodas_dsl.language.library import load
from autodas_dsl.language.proxy import Proxy
from autodas_dsl.language.tree import Expr
from autodas_dsl.scoring.setting import Data, Setting, usual_setting
from autodas_dsl.scoring.table import table_and_space
from autodas_dsl.simplify.proof import judges
from autodas_dsl.simplify.simplify import Simplified, simplify
from autodas_dsl.spaces.base import Space
from autodas_dsl.statistics.collect import belongs_to_teacher
from autodas_dsl.statistics.store import user_store
from autodas_dsl.tables.table import Table

BUILTIN = "digits-resnet"


@dataclass(frozen=True)
class Session:
    """A finished search, the scores behind it, and what the same search finds in nothing.

    `null` is None for a search that was cut short, or was one on shuffled accuracies itself;
    `simpler` is the best formula written more simply, or as it was with the reason; `interrupted`
    says that the user cut any of this short.
    """

    run: Run
    scores: tuple[TableScores, ...]
    notes: tuple[str, ...]
    simpler: Simplified
    null: Null | None = None
    interrupted: bool = False


def search(
    tables: Sequence[str | Path | Table] = (BUILTIN,),
    config: Config | None = None,
    *,
    executor: Executor | None = None,
    folder: Path | None = None,
    resume: bool = False,
    command: Sequence[str] = (),
    watch: Watch = SILENT,
    measured: Callable[[Run, Sequence[TableScores]], None] = lambda run, scores: None,
) -> Session:
    """Search for a formula that ranks the architectures of tables.

    Parameters
    ----------
    tables : sequence of str, Path or Table
        Built-in names, CSV files, or tables.
    config : Config, optional
    executor : Executor, optional
        Evaluates formulas, and is closed at the end; by default this process.
    folder : Path, optional
        Where journal and results go; nothing is written without it.
    resume : bool
        Continue the run that `folder` holds; more iterations extend it.
    command : sequence of str
        The command line behind this search, for `folder` to keep.
    watch : Watch
        Told about every phase.
    measured : callable
        Told the result before its formula is simplified, which waits for another process.

    Returns
    -------
    Session

    Raises
    ------
    InputError
    """
    config = config or Config()
    chosen_operators(config.operators)
    if len(config.data) not in (0, 1, len(tables)):
        raise InputError(
            "E671", f"there are {len(config.data)} sources of data for {len(tables)} tables",
            "give one for all, or one for each table in their order",
        )  # fmt: skip
    kept = RunFolder(folder) if folder is not None else None
    if kept is not None:
        kept.probe(resume)
    before = kept.best_bytes() if kept is not None else b""
    with ExitStack() as stack:
        stack.enter_context(one_thread())
        executor = stack.enter_context(executor or InProcess())
        loaded = [table_and_space(table, config.space) for table in tables]
        watch.phase("collecting statistics", sum(_rows(loaded, config)))
        networks = count(1)
        prepared = [
            _prepared(place, loaded, config, executor, lambda _, __: watch.reached(next(networks)))
            for place in range(len(loaded))
        ]
        interrupt = stack.enter_context(listening(watch.stopping))

        def allowed(requirement: Requirement) -> bool:
            return all(one.allowed(requirement) for one in prepared)

        run = evolve(
            config, [one.task for one in prepared], allowed, folder=folder, resume=resume,
            command=command, baselines=config.baselines, interrupt=interrupt, watch=watch,
        )  # fmt: skip
        scores = tuple(_scores(one, run, config.baselines) for one in prepared)
        if kept is not None:
            kept.save_scores(scores)
        null = _null(config, [one.task for one in prepared], allowed, run, interrupt, watch)
        run = replace(run, null=null)
        if kept is not None:
            kept.save_null(null)
        measured(run, scores)
        watch.phase("simplifying")
        simpler = simplified(run.best, [one.task for one in prepared], config.seed)
        if kept is not None:
            kept.save_simplified(str(simpler.proxy) if simpler.steps else "")
    notes = [note for one in prepared for note in one.known.notes]
    if kept is not None and before not in (b"", kept.best_bytes()) and kept.drop_sensitivity():
        notes.insert(0, "the best formula is another now: measure again what it depends on")
    return Session(run, scores, tuple(dict.fromkeys(notes)), simpler, null, interrupt.asked)


def simplified(best: Proxy, tasks: Sequence[Task], seed: int) -> Simplified:
    """Simplify a formula; random statistics and the architectures of the search must agree.

    Parameters
    ----------
    best : Proxy
    tasks : sequence of Task
        Scores on their selection architectures must stay the same, and so must the ranking.
    seed : int
        Of the random statistics.

    Returns
    -------
    Simplified
        With the formula as it was, and the reason, where nothing smaller is proved equal.
    """

    def scores(expr: Expr) -> list[float]:
        node = to_ir(expr)
        return [
            float(value) for task in tasks for value in task.selection.evaluate([node])[0].scores
        ]

    found = simplify(best, judges(scores, seed))
    return replace(found, proxy=replace(found.proxy, name="simplified")) if found.steps else found


def _null(
    config: Config, tasks: Sequence[Task], allowed: Allowed, run: Run, interrupt: Interrupt,
    watch: Watch,
) -> Null | None:  # fmt: skip
    """The null level of a whole search; the first Ctrl-C does without it."""
    unwanted = not config.null_repeats or config.null
    if unwanted or run.stopped in CUT_SHORT or interrupt.asked:
        return None
    try:
        return null_level(
            config, tasks, allowed, repeats=config.null_repeats, known=run.facts,
            cache=cache_folder(), interrupt=interrupt, watch=watch,
        )  # fmt: skip
    except Stopped:
        return None


def _rows(loaded: Sequence[tuple[Table, Space[Any]]], config: Config) -> list[int]:
    """The architectures of each table."""
    return [len(table.measured(config.target)[0]) for table, _ in loaded]


def _prepared(
    place: int,
    loaded: Sequence[tuple[Table, Space[Any]]],
    config: Config,
    executor: Executor,
    collecting: Callable[[int, str], None],
) -> Prepared:
    table, space = loaded[place]
    beside = [
        name
        for number, (other, its_space) in enumerate(loaded)
        if number != place and its_space.name == space.name
        for name in splits.isomorphism_classes(other.measured(config.target)[0], its_space)
    ]
    setting = usual_setting(
        space, _data(config, place) or Data(space.data, config.size), config.teacher,
        dtype=getattr(torch, config.dtype), device=config.device,
    )  # fmt: skip
    rows = _rows(loaded, config)
    memory, thin = (int(gib * 2**30) * rows[place] // sum(rows)
                    for gib in (config.memory, config.thin))  # fmt: skip
    needed = statistics_needed(config, ())
    _require_teacher(needed, setting)
    return prepare(
        table, space, needed, setting, executor, optional=sorted(statistics_of(config.baselines)),
        target=config.target, split=config.split, beside=beside, seed=config.seed,
        screening=config.screening, memory=memory, thin=thin,
        store=user_store(), progress=collecting,
    )  # fmt: skip


def _data(config: Config, place: int) -> Data | None:
    """What is given for a table."""
    given = config.data
    return given[place if len(given) > 1 else 0] if given else None


def _require_teacher(needed: Sequence[Statistic], setting: Setting) -> None:
    first = next(filter(belongs_to_teacher, needed), None)
    if setting.teacher is None and first is not None:
        raise InputError(
            "E444", f"{first}: there is no teacher to take it from",
            "add --teacher MODEL, or --terms instinct to search without one",
        )  # fmt: skip


def _scores(prepared: Prepared, run: Run, baselines: Sequence[str]) -> TableScores:
    """Scores on both halves; the journal holds those of the selection only."""
    halves = [half for half in (prepared.task.selection, prepared.task.report) if half]
    found = [_outcomes(half, run, baselines) for half in halves]
    return TableScores(
        task=prepared.task.name,
        target=prepared.task.target,
        architectures=prepared.known.architectures,
        held_out=np.concatenate([np.full(len(h), i == 1) for i, h in enumerate(halves)]),
        accuracies=np.concatenate([half.accuracies for half in halves]),
        scores={name: np.concatenate([half[name].scores for half in found]) for name in found[0]},
        reasons={name: first_reason([half[name] for half in found]) for name in found[0]},
    )


def _outcomes(half: Networks, run: Run, baselines: Sequence[str]) -> dict[str, Outcome]:
    """Of the best formula, the best sum and the baselines."""
    trees = {name: written_out(load(name)) for name in baselines}
    named = {name: to_ir(tree) for name, tree in {BEST: run.best.expression, **trees}.items()}
    terms = [to_ir(term) for term in run.sum.terms] if run.sum else []
    nodes = list(dict.fromkeys([*named.values(), *terms]))
    outcomes = dict(zip(nodes, half.evaluate(nodes), strict=True))
    found = {name: outcomes[node] for name, node in named.items()}
    if run.sum is None:
        return found
    summed = sum_outcome(run.sum.proxy, {term: outcomes[term] for term in terms})
    return {BEST: found[BEST], SUM: summed} | found

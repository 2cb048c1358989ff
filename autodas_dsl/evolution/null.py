"""The null level: the tau that the same search finds in accuracies that were shuffled.

On a small table a search finds something in everything. A selection tau says something only as far
as it is above this.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

from autodas_dsl import __version__
from autodas_dsl.compiler.outcome import Outcome
from autodas_dsl.evolution.config import Config
from autodas_dsl.evolution.interrupt import Interrupt, Stopped
from autodas_dsl.evolution.journal import Fact, Memory
from autodas_dsl.evolution.run import SILENT, Search, described, without_truth
from autodas_dsl.evolution.run_records import Null
from autodas_dsl.evolution.task import Task
from autodas_dsl.evolution.watch import Progress, Watch
from autodas_dsl.language.errors import InputError
from autodas_dsl.language.files import read_file, write_atomic
from autodas_dsl.language.infer import Allowed

_MAX_BYTES = 1 << 20


def null_level(
    config: Config,
    tasks: Sequence[Task],
    allowed: Allowed,
    *,
    repeats: int = Config.null_repeats,
    known: Mapping[Fact, Outcome] | None = None,
    cache: Path | None = None,
    interrupt: Interrupt | None = None,
    watch: Watch = SILENT,
) -> Null:
    """Search shuffled accuracies, each time shuffled anew, as `evolve` searches the true ones, and
    build the sums that it builds.

    Fresh formulas are the same in every repeat and in the true search, so that `known` facts of
    that search spare about half of the evaluations.

    Parameters
    ----------
    repeats : int
        At least one.
    known : mapping of Fact to Outcome, optional
        `Run.facts` of the true search.
    cache : Path, optional
        Folder where the level of this configuration on these tables is kept.
    interrupt : Interrupt, optional
        Asks to stop.
    watch : Watch
        Told about every generation.

    Raises
    ------
    Stopped
        When `interrupt` asked to.
    """
    place = cache / f"null-{_key(config, tasks, repeats)}.json" if cache else None
    kept = _read(place, config, repeats) if place else None
    if kept is not None:
        return kept
    each = config.iterations + 1
    watch.phase("null searches", repeats * each)
    interrupt = interrupt or Interrupt()
    memory = Memory(known)
    taus: list[float] = []
    sums: list[float] = []
    for repeat in range(repeats):
        search = Search(config, without_truth(tasks, config.seed, repeat + 1), allowed, memory)

        def tell(progress: Progress, before: int = repeat * each) -> None:
            watch.reached(before + progress.generation + 1)

        if search.go(interrupt, None, tell) == "interrupt":
            raise Stopped
        watch.reached((repeat + 1) * each)
        best = search.archive.best
        taus.append(best.tau if best is not None else 0.0)
        if config.terms_max > 1:
            summed = search.best_sum()
            sums.append(summed.tau if summed is not None else taus[-1])
    found = Null(tuple(taus), tuple(sums))
    if place is not None:
        _write(place, found)
    return found


def _key(config: Config, tasks: Sequence[Task], repeats: int) -> str:
    facts = [__version__, described(config, tasks, ()), repeats]
    accuracies = [task.selection.accuracies.tobytes().hex() for task in tasks]
    text = json.dumps([facts, accuracies], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:24]


def _read(path: Path, config: Config, repeats: int) -> Null | None:
    """A kept level, if it is there and whole: the correlations of each search."""
    try:
        kept = json.loads(read_file(path, _MAX_BYTES))
        taus, sums = kept["taus"], kept["sums"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
    whole = _are_taus(taus, repeats) and _are_taus(sums, repeats if config.terms_max > 1 else 0)
    return Null(tuple(map(float, taus)), tuple(map(float, sums))) if whole else None


def _are_taus(values: object, count: int) -> bool:
    return isinstance(values, list) and len(values) == count and all(map(_is_tau, values))


def _is_tau(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and -1 <= value <= 1


def _write(path: Path, found: Null) -> None:
    """Keep a level; a cache that cannot be written costs only time."""
    with suppress(OSError, InputError):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, json.dumps(asdict(found)) + "\n")

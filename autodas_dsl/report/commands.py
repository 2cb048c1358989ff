"""Commands that a reader of a report can run again."""

from __future__ import annotations

import shlex

from autodas_dsl.evolution.run_folder import SavedRun
from autodas_dsl.evolution.run_records import TableUsed

CARRIED = ("--space", "--teacher", "--teacher-weights", "--teacher-size", "--data", "--batch-size")
"""Options of ``evolve`` that say what networks are scored under; ``rank`` takes them too."""
_FLAGS = ("--null", "--gradient-free")


def command(*words: str) -> str:
    """A command of this program as a shell reads it."""
    return shlex.join(["autodas-dsl", *words])


def rank_commands(run: SavedRun, *more: str) -> list[str]:
    """The commands that measure the best formula again, one per table, under the same conditions.

    With a split the held-out architectures are ranked.
    """
    tables, options = _conditions(run)
    found = []
    for used, given in zip(run.tables, tables, strict=True):
        words = ["rank", given, "-p", str(run.folder.best), "--target", used.target, *options]
        found.append(command(*words, *_split(used), *more))
    return found


def _conditions(run: SavedRun) -> tuple[list[str], list[str]]:
    """The tables as they were named, and the options carried over, from the command of the run."""
    words = shlex.split(run.command)[2:]
    tables, options = [], []
    while words:
        word = words.pop(0)
        name, equals, _ = word.partition("=")
        if not word.startswith("-"):
            tables.append(word)
            continue
        value = [] if equals or name in _FLAGS else words[:1]
        del words[: len(value)]
        if name in CARRIED:
            options += [word, *value]
    named = tables if len(tables) == len(run.tables) else [used.name for used in run.tables]
    return named, options


def _split(used: TableUsed) -> list[str]:
    """``half, seed 0`` as options."""
    split, mark, seed = used.split.partition(", seed ")
    return ["--split", split, "--seed", seed] if mark and used.held_out else []

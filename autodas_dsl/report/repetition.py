"""How to get the same result again: commands that a reader can run, options, fingerprints."""

from __future__ import annotations

import shlex

from autodas_dsl.evolution.config import changed
from autodas_dsl.evolution.run_folder import SavedRun
from autodas_dsl.evolution.run_records import TableUsed
from autodas_dsl.report.html import Markup, join, tag
from autodas_dsl.report.parts import code, section

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


def repeat(run: SavedRun) -> Markup:
    """The exact commands, and everything that determined the result."""
    commands = {
        "Look at the best formula": command("show", str(run.folder.best)),
        "Measure it again": "\n".join(rank_commands(run)),
        "Write this page": command("report", str(run.folder.path), "-o", "report.html"),
    }
    facts = {
        f"table {one.name}": f"target {one.target}, split {one.split or 'none'}: {one.selection} "
        f"architectures to select on, {one.held_out} held out; fingerprint "
        f"{one.fingerprint or 'none'}"
        for one in run.tables
    }
    return section(
        "repeat", "Repeat this run",
        *_again(run),
        *(join(tag("h3", title), code(text, "the command")) for title, text in commands.items()),
        tag("h3", "What determined the result"),
        tag("dl", *(join(tag("dt", name), tag("dd", text)) for name, text in facts.items()),
            class_="facts"),
        tag("details", tag("summary", "run.json"), code(run.raw, "run.json", long=True)),
        tag("details", tag("summary", "best.proxy"),
            code(str(run.best), "best.proxy", long=True)),
    )  # fmt: skip


def _again(run: SavedRun) -> list[Markup]:
    """How the search itself is repeated: its command, or the call where no command is kept."""
    head = tag("h3", "Search again")
    if run.command:
        return [head, code(run.command, "the command")]
    told = "The run keeps no command. From Python, with the same tables, data and teacher:"
    return [head, tag("p", told), code(python_call(run), "the call")]


def python_call(run: SavedRun) -> str:
    """The call of `evolve` with every option that is not at its default."""
    given = [f"{name}={value!r}" for name, value in changed(run.options).items()]
    names = ", ".join(repr(used.name) for used in run.tables)
    return (
        "from autodas_dsl.evolution.config import Config\n"
        "from autodas_dsl.evolution.run import evolve\n\n"
        f"evolve(Config({', '.join(given)}), tasks)  # tasks: {names}"
    )

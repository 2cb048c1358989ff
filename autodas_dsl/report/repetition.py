"""How to get the same result again: commands, options, fingerprints."""

from __future__ import annotations

from autodas_dsl.evolution.config import changed
from autodas_dsl.evolution.run_folder import SavedRun
from autodas_dsl.report.commands import command, rank_commands
from autodas_dsl.report.html import Markup, join, tag
from autodas_dsl.report.parts import code, section


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

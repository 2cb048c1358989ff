"""The command line that a run keeps: written at its start, read again to resume it."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from autodas_dsl.cli.options import EXTENSIONS, without_extensions
from autodas_dsl.language.errors import InputError

Values = dict[str, Any]

FREE = ("folder", "resume", "format", "workers", "ray", "max_time", "memory")
"""Parameters that do not change what a search finds: a run does not remember them."""

ITERATIONS = "iterations"
_HEAD = ["autodas-dsl", "evolve"]


def words_of(ctx: click.Context, values: Mapping[str, Any]) -> list[str]:
    """The command line of a run, the same for the same search however it was written.

    Parameters
    ----------
    ctx : click.Context
        Of ``evolve``.
    values : mapping
        Of all its parameters; those that are the usual ones are left out.
    """
    words = [*_HEAD, *values["tables"]]
    usual = _parsed(ctx)
    for option in _options(ctx):
        value = values[option.name]
        if value is not None and value != usual[option.name]:
            words += option.opts[:1] if option.is_flag else [option.opts[0], _text(value)]
    for file in ctx.meta[EXTENSIONS]:
        words += ["--with", file]
    return words


def resumed(ctx: click.Context, given: Values) -> Values:
    """The parameters of the run that ``--resume`` names, more iterations where they are given.

    Extensions of the run are loaded.

    Raises
    ------
    InputError
        E602 there is no run; E603 other options are given; E606 what it keeps is no command line;
        E613 it keeps none.
    """
    from autodas_dsl.evolution.run_folder import RunFolder

    folder = RunFolder(given["resume"])
    if not folder.command.is_file():
        if not folder.run.is_file():
            raise folder.nothing_to_resume()
        if not given["tables"]:
            raise InputError(
                "E613", f"{folder.path} does not remember with which options it was started",
                "name its table and its options again, beside --resume",
            )  # fmt: skip
        return given
    before = _read(ctx, folder.command)
    changed = list(_changes(ctx, before, given))
    if changed:
        raise folder.another_run(changed)
    kept = {name: given[name] for name in FREE}
    if _is_given(ctx, ITERATIONS):
        kept[ITERATIONS] = given[ITERATIONS]
    return {**before, **kept}


def _read(ctx: click.Context, path: Path) -> Values:
    from autodas_dsl.evolution.run_folder import unreadable
    from autodas_dsl.language.extend import load_extension

    try:
        words = shlex.split(path.read_text(encoding="utf-8"))
        rest, files = without_extensions(words[len(_HEAD) :])
        if words[: len(_HEAD)] != _HEAD:
            raise unreadable(path)
        values = _parsed(ctx, rest)
    except (OSError, ValueError, click.ClickException, click.exceptions.Exit):
        raise unreadable(path) from None
    for file in files:
        load_extension(file)
    ctx.meta[EXTENSIONS] = list(dict.fromkeys([*files, *ctx.meta[EXTENSIONS]]))
    return values


def _changes(ctx: click.Context, before: Values, given: Values) -> Iterable[str]:
    """What is given and is not what the run was started with, in words."""
    if given["tables"] and given["tables"] != before["tables"]:
        yield f"TABLE was {_shown(before['tables'])}, is {_shown(given['tables'])}"
    for option in _options(ctx):
        was, now = before[option.name], given[option.name]
        longer = option.name == ITERATIONS and was < now
        if _is_given(ctx, option.name) and was != now and not longer:
            yield f"{option.opts[0]} was {_shown(was)}, is {_shown(now)}"


def _options(ctx: click.Context) -> list[click.Option]:
    """The options that a run remembers."""
    return [
        p for p in ctx.command.params
        if isinstance(p, click.Option) and p.expose_value and p.name not in FREE
    ]  # fmt: skip


def _is_given(ctx: click.Context, name: str | None) -> bool:
    return name is not None and ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE


def _parsed(ctx: click.Context, words: Sequence[str] = ()) -> Values:
    """The parameters of a command line, whatever a file of defaults says; of an empty one, their
    usual values.
    """
    made = ctx.command.make_context("evolve", list(words), parent=ctx.parent, default_map={})
    return made.params


def _text(value: Any) -> str:
    return ",".join(value) if isinstance(value, tuple) else str(value)


def _shown(value: Any) -> str:
    return "not given" if value is None or value == () else _text(value)

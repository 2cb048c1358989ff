"""Defaults of options in a file: ``autodas.toml``, or ``[tool.autodas-dsl]`` of pyproject.toml."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from autodas_dsl.language.errors import InputError
from autodas_dsl.language.resolve import suggest
from autodas_dsl.language.toml import read_toml

OWN, SHARED = "autodas.toml", "pyproject.toml"
_PROGRAM = "autodas-dsl"
_RUNS_CODE = re.compile(r"\.py(?![\w.])")
_PER_RUN = ("with", "force", "trust", "quiet", "verbose")
"""Options that run a file, replace one or say how loud: they are meant each time they are given."""


@dataclass(frozen=True)
class ConfigFile:
    """A file of defaults.

    Parameters
    ----------
    path : Path
    commands : mapping
        What it says of each command.
    text : str
    prefix : tuple of str
        The table that holds the others.
    named : bool
        The user named it; another was found, and may be somebody else's.
    """

    path: Path
    commands: Mapping[str, Any]
    text: str
    prefix: tuple[str, ...] = ()
    named: bool = False

    def place(self, *names: str) -> str:
        """The file and, where plain lines tell it, the line of a table or of a key in a table."""
        *table, key = (*self.prefix, *names)
        header: list[str] = []
        for number, line in enumerate(self.text.split("\n"), 1):
            found = re.match(r"\s*\[([^\[\]]+)\]", line)
            if found:
                header = re.sub(r"[\s\"']", "", found[1]).split(".")
            is_key = re.match(rf"\s*[\"']?{re.escape(key)}[\"']?\s*=", line)
            if (found and header == [*table, key]) or (is_key and header == table):
                return f"{self.path}:{number}"
        return str(self.path)


def find_config(named: Path | None) -> ConfigFile | None:
    """The file that was named, else the nearest above the working folder, if there is one.

    Raises
    ------
    InputError
        E664 when it cannot be read, E669 when there is no working folder.
    """
    if named is not None:
        return _read(named, shared=named.name == SHARED, named=True)
    try:
        here = Path.cwd()
    except OSError as error:
        raise InputError("E669", f"the working folder is not there: {error.strerror}",
                         "change into another folder") from error  # fmt: skip
    for folder in (here, *here.parents):
        for name in (OWN, SHARED):
            found = (
                _read(folder / name, shared=name == SHARED) if (folder / name).is_file() else None
            )
            if found is not None:
                return found
    return None


def _read(path: Path, *, shared: bool, named: bool = False) -> ConfigFile | None:
    try:
        found, text = read_toml(path)
    except OSError as error:
        raise InputError("E664", f"cannot read {path}: {error.strerror}") from error
    except ValueError as error:
        raise InputError("E664", f"{path} is no TOML: {error}",
                         "write lines such as `workers = 2` below `[rank]`") from error  # fmt: skip
    if not shared:
        return ConfigFile(path, found, text, named=named)
    tool = found.get("tool", {})
    own = tool.get(_PROGRAM) if isinstance(tool, dict) else None
    if own is None:
        return None
    if not isinstance(own, dict):
        raise InputError("E664", f"{path}: tool.{_PROGRAM} is no table")
    return ConfigFile(path, own, text, ("tool", _PROGRAM), named)


def defaults(config: ConfigFile, group: click.Group, ctx: click.Context) -> dict[str, Any]:
    """The defaults of the command that is called, checked, as click takes them.

    Raises
    ------
    InputError
        E665 for a command or an option that there is not, E666 for a value that an option does not
        take, E667 for what stands on the command line only.
    """
    return _of_group(config, (), config.commands, group, ctx, ctx.invoked_subcommand)


def _of_group(
    config: ConfigFile,
    table: tuple[str, ...],
    found: Mapping[str, Any],
    group: click.Group,
    ctx: click.Context,
    only: str | None = None,
) -> dict[str, Any]:
    """The defaults of the commands of a group; names are checked of all, values of one."""
    known = group.list_commands(ctx)
    made: dict[str, Any] = {}
    for name, below in found.items():
        place = config.place(*table, name)
        if name not in known:
            raise InputError(
                "E665", f"{place}: there is no command `{' '.join((*table, name))}`",
                suggest(name, known) or f"commands are {', '.join(known)}",
            )  # fmt: skip
        if not isinstance(below, dict):
            raise InputError("E666", f"{place}: `{name}` is a command",
                             "its options stand below its name in brackets")  # fmt: skip
        command = group.get_command(ctx, name) if only in (None, name) else None
        if isinstance(command, click.Group):
            made[name] = _of_group(config, (*table, name), below, command, ctx)
        elif command is not None:
            made[name] = _of_command(config, (*table, name), below, command, ctx)
    return made


def _of_command(
    config: ConfigFile,
    table: tuple[str, ...],
    found: Mapping[str, Any],
    command: click.Command,
    ctx: click.Context,
) -> dict[str, Any]:
    options = {
        word.removeprefix("--"): option
        for option in command.params
        if isinstance(option, click.Option)
        for word in option.opts
        if word.startswith("--")
    }
    made: dict[str, Any] = {}
    for key, value in found.items():
        place = config.place(*table, key)
        if key not in options:
            raise InputError(
                "E665", f"{place}: `{' '.join(table)}` has no option `{key}`",
                suggest(key, options) or f"options are {', '.join(sorted(options))}",
            )  # fmt: skip
        if key in _PER_RUN:
            raise InputError("E667", f"{place}: --{key} stands on the command line",
                             "delete the line")  # fmt: skip
        if not config.named and any(map(_RUNS_CODE.search, _texts(value))):
            raise InputError("E667", f"{place}: {key} names a Python file, which would be run",
                             "give it on the command line, or this file with --config")  # fmt: skip
        option = options[key]
        assert option.name is not None
        made[option.name] = _value(place, key, value, option, ctx)
    return made


def _value(place: str, key: str, value: object, option: click.Option, ctx: click.Context) -> Any:
    """A value as the words of a command line, which is what the types of options read."""
    fits = isinstance(value, bool) == option.is_flag and all(map(_is_plain, _listed(value)))
    try:
        if not fits or (isinstance(value, list) and not option.multiple):
            raise click.BadParameter(f"{value!r} is not what it takes")
        words: Any = _texts(value) if option.multiple else _texts(value)[0]
        words = value if option.is_flag else words
        option.type_cast_value(ctx, words)
    except click.BadParameter as error:
        raise InputError("E666", f"{place}: {key}: {error.message}",
                         "-h says which values an option takes") from error  # fmt: skip
    return words


def _is_plain(value: object) -> bool:
    return isinstance(value, (str, int, float))


def _listed(value: object) -> list[object]:
    return value if isinstance(value, list) else [value]


def _texts(value: object) -> list[str]:
    return [str(one) for one in _listed(value)]

"""A recipe as a TOML file: the options of a command, by their names."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

from autodas_dsl.language.errors import InputError
from autodas_dsl.language.resolve import suggest
from autodas_dsl.language.toml import read_toml


def read_recipe(path: Path, known: Collection[str]) -> dict[str, Any]:
    """What a file says, by the names of options with ``_`` for ``-``.

    Parameters
    ----------
    path : Path
    known : collection of str
        The names that it may use.

    Raises
    ------
    InputError
        E740 it cannot be read, or is no TOML; E741 it has a key that is not known.
    """
    try:
        found, _ = read_toml(path)
    except OSError as error:
        raise InputError("E740", f"cannot read {path}: {error.strerror}") from error
    except ValueError as error:
        raise InputError(
            "E740", f"{path} is no TOML: {error}", "write lines such as `learning-rate = 0.05`"
        ) from error
    named = {key.replace("-", "_"): value for key, value in found.items()}
    for key, value in named.items():
        if isinstance(value, dict):
            raise InputError("E741", f"{path}: `[{key}]` is a table", "write keys without tables")
        if key not in known:
            shown = key.replace("_", "-")
            options = [name.replace("_", "-") for name in known]
            raise InputError(
                "E741", f"{path}: there is no option `{shown}`",
                suggest(shown, options) or f"the options are {', '.join(sorted(options))}",
            )  # fmt: skip
    return named

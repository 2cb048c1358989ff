"""Settings in TOML."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from autodas_dsl.language.files import read_file

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

LIMIT = 1 << 20


def read_toml(path: Path) -> tuple[dict[str, Any], str]:
    """What a file of at most 1 MiB says, and its text.

    Raises
    ------
    OSError
        It cannot be read.
    ValueError
        It is no TOML, or not UTF-8.
    """
    try:
        text = read_file(path, LIMIT).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError("it is not UTF-8") from error
    return tomllib.loads(text), text

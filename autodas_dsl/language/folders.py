"""Where the shipped grammar and library are, and whether the user's cache folder may be used."""

from __future__ import annotations

import os
import stat
import sys
from functools import cache
from importlib.resources import files
from pathlib import Path

from platformdirs import user_cache_path

from autodas_dsl.language.visible import visible

_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH


@cache
def data_folder(name: str) -> Path:
    """The folder ``docs`` (of which the page of errors is shipped), ``grammar`` or ``proxies``.

    Inside a wheel they lie in the package; with an editable install beside it in the checkout.

    Raises
    ------
    FileNotFoundError
        When neither place has it: the installation is broken.
    """
    package = Path(str(files("autodas_dsl")))
    for folder in (package / name, package.parent / name):
        if folder.is_dir():
            return folder
    raise FileNotFoundError(f"autodas_dsl was installed without its {name} folder")


def cache_folder() -> Path | None:
    """The user's cache folder, made when it is not there; None where it must not be used.

    What is read from it is believed, so it is absolute, the user's own, and no one else can write
    to it. Without it everything works and nothing is kept; that is said once on standard error.
    """
    return _usable(user_cache_path("autodas-dsl"))


@cache
def _usable(folder: Path) -> Path | None:
    reason = _prepared(folder)
    if not reason:
        return folder
    from multiprocessing import parent_process  # slow to import, and rarely needed

    if parent_process() is None:  # workers need not repeat it
        print(visible(f"note: no cache: {folder} {reason}"), file=sys.stderr)
    return None


def _prepared(folder: Path) -> str:
    """Make the folder where there is none, closed to others; why it must not be used, or nothing."""
    if not folder.is_absolute():
        return "is not absolute; set HOME, or XDG_CACHE_HOME to an absolute folder"
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        folder.mkdir(mode=0o700, exist_ok=True)
        real = folder.resolve()
        own, above = real.stat(), [path.stat() for path in real.parents]
    except OSError as error:
        return f"cannot be made or read: {error.strerror or error}"
    if not hasattr(os, "getuid"):  # access lists, not permissions, protect a profile on Windows
        return ""
    if own.st_uid != os.getuid():
        return "belongs to another user"
    if own.st_mode & _OTHERS_WRITE:
        return "can be written by others; close it with chmod go-w"
    if any(place.st_mode & stat.S_IWOTH and not place.st_mode & stat.S_ISVTX for place in above):
        return "lies in a folder that everybody can change"
    return ""

"""Where the shipped grammar and library are, in a checkout and in an installed package."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from pathlib import Path


@cache
def data_folder(name: str) -> Path:
    """The folder ``grammar`` or ``proxies``.

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

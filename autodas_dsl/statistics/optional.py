"""Optional dependencies: imported when first needed, with one clear line when missing."""

from __future__ import annotations

import importlib
from types import ModuleType

from autodas_dsl.language.spans import InputError


def require(module: str, package: str, extra: str, purpose: str) -> ModuleType:
    """Import an optional dependency.

    Parameters
    ----------
    module : str
        What to import, ``"PIL.Image"``.
    package : str
        What to install, ``"Pillow"``.
    extra : str
        The extra of this project that names it.
    purpose : str
        What needs it, for the message.

    Raises
    ------
    InputError
        E405, when it is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise InputError(
            "E405",
            f"{purpose} needs {package}, which is not installed ({error})",
            f"pip install {package}, or pip install autodas-dsl[{extra}]",
        ) from error

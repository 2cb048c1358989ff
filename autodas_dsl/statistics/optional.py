"""Optional dependencies: imported when first needed, with one clear line when missing."""

from __future__ import annotations

import importlib
from types import ModuleType

from autodas_dsl.language.spans import InputError
from autodas_dsl.statistics.errors import foreign, one_line


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
        E405, when it is not installed, or broken.
    """

    def describe(error: BaseException) -> InputError:
        missing = isinstance(error, ModuleNotFoundError)
        problem = "is not installed" if missing else "does not import"
        return InputError(
            "E405",
            f"{purpose} needs {package}, which {problem} ({one_line(error)})",
            f"pip install {package}, or pip install autodas-dsl[{extra}]",
        )

    with foreign(describe):
        return importlib.import_module(module)

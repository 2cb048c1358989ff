"""Code that this project did not write: what it raises becomes a diagnostic.

Optional dependencies are imported when they are first needed, with one clear line when that fails.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable
from types import ModuleType

from autodas_dsl.language.errors import InputError


class foreign:
    """Context for code that this project did not write; what it raises becomes a diagnostic.

    Interrupts pass through, and so do diagnostics, which already say what was wrong.

    Parameters
    ----------
    describe : callable
        The diagnostic for an exception.
    """

    def __init__(self, describe: Callable[[BaseException], InputError]) -> None:
        self.describe = describe

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, (Exception, SystemExit)) and not isinstance(error, InputError):
            raise self.describe(error) from error


def is_out_of_memory(error: BaseException) -> bool:
    if isinstance(error, MemoryError):
        return True
    text = str(error)
    return isinstance(error, RuntimeError) and (
        "out of memory" in text or "can't allocate memory" in text or "not enough memory" in text
    )


def one_line(error: BaseException, width: int = 200) -> str:
    """The kind of an exception and the first line of its message."""
    text = str(error).strip().split("\n")[0]
    if len(text) > width:
        text = text[: width - 1] + "…"
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


class importing(foreign):
    """Context in which a package is imported, at once or piece by piece as it is used.

    Parameters
    ----------
    module : str
        What is imported, ``"PIL.Image"``.
    package : str
        What to install, ``"Pillow"``.
    extra : str
        The extra of this project that names it.
    purpose : str
        What needs it, for the message.

    Raises
    ------
    InputError
        E405, when it is not installed; E414, when it is there and does not import: the message
        names the cause.
    """

    def __init__(self, module: str, package: str, extra: str, purpose: str) -> None:
        top = module.partition(".")[0]

        def describe(error: BaseException) -> InputError:
            if not _is_there(top):
                return InputError(
                    "E405",
                    f"{purpose} needs {package}, which is not installed",
                    f"pip install {package}, or pip install autodas-dsl[{extra}]",
                )
            cause = _cause(error)
            lacking = getattr(cause, "name", None) if isinstance(cause, ModuleNotFoundError) else ""
            missing = (lacking or "").partition(".")[0]
            return InputError(
                "E414",
                f"{purpose} needs {package}, which is installed but does not import: "
                f"{one_line(cause)}",
                f"{package} needs {missing}: pip install {missing}"
                if missing and not _is_there(missing)
                else f'see the whole error with: python -c "import {module}"; perhaps versions '
                f"do not fit: pip install --upgrade {package}",
            )

        super().__init__(describe)


def require(module: str, package: str, extra: str, purpose: str) -> ModuleType:
    """Import an optional dependency; see `importing`."""
    with importing(module, package, extra, purpose):
        return importlib.import_module(module)


def _is_there(package: str) -> bool:
    try:
        return importlib.util.find_spec(package) is not None
    except ValueError:  # imported by hand, without a specification
        return True


def _cause(error: BaseException) -> BaseException:
    """What made an import fail in the first place: libraries that import lazily wrap it."""
    while True:
        before = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
        if not isinstance(before, Exception):
            return error
        error = before

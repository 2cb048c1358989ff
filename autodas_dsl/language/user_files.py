"""Running a Python file that a user wrote: a space, an operator, a statistic."""

from __future__ import annotations

import hashlib
import importlib.util
import sys
import traceback
from pathlib import Path
from types import ModuleType

from autodas_dsl.language.spans import InputError

USER_ERRORS = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    ImportError,
    LookupError,
    NameError,
    OSError,
    RuntimeError,
    SyntaxError,
    SystemExit,
    TypeError,
    ValueError,
)
"""What running a user's code is expected to raise; each becomes a diagnostic."""


def run_file(path: Path, code: str) -> ModuleType:
    """Import a file under a name of its own; whatever it raises is the user's to read.

    Parameters
    ----------
    path : Path
        A file that exists.
    code : str
        Of the error for a file that does not run.

    Raises
    ------
    InputError
    """
    own = hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:12]
    name = f"autodas_dsl_user_{path.stem}_{own}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise InputError(code, f"{path} is not a Python file", "its name must end in .py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up while they are made
    try:
        spec.loader.exec_module(module)
    except USER_ERRORS as error:
        del sys.modules[name]
        raise not_running(code, str(path), error) from error
    return module


def not_running(code: str, what: str, error: BaseException) -> InputError:
    """The diagnostic for user code that raised, with the line it happened in."""
    line = traceback.extract_tb(error.__traceback__)[-1]
    return InputError(
        code,
        f"{what} does not run: {type(error).__name__}: {error}",
        f"see line {line.lineno} of {line.filename}",
    )

"""Running Python files of the user: what lies beside them can be imported, errors name the line."""

from __future__ import annotations

import hashlib
import importlib.util
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

from autodas_dsl.language.errors import InputError
from autodas_dsl.language.foreign import foreign, one_line
from autodas_dsl.language.spans import Source


def run_file(file: Path, name: str, describe: Callable[[str], InputError]) -> ModuleType:
    """Run a file as a module.

    Parameters
    ----------
    file : Path
    name : str
        Under which it stands in ``sys.modules``: dataclasses look their module up.
    describe : callable
        The diagnostic for an error, told its line and kind in words.
    """
    with users_code(file, describe):
        return load_module(file, name)


def load_module(file: Path, name: str) -> ModuleType:
    """Run a file as a module, and let what it raises through."""
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise ImportError(f"{file.name} does not end in .py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def digest_of(file: Path) -> str:
    """A digest of what a file says."""
    return hashlib.sha256(file.read_bytes()).hexdigest()[:16]


def require_same(file: Path, digest: str) -> None:
    """Make sure that a file says what it said elsewhere, where this digest was taken of it.

    Raises
    ------
    InputError
        E415 when it does not, or is not there.
    """
    if not file.is_file() or digest_of(file) != digest:
        raise InputError(
            "E415", f"{file} is not the file that this work began with",
            "leave a file as it is while networks are built from it, or begin again",
        )  # fmt: skip


@contextmanager
def users_code(file: Path, describe: Callable[[str], InputError]) -> Iterator[None]:
    """Context in which code of a file runs, with the imports and the diagnostics of `run_file`."""
    try:
        with beside(file), foreign(lambda error: describe(failing_line(error, file))):
            yield
    except InputError as error:
        error.source = error.source or Source(str(file), "")
        raise


@contextmanager
def beside(file: Path) -> Iterator[None]:
    """Let the file import what lies beside it, as a script can."""
    folder = str(file.resolve().parent)
    sys.path.insert(0, folder)
    try:
        yield
    finally:
        if folder in sys.path:
            sys.path.remove(folder)


def failing_line(error: BaseException, file: Path) -> str:
    """Where in the file an error arose, and what it was."""
    if isinstance(error, SyntaxError) and error.lineno is not None:
        return f"line {error.lineno}: {type(error).__name__}: {error.msg}"
    frames = traceback.extract_tb(error.__traceback__)
    here = [f.lineno for f in frames if Path(f.filename).resolve() == file.resolve()]
    return f"line {here[-1]}: {one_line(error)}" if here else one_line(error)

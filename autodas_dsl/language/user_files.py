"""Running Python files of the user: what lies beside them can be imported, errors name the line."""

from __future__ import annotations

import hashlib
import importlib.util
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType

from autodas_dsl.language.errors import InputError
from autodas_dsl.language.files import write_atomic
from autodas_dsl.language.folders import cache_folder
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
    return _digest(file.read_bytes())


@dataclass(frozen=True)
class UserFile:
    """A file of the user on its way to another process, which may be on another machine.

    Parameters
    ----------
    path : Path
        Absolute.
    digest : str
    content : bytes
    """

    path: Path
    digest: str
    content: bytes

    @classmethod
    def of(cls, path: Path, digest: str = "") -> UserFile:
        """A file as it is now.

        Raises
        ------
        InputError
            E415 when a digest was taken of it before and it says something else now.
        """
        content = path.read_bytes() if path.is_file() else b""
        found = _digest(content)
        if digest and found != digest:
            raise InputError(
                "E415", f"{path} is not the file that this work began with",
                "leave a file as it is while networks are built from it, or begin again",
            )  # fmt: skip
        return cls(path.resolve(), found, content)

    def here(self) -> Path:
        """The file, where it says the same on this machine; else a copy."""
        if _says(self.path, self.digest):
            return self.path
        copy = _copies() / self.digest / self.path.name
        if not _says(copy, self.digest):
            copy.parent.mkdir(parents=True, exist_ok=True)
            write_atomic(copy, self.content)
        return copy


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]


def _says(file: Path, digest: str) -> bool:
    return file.is_file() and digest_of(file) == digest


@cache
def _copies() -> Path:
    """Where files of other machines lie: what they say is run, so that nobody else writes there."""
    kept = cache_folder()
    return kept / "files" if kept else Path(tempfile.mkdtemp(prefix="autodas-dsl-files-"))


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

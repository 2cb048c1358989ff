"""Statistics in mapped files: in memory once, however many processes read them."""

from __future__ import annotations

import shutil
import tempfile
from contextlib import ExitStack
from itertools import count
from pathlib import Path

import torch
from filelock import FileLock, Timeout

from autodas_dsl.language.errors import InputError
from autodas_dsl.language.foreign import one_line
from autodas_dsl.scoring.stored import Stored

_PREFIX = "autodas-dsl-"
_LOCK = "lock"
_HELD = "held"  # there once the lock is taken: before, a new folder would pass for an abandoned one


class Shared:
    """A temporary folder of statistics, removed with `resources`.

    A process that was killed leaves its folder behind; the next one removes it. The lock tells
    which folders are in use: it is the operating system's and ends with the process.
    """

    def __init__(self, resources: ExitStack) -> None:
        _remove_abandoned(Path(tempfile.gettempdir()))
        self._folder = Path(resources.enter_context(tempfile.TemporaryDirectory(prefix=_PREFIX)))
        resources.enter_context(FileLock(self._folder / _LOCK, fallback_to_soft=False))
        (self._folder / _HELD).touch()
        self._numbers = count()

    def keep(self, stored: Stored) -> Path:
        """Write statistics to a file, for `mapped` to read.

        Raises
        ------
        InputError
            E610 when the file cannot be written.
        """
        path = self._folder / str(next(self._numbers))
        try:
            torch.save(stored, path)
        except (OSError, RuntimeError) as error:
            raise InputError(
                "E610", f"cannot hand statistics to the workers: {one_line(error)}",
                "free the temporary folder, set TMPDIR, or use --workers 1",
            ) from error  # fmt: skip
        return path


def mapped(path: Path) -> Stored:
    """Statistics in a file, read when they are looked at."""
    stored: Stored = torch.load(path, weights_only=False, mmap=True)
    return stored


def _remove_abandoned(folder: Path) -> None:
    """Remove the folders of processes that ended without doing so."""
    for path in folder.glob(f"{_PREFIX}*/{_HELD}"):
        lock = FileLock(path.with_name(_LOCK), fallback_to_soft=False)
        try:
            lock.acquire(blocking=False)
        except (Timeout, OSError):  # in use, another user's, or just removed
            continue
        lock.release()  # first: not every system removes an open file
        shutil.rmtree(path.parent, ignore_errors=True)

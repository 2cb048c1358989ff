"""Files read within a limit, and written so that a reader never finds half of one."""

from __future__ import annotations

import errno
import os
import re
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from autodas_dsl.language.errors import InputError


def read_file(path: Path, limit: int) -> bytes:
    """The bytes of a file that is no larger than a limit.

    Raises
    ------
    OSError
        It cannot be read, is a folder, a pipe or a device (which may never end), or is larger than
        `limit` (``EFBIG``); a large file is not read.
    """
    status = path.stat()
    if stat.S_ISDIR(status.st_mode):
        raise OSError(errno.EISDIR, "it is a folder", str(path))
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, "it is a pipe or a device, not a file", str(path))
    if status.st_size <= limit:
        with path.open("rb") as stream:
            data = stream.read(limit + 1)
        if len(data) <= limit:
            return data
    raise OSError(errno.EFBIG, f"it is larger than {limit >> 20} MiB", str(path))


def write_atomic(path: Path, content: str | bytes) -> None:
    """Write a file through a temporary one beside it: written, synced, renamed.

    Raises
    ------
    InputError
        The folder does not exist or cannot be written, or the disk is full; an older file is
        left as it was and no temporary file stays behind.
    """
    try:
        with replacing(path) as temporary:
            temporary.write_bytes(content.encode("utf-8") if isinstance(content, str) else content)
    except OSError as error:
        raise cannot_write(path, error) from error


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary file beside a path, to be written; it takes its place when the block is through.

    Raises
    ------
    OSError
        What is at the path is as it was, and no temporary file stays behind.
    """
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        with temporary.open("rb+") as stream:
            os.fsync(stream.fileno())
        temporary.chmod(_mode(path))
        temporary.replace(path)
        _sync_folder(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def plain_name(text: str) -> str:
    """A part of a file name that recalls a text and leads nowhere else."""
    return re.sub(r"[^\w.+=,-]|^\.+", "_", text, flags=re.ASCII)


def require_place(path: Path) -> None:
    """Refuse a path that `write_atomic` could not write, before the work for it is done.

    Raises
    ------
    InputError
        E517 the folder does not exist or cannot be written.
    """
    try:
        with tempfile.NamedTemporaryFile(prefix=f".{path.name}.", suffix=".part", dir=path.parent):
            pass
    except OSError as error:
        raise cannot_write(path, error) from error


def _mode(path: Path) -> int:
    """The permissions of the file that is replaced, else those of a new one."""
    try:
        return path.stat().st_mode & 0o777
    except FileNotFoundError:
        mask = os.umask(0)
        os.umask(mask)
        return 0o666 & ~mask


def _sync_folder(folder: Path) -> None:
    """Make the rename itself durable, where the system can open a folder."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def cannot_write(path: Path, error: OSError) -> InputError:
    """The diagnostic for a file or folder that the system does not let us write."""
    return InputError(
        "E517",
        f"cannot write {path}: {error.strerror or error}",
        "choose a folder that exists, may be written and has space left",
    )

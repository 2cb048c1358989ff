"""How memory is given back, in processes that evaluate many formulas."""

from __future__ import annotations

import atexit
import ctypes
import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # of glibc's mallopt
_LARGEST_TEMPORARY = 32 << 20  # as much as glibc takes
_KEPT = 256 << 20


def tune_memory() -> None:
    """Use freed memory again at once, and leave loaded modules out of garbage collection.

    For the whole process, so it is for command lines and workers to ask, not for a library. By
    default glibc gives large blocks back at once, and every operation on tensors faults its pages
    in again: a tenth of the time of a search. Other C libraries stay as they are. Modules that are
    loaded by now stay loaded; looking through them again took a quarter of a second, as long as a
    last look through everything at the end.
    """
    gc.freeze()
    atexit.register(gc.freeze)
    library = _glibc()
    if library is not None:
        library.mallopt(_MMAP_THRESHOLD, _LARGEST_TEMPORARY)
        library.mallopt(_TRIM_THRESHOLD, _KEPT)


@contextmanager
def importing() -> Iterator[None]:
    """Look for no garbage while modules are imported: they are none, and it is a fifth of the time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def return_freed_memory() -> None:
    """Give freed memory between pieces in use back to the system, where glibc holds it."""
    library = _glibc()
    if library is not None:
        library.malloc_trim(0)


def _glibc() -> ctypes.CDLL | None:
    if not sys.platform.startswith("linux"):
        return None
    library = ctypes.CDLL(None)
    return library if hasattr(library, "gnu_get_libc_version") else None

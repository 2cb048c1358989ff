"""What ``check --watch`` waits for."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from autodas_dsl.cli.documents import documents

_INTERVAL = 0.3
"""Seconds between two looks: files are few, and a look needs no package for each system's events."""

_Stamp = tuple[int, int] | None


def changes(specs: Sequence[str]) -> Iterator[None]:
    """Once at first, and whenever a document of files and folders is written, made or removed."""
    before = None
    while True:
        found = {one.path: _stamp(one.path) for one in documents(specs) if one.path is not None}
        if found != before:
            before = found
            yield
        time.sleep(_INTERVAL)


def _stamp(path: Path) -> _Stamp:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size

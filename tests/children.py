"""Processes of tests that need no interpreter of their own, which takes seconds to import torch."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import traceback
from collections.abc import Callable


def forked(main: Callable[[], int | None], encoding: str = "utf-8") -> subprocess.Popen[str]:
    """A function in a process of its own, which ends with the status that it returns.

    The process is real: it has its own signals and limits, and two pipes for what it prints.
    """

    def child() -> None:
        os.closerange(3, 1024)  # one of them is what Popen waits for
        sys.stdout, sys.stderr = (os.fdopen(one, "w", encoding=encoding) for one in (1, 2))
        signal.signal(signal.SIGINT, signal.default_int_handler)  # it may be ignored here
        status: int | None = 1
        try:
            status = main()
        except SystemExit as end:
            status = int(end.code or 0)
        finally:
            if error := sys.exc_info()[1]:
                traceback.print_exception(error)
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status or 0)

    return subprocess.Popen(
        sys.executable, preexec_fn=child, encoding=encoding, errors="replace",
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip

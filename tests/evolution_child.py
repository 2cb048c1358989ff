"""A run on made-up scores, to be interrupted by tests in a process of its own."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

from evolution_tables import FEW, Fake, fake_task

from autodas_dsl.evolution.run import evolve
from autodas_dsl.evolution.watch import Watch
from autodas_dsl.language.errors import InputError


def main(
    folder: Path, *, resume: bool = False, pause: float = 0.0, iterations: int = 12, limit: int = 0
) -> int:
    """Run as a command would; `limit` is the size that files may have."""
    if limit:
        limit_files(limit)
    config = replace(FEW, iterations=iterations, population=8, seed=5)
    task = fake_task(evaluator=Fake(pause=pause))
    print("started", flush=True)
    try:
        run = evolve(
            config, [task], folder=folder, resume=resume,
            watch=Watch(lambda now: print(now.generation, now.from_journal, flush=True)),
        )  # fmt: skip
    except InputError as error:
        print(error.render(), file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("stopped now", file=sys.stderr)
        return 130
    print(run.stopped, flush=True)
    return 0


def limit_files(size: int) -> None:
    """Let every write beyond so many bytes of a file fail, as on a full disk."""
    import resource
    import signal

    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

"""A run on made-up scores in a process of its own, to be interrupted by tests.

``python evolution_child.py FOLDER [--resume] [--pause SECONDS] [--iterations N]``
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from evolution_tables import Fake, fake_task

from autodas_dsl.evolution.config import Config
from autodas_dsl.evolution.run import evolve
from autodas_dsl.evolution.watch import Told
from autodas_dsl.language.errors import InputError


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--resume", action="store_true")
    parser.add_argument("--pause", type=float, default=0.0)
    parser.add_argument("--iterations", type=int, default=12)
    parser.add_argument("--limit", type=int, default=0)
    options = parser.parse_args()
    if options.limit:
        limit_files(options.limit)
    config = Config(iterations=options.iterations, population=8, seed=5)
    task = fake_task(evaluator=Fake(pause=options.pause))
    print("started", flush=True)
    try:
        run = evolve(
            config, [task], folder=options.folder, resume=options.resume,
            watch=Told(lambda now: print(now.generation, now.from_journal, flush=True)),
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


if __name__ == "__main__":
    sys.exit(main())

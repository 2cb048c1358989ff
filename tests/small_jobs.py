"""What workers of the tests keep: imported by them too, so that it pickles by name."""

from __future__ import annotations

import importlib
import os
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from tiny_space import Tiny, TinyArch
from torch import nn

from autodas_dsl.execution.jobs import Executor, InProcess, Job, Lost
from autodas_dsl.language.errors import InputError
from autodas_dsl.statistics.errors import OutOfMemory


@dataclass(frozen=True)
class Doubling:
    """Doubles numbers, and leaves a line in a file whenever it is made."""

    log: Path

    def __call__(self) -> Callable[[int], tuple[int, int, int]]:
        with self.log.open("a") as file:
            file.write(f"{os.getpid()}\n")
        return lambda number: (2 * number, os.getpid(), torch.get_num_threads())


@dataclass(frozen=True)
class Dying:
    """Ends its process at the numbers given, as often as told: each time leaves a mark."""

    folder: Path
    numbers: tuple[int, ...]
    times: int

    def __call__(self) -> Callable[[int], int]:
        return self.of

    def of(self, number: int) -> int:
        if number in self.numbers:
            marks = len(list(self.folder.glob(f"{number}-*")))
            if marks < self.times:
                (self.folder / f"{number}-{marks}").touch()
                os._exit(9)
        return 2 * number


def refusing() -> Callable[[int], int]:
    """Raises a diagnostic at 1, another at 2."""

    def refused(number: int) -> int:
        if number == 1:
            raise InputError("E999", "one is refused", "give another number")
        if number == 2:
            raise OutOfMemory("two is too much")
        return number

    return refused


@dataclass(frozen=True)
class Building:
    """Builds the network of any source and adds its parameters up."""

    def __call__(self) -> Callable[[Any], float]:
        return lambda source: sum(float(p.detach().sum()) for p in source.build(3).parameters())


class Deadly(Tiny):
    """Ends the process that builds the network 4-4."""

    name = "deadly"

    def build(self, arch: TinyArch, classes: int | None = None) -> nn.Module:
        if arch.width == (4, 4):
            os._exit(9)
        return super().build(arch, classes)


class Slow(Tiny):
    """Takes its time to build a network in another process than it was made in."""

    name = "slow"

    def __init__(self) -> None:
        self.home = os.getpid()

    def build(self, arch: TinyArch, classes: int | None = None) -> nn.Module:
        if os.getpid() != self.home:
            time.sleep(0.1)
        return super().build(arch, classes)


class Slowly:
    """Gives numbers back after a while."""

    def __call__(self) -> Callable[[int], int]:
        def slowly(number: int) -> int:
            time.sleep(0.1)
            return number

        return slowly


@dataclass(frozen=True)
class Locked:
    """Holds what cannot be pickled."""

    lock: Any

    def __call__(self) -> Callable[[int], int]:
        return adding(0)


class Unreadable:
    """Needs a module that is in no process."""

    def __reduce__(self) -> tuple[Any, ...]:
        return importlib.import_module, ("nowhere",)

    def __call__(self) -> Callable[[int], int]:
        return adding(0)


def adding(more: int) -> Callable[[int], int]:
    return lambda number: number + more


class Backwards(Executor):
    """Runs all jobs here and gives the last result first."""

    workers = 3

    def run(self, jobs: Iterable[Job[Any, Any]]) -> Iterator[tuple[int, Any | Lost]]:
        yield from list(InProcess().run(jobs))[::-1]

    def forget(self) -> None:
        """Nothing is kept."""

    def close(self) -> None:
        """Nothing is kept."""


def environment() -> Callable[[str], str | None]:
    """What gives the value of a variable."""
    return os.environ.get

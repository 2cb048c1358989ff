"""The worker's side of the seam: it makes the states of its jobs, keeps them, and calls them."""

from __future__ import annotations

import pickle
import platform
from collections.abc import Callable, Sequence
from enum import IntEnum
from typing import Any

from autodas_dsl.execution.memory import tune_memory
from autodas_dsl.language.errors import InputError
from autodas_dsl.language.extend import load_extension, load_installed
from autodas_dsl.language.foreign import foreign, one_line
from autodas_dsl.language.user_files import UserFile


class Said(IntEnum):
    """What a worker says, or what is said of it."""

    READY = 0
    MADE = 1
    DONE = 2
    WRONG = 3
    DIED = 4
    GONE = 5


Saying = tuple[Said, Any]
Key = tuple[int, int]
"""Of a state: how often the executor was told to forget before, and a number."""


def settle(extensions: Sequence[UserFile]) -> None:
    """Make this process a worker: one thread, and the operators and statistics of the user."""
    import torch  # here: who starts workers may not have it yet
    from threadpoolctl import threadpool_limits

    tune_memory()
    torch.set_num_threads(1)
    threadpool_limits(1, "blas")
    load_installed()
    for file in extensions:
        load_extension(file.here())


class Keeper:
    """What one worker keeps, each under the key of its state."""

    def __init__(self) -> None:
        self._kept: dict[Key, Callable[[Any], Any]] = {}

    def make(self, key: Key, packed: bytes | None) -> Saying:
        """Make a state and keep it; where it was made before, nothing is packed."""
        try:
            if packed is not None:
                self._kept = {one: kept for one, kept in self._kept.items() if one[0] == key[0]}
                self._kept[key] = unpacked(packed)()
        except InputError as error:
            return Said.WRONG, error
        return Said.MADE, None

    def call(self, key: Key, argument: Any) -> Saying:
        try:
            return Said.DONE, self._kept[key](argument)
        except InputError as error:
            return Said.WRONG, error

    def work(self, key: Key, state: bytes | None, argument: Any) -> Saying:
        """Both in one; GONE where nothing is kept under the key and nothing is packed."""
        if state is None and key not in self._kept:
            return Said.GONE, None
        said = self.make(key, state) if key not in self._kept else (Said.MADE, None)
        return self.call(key, argument) if said[0] is Said.MADE else said


def packed(state: Any, dumps: Callable[[Any], bytes] = pickle.dumps) -> bytes:
    """A state, ready to travel.

    Raises
    ------
    InputError
        E780 when something in it does not pickle.
    """
    with foreign(_unpicklable):
        return dumps(state)


def unpacked(data: bytes) -> Any:
    """The state that was packed.

    Raises
    ------
    InputError
        E781 when it needs code that is not here.
    """
    with foreign(_unreadable):
        return pickle.loads(data)


def _unpicklable(error: BaseException) -> InputError:
    return InputError(
        "E780", f"this work cannot be sent to workers: {one_line(error)}",
        "define networks and spaces at the top level of a module or of a file that is named, or "
        "use one worker",
    )  # fmt: skip


def _unreadable(error: BaseException) -> InputError:
    return InputError(
        "E781", f"a worker on {platform.node()} cannot read its work: {one_line(error)}",
        "install there what it needs, or define it in a file that --space or --with names",
    )  # fmt: skip

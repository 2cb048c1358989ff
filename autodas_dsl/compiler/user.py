"""Users' own operators at run time: ``user.NAME`` in emitted text."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from torch import Tensor

from autodas_dsl.language.errors import InputError
from autodas_dsl.language.foreign import foreign, one_line
from autodas_dsl.language.operators import OPERATORS


class UserFunctions:
    """The functions of users' operators; what goes wrong in one is a diagnostic that names it."""

    def __getattr__(self, name: str) -> Callable[..., Tensor]:
        entry = OPERATORS.get(name)
        if entry is None or entry.function is None:
            raise AttributeError(f"there is no user operator `{name}`")
        function = entry.function

        def call(*args: Tensor, **given: Any) -> Tensor:
            with foreign(lambda error: _fails(name, one_line(error))):
                found = function(*args, **given)
            if not isinstance(found, Tensor):
                raise _fails(name, f"it returns {type(found).__name__}, not a tensor")
            if entry.signature in ("x -> x", "x, y -> x"):
                _same_shape(name, args, found)
            return found

        return call


def _same_shape(name: str, args: tuple[Tensor, ...], found: Tensor) -> None:
    wanted = np.broadcast_shapes(*(arg.shape for arg in args))
    if found.shape != wanted:
        raise _fails(name, f"it makes {list(found.shape)} of {list(wanted)}")


def _fails(name: str, reason: str) -> InputError:
    return InputError(
        "E225", f"operator `{name}`: {reason}",
        "it must work for any number of leading axes: layers or networks are stacked there",
    )  # fmt: skip


USER = UserFunctions()

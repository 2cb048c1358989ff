"""Code that this project did not write: what it raises becomes a diagnostic."""

from __future__ import annotations

from collections.abc import Callable

from autodas_dsl.language.errors import InputError


class foreign:
    """Context for code that this project did not write; what it raises becomes a diagnostic.

    Interrupts pass through, and so do diagnostics, which already say what was wrong.

    Parameters
    ----------
    describe : callable
        The diagnostic for an exception.
    """

    def __init__(self, describe: Callable[[BaseException], InputError]) -> None:
        self.describe = describe

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, (Exception, SystemExit)) and not isinstance(error, InputError):
            raise self.describe(error) from error


def is_out_of_memory(error: BaseException) -> bool:
    if isinstance(error, MemoryError):
        return True
    text = str(error)
    return isinstance(error, RuntimeError) and (
        "out of memory" in text or "can't allocate memory" in text or "not enough memory" in text
    )


def one_line(error: BaseException, width: int = 200) -> str:
    """The kind of an exception and the first line of its message."""
    text = str(error).strip().split("\n")[0]
    if len(text) > width:
        text = text[: width - 1] + "…"
    return f"{type(error).__name__}: {text}" if text else type(error).__name__

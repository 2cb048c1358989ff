"""Finding spaces: by name among the files of this folder, or in a user's own file."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import pkgutil
import sys
import traceback
from pathlib import Path
from types import ModuleType
from typing import Any

from autodas_dsl import spaces
from autodas_dsl.language.spans import InputError
from autodas_dsl.spaces.base import Space, suggestion

USER_ERRORS = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    ImportError,
    LookupError,
    NameError,
    OSError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
)
"""What running a user's file is expected to raise; each becomes a diagnostic."""


def names() -> tuple[str, ...]:
    """Names of the built-in spaces, sorted."""
    found = (_space_in(stem) for stem in _files())
    return tuple(sorted(space.name for space in found if space is not None))


def get(name: str) -> Space[Any]:
    """A space by name, or from a user's file when the name ends in ``.py``.

    Raises
    ------
    InputError
        There is no such space (E710), or as `load`.
    """
    if name.endswith(".py"):
        return load(name)
    stem = name.replace("-", "_")
    space = _space_in(stem) if stem in _files() else None
    if space is None:
        raise InputError("E710", f'there is no space "{name}"', suggestion(name, names()))
    return space


def load(path: str | Path) -> Space[Any]:
    """The space of a user's Python file: its ``space``, or the one `Space` subclass defined in it.

    Raises
    ------
    InputError
        The file does not exist (E711), does not run (E712), or holds no space (E713).
    """
    path = Path(path)
    if not path.is_file():
        raise InputError("E711", f"there is no file {path}", "give the path of a Python file")
    module = _run(path)
    space = getattr(module, "space", None)
    if space is None:
        own = [value for value in vars(module).values() if _is_own_space(value, module)]
        space = own[0]() if len(own) == 1 else None
    if not isinstance(space, Space):
        raise InputError(
            "E713",
            f"{path} holds no space",
            "assign one: space = MySpace(), a subclass of autodas_dsl.spaces.Space",
        )
    return space


def resolve(text: str) -> tuple[Space[Any], Any]:
    """Space and architecture of ``SPACE:ARCH``, such as ``cifar-resnet:9-9-9``.

    Raises
    ------
    InputError
        There is no colon (E714), no such space, or no such architecture in it.
    """
    name, colon, arch = text.rpartition(":") if ".py:" in text else text.partition(":")
    if not colon:
        raise InputError("E714", f'"{text}" names no architecture', "write it as SPACE:ARCH")
    space = get(name)
    return space, space.parse(arch)


def _files() -> tuple[str, ...]:
    return tuple(module.name for module in pkgutil.iter_modules(spaces.__path__))


def _space_in(stem: str) -> Space[Any] | None:
    module = importlib.import_module(f"{spaces.__name__}.{stem}")
    space = getattr(module, "SPACE", None)
    return space if isinstance(space, Space) else None


def _is_own_space(value: object, module: ModuleType) -> bool:
    return (
        inspect.isclass(value)
        and issubclass(value, Space)
        and value.__module__ == module.__name__
        and not inspect.isabstract(value)
    )


def _run(path: Path) -> ModuleType:
    """Import a file under a name of its own; whatever it raises is the user's to read."""
    name = f"autodas_dsl_user_space_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise InputError("E712", f"{path} is not a Python file", "its name must end in .py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up while they are made
    try:
        spec.loader.exec_module(module)
    except USER_ERRORS as error:
        del sys.modules[name]
        line = traceback.extract_tb(error.__traceback__)[-1]
        raise InputError(
            "E712",
            f"{path} does not run: {type(error).__name__}: {error}",
            f"see line {line.lineno} of {line.filename}",
        ) from error
    return module

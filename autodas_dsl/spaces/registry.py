"""Finding spaces: by name among the files of this folder, or in a user's own file."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from pathlib import Path
from types import ModuleType
from typing import Any

from autodas_dsl.language.errors import InputError
from autodas_dsl.language.user_files import digest_of, require_same, run_file, users_code
from autodas_dsl.spaces.base import Space, suggestion
from autodas_dsl.spaces.functions import FunctionSpace


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
    """The space of a user's Python file.

    It is the file's ``space``, or the one `Space` subclass defined in it, or what its function
    ``build`` makes of texts, see `FunctionSpace`.

    Raises
    ------
    InputError
        The file does not exist (E711), does not run (E712), or holds no space (E713).
    """
    file = Path(path)
    if not file.is_file():
        raise InputError("E711", f"there is no file {path}", "give the path of a Python file")
    name = f"autodas_dsl_user_space_{file.stem}"
    module = run_file(file, name, lambda why: InputError("E712", f"it does not run: {why}"))
    space = _space_of(module, file)
    if space is None:
        raise InputError(
            "E713",
            f"{path} holds no space",
            "define build(arch), which makes the network of a text, or assign space = MySpace(), a "
            "subclass of autodas_dsl.spaces.Space",
        )
    space.file, space.source = str(file.resolve()), digest_of(file)
    space.load_again = load_same
    return space


def load_same(path: str, source: str) -> Space[Any]:
    """The space of a file that another process loaded, as it was then.

    Raises
    ------
    InputError
        The file has changed or is gone (E415), or as `load`.
    """
    require_same(Path(path), source)
    return load(path)


def holds_space(module: ModuleType) -> bool:
    """Whether `load` finds a space in a file that was run as this module."""
    return (
        isinstance(getattr(module, "space", None), Space)
        or len(_own_spaces(module)) == 1
        or _is_function(getattr(module, "build", None))
    )


def resolve(text: str) -> tuple[Space[Any], Any]:
    """Space and architecture of ``SPACE:ARCH``, such as ``cifar-resnet:9-9-9``.

    Raises
    ------
    InputError
        There is no colon (E714), no such space, or no such architecture in it.
    """
    stem, ending, rest = text.partition(".py:")
    name, colon, arch = (f"{stem}.py", ":", rest) if ending else text.partition(":")
    if not colon:
        raise InputError("E714", f'"{text}" names no architecture', "write it as SPACE:ARCH")
    space = get(name)
    return space, space.parse(arch)


def _files() -> tuple[str, ...]:
    return tuple(module.name for module in pkgutil.iter_modules([str(Path(__file__).parent)]))


def _space_in(stem: str) -> Space[Any] | None:
    module = importlib.import_module(f".{stem}", __package__)
    space = getattr(module, "SPACE", None)
    return space if isinstance(space, Space) else None


def _space_of(module: ModuleType, file: Path) -> Space[Any] | None:
    if not holds_space(module):
        return None
    space = getattr(module, "space", None)
    if isinstance(space, Space):
        return space
    own = _own_spaces(module)
    if not own:
        return FunctionSpace(file, module)
    with users_code(file, lambda why: InputError("E712", f"{own[0].__name__}() fails: {why}")):
        return own[0]()


def _own_spaces(module: ModuleType) -> list[type[Space[Any]]]:
    return [
        value
        for value in vars(module).values()
        if inspect.isclass(value)
        and issubclass(value, Space)
        and value.__module__ == module.__name__
        and not inspect.isabstract(value)
    ]


def _is_function(value: object) -> bool:
    return callable(value) and not inspect.isclass(value)

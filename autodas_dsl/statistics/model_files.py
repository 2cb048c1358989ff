"""Networks in a Python file of the user: `model`, `build_model()` or `models()`."""

from __future__ import annotations

import hashlib
import importlib.util
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from torch import nn

from autodas_dsl.language.spans import InputError
from autodas_dsl.statistics.errors import foreign, one_line
from autodas_dsl.statistics.model_source import ModelSource
from autodas_dsl.statistics.network import seeded

_MEMBERS = ("model", "build_model", "models")


def file_sources(path: str, member: str | None) -> tuple[ModelSource, ...]:
    """The networks of a Python file.

    The file is run once here, to learn what it offers, and once per network built, so that every
    build starts from its own seed.

    Raises
    ------
    InputError
        E401 (no such file), E402 (does not import), E403 (no such member, or it fails),
        E404 (not a network).
    """
    file = Path(path)
    if not file.is_file():
        raise InputError("E401", f"there is no model file {path}")
    with seeded(0):
        module = _run(file)
        name = member or next((m for m in _MEMBERS if hasattr(module, m)), None)
        if name is None or not hasattr(module, name):
            raise InputError(
                "E403",
                f"{path} has no {name!r}" if name else f"{path} defines no model",
                "define `model`, `build_model()` or `models()`, or name a callable: FILE.py:NAME",
            )
        found = _call(file, module, name)
    input_shape = _shape(path, getattr(module, "input", None))
    classes = _classes(path, getattr(module, "classes", None))
    text = f"{path}:{member}" if member else path
    weights = "weights as the file makes them: random unless it loads some"
    if not isinstance(found, Mapping):
        make = _maker(file, name, None)
        return (_checked(found, ModelSource(text, make, input_shape, classes, weights)),)
    return tuple(
        ModelSource(f"{text}:{key}", _maker(file, name, key), input_shape, classes, weights)
        for key in found
    )


def _checked(found: Any, source: ModelSource) -> ModelSource:
    if not isinstance(found, nn.Module):
        raise InputError(
            "E404",
            f"{source.name} gives an object of type {type(found).__name__}, not a network",
            "`model` must be a torch.nn.Module, build_model() must return one, models() a dict",
        )
    return source


def _maker(file: Path, member: str, key: str | None) -> Callable[[], Any]:
    def make() -> Any:
        found = _call(file, _run(file), member)
        if key is None:
            return found
        network = found[key]
        if isinstance(network, nn.Module) or not callable(network):
            return network
        with _beside(file):
            return network()

    return make


def _call(file: Path, module: ModuleType, member: str) -> Any:
    found = getattr(module, member)
    if isinstance(found, (nn.Module, Mapping)) or not callable(found):
        return found

    def describe(error: BaseException) -> InputError:
        return InputError("E403", f"{file.name}: {member}() fails{_line(error, file)}")

    with _beside(file), foreign(describe):
        return found()


def _run(file: Path) -> ModuleType:
    digest = hashlib.sha256(str(file.resolve()).encode()).hexdigest()[:12]
    spec = importlib.util.spec_from_file_location(f"autodas_model_{digest}", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses in the file look their module up

    def describe(error: BaseException) -> InputError:
        return InputError("E402", f"{file} does not import{_line(error, file)}")

    with _beside(file), foreign(describe):
        spec.loader.exec_module(module)
    return module


def _line(error: BaseException, file: Path) -> str:
    """Where in the file the error arose, and what it was."""
    if isinstance(error, SyntaxError) and error.lineno is not None:
        return f": line {error.lineno}: {type(error).__name__}: {error.msg}"
    frames = traceback.extract_tb(error.__traceback__)
    here = [f.lineno for f in frames if Path(f.filename).resolve() == file.resolve()]
    where = f": line {here[-1]}" if here else ""
    return f"{where}: {one_line(error)}"


@contextmanager
def _beside(file: Path) -> Iterator[None]:
    """Let the file import what lies beside it, as a script can."""
    folder = str(file.resolve().parent)
    sys.path.insert(0, folder)
    try:
        yield
    finally:
        if folder in sys.path:
            sys.path.remove(folder)


def _shape(path: str, value: Any) -> tuple[int, ...] | None:
    if value is None or callable(value):
        return None
    if isinstance(value, (tuple, list)) and value and all(_positive(n) for n in value):
        return tuple(value)
    raise InputError("E403", f"{path}: input is {value!r}", "write `input = (3, 32, 32)`")


def _classes(path: str, value: Any) -> int | None:
    if value is None or callable(value):
        return None
    if _positive(value):
        return int(value)
    raise InputError("E403", f"{path}: classes is {value!r}", "write `classes = 10`")


def _positive(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0

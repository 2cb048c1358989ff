"""Networks in a Python file of the user: `model`, `build_model()`, `models()` or one class.

What of the file is wanted is written ``NAME``, or ``Name(16, depth=2)`` with literal arguments.
"""

from __future__ import annotations

import ast
import hashlib
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

from torch import nn

from autodas_dsl.execution.randomness import seeded
from autodas_dsl.language.errors import InputError
from autodas_dsl.language.user_files import UserFile, digest_of, run_file, users_code
from autodas_dsl.models.source import ModelSource
from autodas_dsl.models.spaces import named_source
from autodas_dsl.spaces.functions import is_count
from autodas_dsl.spaces.registry import holds_space


@dataclass(frozen=True)
class Call:
    """A name in a file, and the arguments that it is called with.

    Attributes
    ----------
    name : str
    arguments : tuple
    keywords : dict
    written : bool
        Whether brackets were written: then it must be something to call.
    """

    name: str
    arguments: tuple[Any, ...] = ()
    keywords: Mapping[str, Any] = field(default_factory=dict)
    written: bool = False

    def of(self, found: Callable[..., Any]) -> Any:
        return found(*self.arguments, **self.keywords)


def read_call(text: str) -> Call | None:
    """The call that a text is; None where it is none, or an argument is no literal.

    Nothing in the text is run: arguments are numbers, texts, True, False, None, and tuples, lists,
    sets and dicts of them.
    """
    try:
        tree = ast.parse(text, mode="eval").body
        if isinstance(tree, ast.Name):
            return Call(tree.id)
        if not isinstance(tree, ast.Call) or not isinstance(tree.func, ast.Name):
            return None
        keywords = {str(k.arg): ast.literal_eval(k.value) for k in tree.keywords if k.arg}
        if len(keywords) < len(tree.keywords):  # **mapping
            return None
        arguments = tuple(ast.literal_eval(one) for one in tree.args)
    except (SyntaxError, ValueError, TypeError, MemoryError, RecursionError):
        return None
    return Call(tree.func.id, arguments, keywords, written=True)


def call_text(name: str, found: object) -> str:
    """How a class or function is called, with the arguments that it cannot do without."""
    needed = ", ".join(needed_arguments(found))
    return f"{name}({needed})" if needed else name


def needed_arguments(found: object) -> tuple[str, ...]:
    """Names of the arguments without a default; none where Python does not tell."""
    try:
        parameters = inspect.signature(found).parameters.values()  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return ()
    named = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD,
             inspect.Parameter.KEYWORD_ONLY)  # fmt: skip
    return tuple(p.name for p in parameters if p.default is p.empty and p.kind in named)


def network_classes(names: Mapping[str, object], module: str) -> dict[str, type[nn.Module]]:
    """The network classes that a file defines itself."""
    return {
        name: value
        for name, value in names.items()
        if inspect.isclass(value) and issubclass(value, nn.Module) and value.__module__ == module
    }


_MEMBERS = ("model", "build_model", "models")


def file_sources(
    path: str, wanted: str | None = None, classes: int | None = None
) -> tuple[ModelSource, ...]:
    """The networks of a Python file.

    The file is run once here, to learn what it offers, and once per network built, so that every
    build starts from its own seed.

    Parameters
    ----------
    path : str
    wanted : str, optional
        A name in the file, perhaps called with literal arguments (``Net(16, depth=2)``), or, where
        the file holds a space, an architecture. Otherwise `model`, `build_model()` or `models()`,
        or the one network class of the file, where its constructor needs nothing.
    classes : int, optional
        Of an architecture, by default its space's.

    Raises
    ------
    InputError
        E401 (no such file), E402 (does not import), E403 (no such member, or it fails),
        E404 (not a network), E413 (neither a name nor a call with literal arguments).
    """
    file = Path(path)
    if not file.is_file():
        raise InputError("E401", f"there is no model file {path}")
    text = path if wanted is None else f"{path}:{wanted}"
    with seeded(0):
        module = _run(file)
        call = _usual(path, module) if wanted is None else read_call(wanted)
        if call is None or not hasattr(module, call.name):
            assert wanted is not None, "the usual one is there"
            if holds_space(module):
                return (named_source(text, classes),)
            raise _absent(path, module, wanted, call)
        found = _call(file, module, call)
    input_shape = _shape(path, getattr(module, "input", None))
    number = _classes(path, getattr(module, "classes", None))
    if isinstance(found, Mapping):
        keys: list[str | None] = list(found)
    elif isinstance(found, nn.Module):
        keys = [None]
    else:
        raise InputError(
            "E404", f"{text} gives an object of type {type(found).__name__}, not a network",
            "`model` must be a torch.nn.Module, build_model() must return one, models() a dict",
        )  # fmt: skip
    digest = digest_of(file)
    return tuple(
        ModelSource(
            text if key is None else f"{text}:{key}", FromFile(file, digest, call, key),
            input_shape, number, "weights as the file makes them: random unless it loads some",
        )
        for key in keys
    )  # fmt: skip


@dataclass(frozen=True)
class FromFile:
    """Runs a file and builds a network of it; pickled with what the file says.

    Parameters
    ----------
    file : Path
    digest : str
    call : Call
        The member of the file.
    key : str, optional
        The network among several that the member gives.
    """

    file: Path
    digest: str
    call: Call
    key: str | None

    def __reduce__(self) -> tuple[Any, ...]:
        return _same, (UserFile.of(self.file, self.digest), self.call, self.key)

    def __call__(self) -> Any:
        found = _call(self.file, _run(self.file), self.call)
        if self.key is None:
            return found
        network = found[self.key]
        if isinstance(network, nn.Module) or not callable(network):
            return network

        def describe(why: str) -> InputError:
            return InputError("E403", f"{self.call.name}:{self.key} cannot be built: {why}")

        with users_code(self.file, describe):
            return network()


def _same(file: UserFile, call: Call, key: str | None) -> FromFile:
    return FromFile(file.here(), file.digest, call, key)


def _usual(path: str, module: ModuleType) -> Call:
    """What a file offers where the user names nothing in it.

    Raises
    ------
    InputError
        E403, when nothing or several could be meant; it names what is there and what to write.
    """
    name = next((m for m in _MEMBERS if hasattr(module, m)), None)
    if name is not None:
        return Call(name)
    classes = network_classes(vars(module), module.__name__)
    instances = [name for name, value in vars(module).items() if isinstance(value, nn.Module)]
    if len(classes) == 1 and not instances:
        ((name, only),) = classes.items()
        if not needed_arguments(only):
            return Call(name)
        raise InputError(
            "E403",
            f"{path} defines the class {name} and no network of it",
            f"write its arguments: '{path}:{call_text(name, only)}', with values such as 16",
        )
    texts = [*instances, *(call_text(name, one) for name, one in classes.items())]
    if texts:
        raise InputError(
            "E403",
            f"{path} defines {', '.join([*instances, *classes])}, none of them called `model`",
            "say which is meant: " + " or ".join(f"'{path}:{text}'" for text in texts),
        )
    if holds_space(module):
        raise InputError(
            "E403", f"{path} is a space, not a network", f"name an architecture: {path}:ARCH"
        )
    raise InputError(
        "E403",
        f"{path} defines no model",
        "define `model`, `build_model()` or `models()`, or name a callable: FILE.py:NAME",
    )


def _absent(path: str, module: ModuleType, wanted: str, call: Call | None) -> InputError:
    classes = network_classes(vars(module), module.__name__)
    here = " or ".join(f"'{path}:{call_text(name, one)}'" for name, one in classes.items())
    if call is not None:
        return InputError(
            "E403", f"{path} has no {call.name!r}",
            f"it defines {here}" if here else
            "define `model`, `build_model()` or `models()`, or name a callable: FILE.py:NAME",
        )  # fmt: skip
    return InputError(
        "E413",
        f"{wanted!r} is neither a name in {path} nor a call with plain values",
        "write 'FILE.py:Name(16, depth=2)': numbers, texts in quotes, True, None, tuples, lists",
    )


def _call(file: Path, module: ModuleType, call: Call) -> Any:
    found = getattr(module, call.name)
    if isinstance(found, (nn.Module, Mapping)) or not callable(found):
        if call.written:
            raise InputError(
                "E413",
                f"{call.name} in {file} is of type {type(found).__name__}, which is not called",
                f"write {file}:{call.name}, or name a class or function",
            )
        return found
    needed = call_text(call.name, found)

    def describe(why: str) -> InputError:
        mend = needed != call.name and not call.written
        help = f"write its arguments: '{file}:{needed}', with values such as 16" if mend else ""
        return InputError("E403", f"{call.name}() fails: {why}", help)

    with users_code(file, describe):
        return call.of(found)


def _run(file: Path) -> ModuleType:
    digest = hashlib.sha256(str(file.resolve()).encode()).hexdigest()[:12]
    return run_file(
        file,
        f"autodas_model_{digest}",
        lambda why: InputError("E402", f"it does not import: {why}"),
    )


def _shape(path: str, value: Any) -> tuple[int, ...] | None:
    if value is None or callable(value):
        return None
    if isinstance(value, (tuple, list)) and value and all(is_count(n) for n in value):
        return tuple(value)
    raise InputError("E403", f"{path}: input is {value!r}", "write `input = (3, 32, 32)`")


def _classes(path: str, value: Any) -> int | None:
    if value is None or callable(value):
        return None
    if is_count(value):
        return int(value)
    raise InputError("E403", f"{path}: classes is {value!r}", "write `classes = 10`")

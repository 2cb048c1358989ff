"""``NAME`` or ``Name(16, depth=2)``: what of a model file is wanted, with literal arguments."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import nn


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

"""Operators and statistics of a user's own, from a Python file or an installed package.

A file defines them at its top level with `op` and `statistic`; `load_extension` adds them to the
tables of the language, and from then on they are like built-in ones: checked, emitted, printed,
searched over. An installed package names a module in the entry point group
``autodas_dsl.extensions``; see ``examples/my_operator.py``.
"""

from __future__ import annotations

import hashlib
import inspect
import keyword
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any

from autodas_dsl.language.definitions import definition_faults
from autodas_dsl.language.examples import example_of
from autodas_dsl.language.inputs import INPUTS, Input
from autodas_dsl.language.kinds import LISTS, Axis, Kind, symbol
from autodas_dsl.language.library import library_files
from autodas_dsl.language.operators import ALIASES, OPERATORS, Operator
from autodas_dsl.language.operators import op as entry
from autodas_dsl.language.spans import InputError
from autodas_dsl.language.user_files import USER_ERRORS, not_running, run_file

GROUP = "autodas_dsl.extensions"
"""The entry point group of installed extensions."""

_RESERVED = ("grad", "hess", "let", "score", "pow2", "pow4", "noop")
_AXES = "GBCHWR"
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_GROUPS = {"less": "reduction", "distance": "distance", "x": "elementwise"}


@dataclass(frozen=True)
class Extension:
    """What was loaded from one file or entry point.

    Parameters
    ----------
    source : str
        The path of the file, or the name of the entry point.
    installed : bool
        Whether it is an entry point.
    names : tuple of str
        The operators and statistics it defines.
    definition : str
        A hash of the file.
    """

    source: str
    installed: bool
    names: tuple[str, ...]
    definition: str


_LOADED: dict[str, Extension] = {}


# --- what a file writes ---------------------------------------------------------------------------


def op(
    name: str,
    signature: str,
    torch: str | Callable[..., Any],
    doc: str,
    *,
    latex: str = "",
    group: str = "",
    **more: Any,
) -> Operator:
    """An operator of one's own.

    Parameters
    ----------
    name, signature, doc : str
        As `Operator` has them: ``x -> x``, ``x, y -> x``, ``x -> less``, ``a, b -> distance`` or a
        pattern of axes.
    torch : str or callable
        A template such as ``"torch.sinh({0})"``; or a function of the argument tensors, and of
        those among ``axis``, ``dims``, ``ndim`` and the attributes that its parameters name. It
        must hold for any leading axes, and count dimensions from the end.
    latex : str
        A template; the name in upright letters by default.
    group : str
        A key of `GROUPS`; by default what the signature suggests.
    **more
        ``axis``, ``attrs``, ``aliases``, ``laws``, ``sympy``, ``match``, ``needs``, ``hides``,
        ``search`` and ``example`` as in `Operator`.

    Raises
    ------
    ValueError
        When `group` or a law is not a known one.
    """
    written = re.sub(r"\W", "", name).replace("_", r"\_")
    binary = signature.partition("->")[0].count(",") == 1
    template = torch if isinstance(torch, str) else _call_of(name, 1 + binary, torch)
    made = entry(
        name,
        signature,
        template,
        doc,
        group=group or _GROUPS.get(signature.partition("->")[2].strip(), "transform"),
        latex=latex
        or rf"\operatorname{{{{{written}}}}}\!\left({'{0}, {1}' if binary else '{0}'}\right)",
        **more,
    )
    return made if isinstance(torch, str) else replace(made, function=torch)


def _call_of(name: str, arguments: int, function: Callable[..., Any]) -> str:
    """The template that calls a function: arguments by position, everything else by name."""
    texts = [f"{{{place}}}" for place in range(arguments)]
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except ValueError:  # a function of torch itself, which does not say what it takes
        parameters = []
    for parameter in parameters[arguments:]:
        if parameter.default is parameter.empty and parameter.kind not in (
            parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD
        ):  # fmt: skip
            texts.append(f"{parameter.name}={{{parameter.name}}}")
    return f"own.{name}({', '.join(texts)})"


def statistic(
    name: str,
    collect: Callable[..., Any],
    doc: str,
    *,
    layers: str | None = None,
    axes: str = "",
    latex: str = "",
    needs: str = "its own function",
) -> Input:
    """A statistic of one's own.

    Parameters
    ----------
    name, doc : str
    collect : callable
        A function of the model and the batch (``batch.x``, ``batch.y``); gives a number or tensor,
        or a list of tensors for a layer list. It gets the model in the modes of every pass, on
        parameters that take gradients; nothing it does to them stays.
    layers : str, optional
        ``"lin"`` for one value per Conv and Linear layer, in the order of registration.
    axes : str
        The axes of one value, such as ``"B C"``, in order; sizes that must equal those of another
        statistic are given by their symbols: ``"B C=D_s"``. None for a number.
    latex : str
        A template; the name in upright letters by default.
    needs : str
        Which passes it takes, in words; ``"backward"`` among them keeps it out of gradient-free
        searches.

    Raises
    ------
    ValueError
        For an axis or a layer list that there is not.
    """
    if layers not in (None, "lin"):
        raise ValueError(f"layers is {layers!r}; it is None, or 'lin': one {LISTS['lin']} each")
    found: list[Axis] = []
    for word in axes.split():
        label, _, size = word.partition("=")
        if label not in _AXES or label in (axis.name for axis in found):
            raise ValueError(f"axes is {axes!r}; axes are {', '.join(_AXES)}, each once")
        found.append(Axis(label, symbol(size or ("B" if label == "B" else f"{label}_{name}"))))
    written = re.sub(r"\W", "", name).replace("_", r"\_")
    return Input(
        name,
        Kind(layers, tuple(found)),
        doc,
        latex or rf"\mathrm{{{{{written}}}}}{{index}}",
        "own",
        needs,
        collect=collect,
    )


# --- loading --------------------------------------------------------------------------------------


def load_extension(path: str | Path) -> Extension:
    """Add what a Python file defines to the language.

    A file that was loaded before is loaded again only when it has changed.

    Parameters
    ----------
    path : str or Path

    Raises
    ------
    InputError
        The file does not exist (E220), does not run (E221), defines nothing (E222), takes a name
        that is in use (E223), or defines something that does not work (E224).
    """
    path = Path(path)
    if not path.is_file():
        raise InputError("E220", f"there is no file {path}", "give the path of a Python file")
    source, definition = str(path.resolve()), _hash(path)
    known = _LOADED.get(source)
    if known is not None and known.definition == definition:
        return known
    before = _known()
    found = _own(vars(run_file(path, "E221")).values(), before)
    return _add(source, False, found, definition, str(path))


def load_installed() -> None:
    """Add what installed packages define; costs next to nothing where there are none.

    Raises
    ------
    InputError
        As `load_extension`.
    """
    if not _announced():
        return
    from importlib.metadata import entry_points

    for point in sorted(entry_points(group=GROUP), key=lambda point: point.name):
        if point.name in _LOADED:
            continue
        before = _known()
        try:
            value = point.load()
        except USER_ERRORS as error:
            raise not_running("E221", f"the installed extension {point.value}", error) from error
        held = vars(value).values() if isinstance(value, ModuleType) else [value]
        file = sys.modules[point.module].__file__
        definition = _hash(Path(file)) if file else point.value
        _add(point.name, True, _own(held, before), definition, point.value)


def loaded() -> tuple[Extension, ...]:
    """Everything that was loaded, in that order."""
    return tuple(_LOADED.values())


def load_again(extensions: Iterable[Extension]) -> None:
    """Load in this process what another one has loaded.

    Raises
    ------
    InputError
        As `load_extension`.
    """
    for extension in extensions:
        if extension.installed:
            load_installed()
        else:
            load_extension(extension.source)


def definitions() -> Mapping[str, str]:
    """The hash of each definition by name: empty while the language is the built-in one."""
    return {name: one.definition for one in loaded() for name in one.names}


def _announced() -> bool:
    """Whether any package on the path may have an extension; importing the metadata is slow."""
    mark = GROUP.encode()
    for folder in sys.path:
        try:
            held = list(os.scandir(folder or "."))
        except OSError:
            continue
        for item in held:
            if item.name.endswith((".dist-info", ".egg-info")) and mark in _entry_points(item.path):
                return True
    return False


def _entry_points(metadata: str) -> bytes:
    try:
        return Path(metadata, "entry_points.txt").read_bytes()
    except OSError:
        return b""


def _hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]


def _known() -> list[Operator | Input]:
    return [*OPERATORS.values(), *INPUTS.values()]


def _own(values: Iterable[Any], before: list[Operator | Input]) -> list[Operator | Input]:
    """The entries among values and in lists of them, without what a file only imports."""
    imported = {id(one) for one in before}
    found: dict[int, Operator | Input] = {}
    for value in values:
        for one in value if isinstance(value, (list, tuple)) else (value,):
            if isinstance(one, (Operator, Input)) and id(one) not in imported:
                found[id(one)] = one
    return list(found.values())


def _add(
    source: str, installed: bool, found: list[Operator | Input], definition: str, shown: str
) -> Extension:
    """Check all entries, then add all of them or none."""
    if not found:
        raise InputError(
            "E222", f"{shown} defines no operator and no statistic",
            "assign one at its top level: name = op(…) or statistic(…)",
        )  # fmt: skip
    previous = _LOADED.pop(source, None)
    for name in previous.names if previous else ():
        _forget(name)
    for one in found:
        _refuse_taken(one, shown)
        for fault in definition_faults(one):
            raise _wrong(one, shown, fault)
    extension = Extension(source, installed, tuple(one.name for one in found), definition)
    for one in found:
        _enter(replace(one, definition=definition), shown, extension.names)
    for one in found:
        if isinstance(one, Operator) and not _works(one):
            for name in extension.names:
                _forget(name)
            raise _wrong(one, shown, f"its signature `{one.signature}` fits no usual argument")
    _LOADED[source] = extension
    return extension


def _enter(one: Operator | Input, shown: str, names: tuple[str, ...]) -> None:
    if one.name in OPERATORS or one.name in INPUTS:
        for name in names:
            _forget(name)
        raise _wrong(one, shown, "it is defined twice")
    if isinstance(one, Input):
        INPUTS[one.name] = one
        return
    OPERATORS[one.name] = one
    ALIASES.update(dict.fromkeys(one.aliases, one.name))


def _forget(name: str) -> None:
    INPUTS.pop(name, None)
    gone = OPERATORS.pop(name, None)
    for alias in gone.aliases if gone else ():
        ALIASES.pop(alias, None)


def _works(one: Operator) -> bool:
    try:
        return example_of(one) != ""
    except (KeyError, ValueError, IndexError):  # a size or attribute that the pattern does not have
        return False


def _names(one: Operator | Input) -> Iterator[str]:
    yield one.name
    if isinstance(one, Operator):
        yield from one.aliases


def _refuse_taken(one: Operator | Input, shown: str) -> None:
    for name in _names(one):
        if not _NAME.fullmatch(name) or keyword.iskeyword(name):
            raise _wrong(one, shown, f"`{name}` is no name: letters, digits and _, a letter first")
        what = next((word for word, known in _taken(name) if known), "")
        if what:
            raise InputError(
                "E223", f"{shown} defines `{name}`, which is {what} already",
                "nothing can be shadowed: choose another name",
            )  # fmt: skip


def _taken(name: str) -> Iterator[tuple[str, bool]]:
    yield "an operator", name in OPERATORS or name in ALIASES
    yield "a statistic", name in INPUTS
    yield "a word of the language", name in _RESERVED
    yield "a library proxy", name in library_files()


def _wrong(one: Operator | Input, shown: str, fault: str) -> InputError:
    what = "operator" if isinstance(one, Operator) else "statistic"
    return InputError(
        "E224", f"{what} `{one.name}` of {shown} is not usable: {fault}",
        "compare it with examples/my_operator.py",
    )  # fmt: skip

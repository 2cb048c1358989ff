"""A user's own operators, statistics and parts of a search: one Python file, or an installed package.

A file is run and every `Operator` (made by `op`) and `Input` at its top level is added to the
tables, where it takes part in everything: resolution, checking, emission, LaTeX, search. A
`Proposer` or an `OwnStrategy` takes part in the searches that name it. A package
does the same with an entry point of the group ``autodas_dsl.extensions`` that names a module.
No entry can take a name that is in use.
"""

from __future__ import annotations

import ast
import os
import re
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from string import Formatter
from types import ModuleType
from typing import TYPE_CHECKING, Any

from autodas_dsl.language.check import kind_of_expression
from autodas_dsl.language.errors import FormulaError, InputError
from autodas_dsl.language.examples import example_of
from autodas_dsl.language.foreign import foreign, one_line
from autodas_dsl.language.inputs import GROUPS as INPUT_GROUPS
from autodas_dsl.language.inputs import INPUTS, Input, kind
from autodas_dsl.language.kinds import Kind
from autodas_dsl.language.library import library_files
from autodas_dsl.language.operators import ALIASES, OPERATORS, Attribute, Operator, op
from autodas_dsl.language.parse import SHORTHANDS, parse
from autodas_dsl.language.searchers import (
    OWN_STRATEGIES,
    PROPOSERS,
    STRATEGIES,
    OwnStrategy,
    Proposer,
)
from autodas_dsl.language.user_files import UserFile, digest_of, load_module

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

__all__ = [
    "Attribute", "Extension", "Input", "Kind", "OwnStrategy", "Proposer", "kind", "load_extension",
    "load_installed", "loaded", "op", "register",
]  # fmt: skip

GROUP = "autodas_dsl.extensions"
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*\Z")
_RESERVED = ("let", "score", "grad", "hess", *SHORTHANDS)
_FORMS = (
    "x -> x", "tensor -> tensor", "x, y -> x", "x, y -> dot", "a, b -> a @ b", "x -> less",
    "a, b -> distance", "list(x) -> x",
)  # fmt: skip
_PATTERN = re.compile(r"(list\()?([BCGHWR]|[a-z]|\.\.\.)( ([BCGHWR]|[a-z]|\.\.\.))*\)? ->.*")
_LOADED: dict[Path, Extension] = {}
Entry = Operator | Input | Proposer | OwnStrategy
_WHAT = {
    Operator: "operator", Input: "statistic", Proposer: "proposer", OwnStrategy: "strategy",
}  # fmt: skip


@dataclass(frozen=True)
class Extension:
    """What one file or package added."""

    source: str
    operators: tuple[str, ...]
    statistics: tuple[str, ...]


def load_extension(path: str | Path) -> Extension:
    """Run a Python file and register the operators, statistics and parts of a search it defines.

    Loading the same file again does nothing.

    Raises
    ------
    InputError
        E220 (no such file), E221 (it fails), E222 (it defines nothing), E223 (a name is taken),
        E224 (an entry is wrong). Nothing is registered then.
    """
    file = Path(os.path.realpath(path))
    if file not in _LOADED:
        if not file.is_file():
            raise InputError("E220", f"there is no file {path}", "--with takes a Python file")
        _LOADED[file] = _register_module(_run(file), str(path))
    return _LOADED[file]


def load_installed() -> tuple[Extension, ...]:
    """Register what installed packages offer in the entry-point group ``autodas_dsl.extensions``.

    Raises
    ------
    InputError
        As `load_extension`; the message names the package.
    """
    found = []
    for point in sorted(entry_points(group=GROUP), key=lambda point: point.name):
        source = f"the extension `{point.name}`"
        with foreign(lambda error, source=source: _fails(source, error)):  # type: ignore[misc]
            module = point.load()
        key = Path(f"<{point.value}>")
        if key not in _LOADED:
            _LOADED[key] = _register_module(module, source)
        found.append(_LOADED[key])
    return tuple(found)


def loaded() -> tuple[UserFile, ...]:
    """The files that were loaded: a new process loads them before it reads a formula."""
    return tuple(UserFile.of(file) for file in _LOADED if file.is_absolute())


def definitions() -> dict[str, str]:
    """The hash of the file behind each entry that this package does not define itself."""
    entries: list[Entry] = [
        *OPERATORS.values(), *INPUTS.values(), *PROPOSERS.values(), *OWN_STRATEGIES.values()
    ]  # fmt: skip
    return {entry.name: entry.definition for entry in entries if entry.definition}


def entry_points(group: str) -> list[EntryPoint]:
    """What installed packages offer; the metadata is read only where a package names the group,
    because importing what reads it takes longer than most commands."""
    if not any(group.encode() in text for text in _entry_point_files()):
        return []
    from importlib import metadata

    return list(metadata.entry_points(group=group))


def _entry_point_files() -> Iterator[bytes]:
    for folder in filter(os.path.isdir, (entry or "." for entry in sys.path)):
        with os.scandir(folder) as held:
            names = [x.path for x in held if x.name.endswith((".dist-info", ".egg-info"))]
        for name in names:
            file = Path(name, "entry_points.txt")
            if file.is_file():
                yield file.read_bytes()


def _run(file: Path) -> ModuleType:
    if file.suffix != ".py":
        raise InputError("E221", f"{file} is not a Python file", "its name ends in .py")
    with foreign(lambda error: _fails(str(file), error)):
        return load_module(file, f"autodas_dsl_extension_{file.stem}")


def _fails(source: str, error: BaseException) -> InputError:
    return InputError(
        "E221", f"{source} fails: {one_line(error)}", "run it with python to see where"
    )


def _register_module(module: ModuleType, source: str) -> Extension:
    entries = [e for e in vars(module).values() if isinstance(e, Entry)]
    if not entries:
        raise InputError(
            "E222", f"{source} defines no operator, statistic, proposer or strategy",
            "assign op(…), Input(…), Proposer(…) or OwnStrategy(…) to names at its top level",
        )  # fmt: skip
    definition = digest_of(Path(module.__file__)) if module.__file__ else module.__name__
    return register(entries, source, definition)


def register(entries: Iterable[Entry], source: str, definition: str = "") -> Extension:
    """Add entries to the tables, all or none.

    Parameters
    ----------
    source : str
        Where they come from, for messages.
    definition : str
        A hash of it: scores and runs are stored under it.

    Raises
    ------
    InputError
        E223 or E224.
    """
    new = list({id(entry): entry for entry in entries}.values())
    before = [dict(table) for table in _tables()]
    try:
        for entry in new:
            _add(replace(entry, definition=definition), source)
        for entry in new:
            if isinstance(entry, Operator):
                _try_example(entry, source)
    except InputError:
        for table, old in zip(_tables(), before, strict=True):
            table.clear()
            table.update(old)
        raise
    return Extension(
        source,
        tuple(e.name for e in new if isinstance(e, Operator)),
        tuple(e.name for e in new if isinstance(e, Input)),
    )


def _tables() -> tuple[dict[str, Any], ...]:
    return OPERATORS, ALIASES, INPUTS, PROPOSERS, OWN_STRATEGIES


def _add(entry: Entry, source: str) -> None:
    names = (entry.name, *entry.aliases) if isinstance(entry, Operator) else (entry.name,)
    for name in names:
        _free(name, source)
    if not entry.doc.strip():
        raise _wrong(entry, source, "it has no definition", "say in `doc` what it computes")
    if isinstance(entry, Proposer | OwnStrategy):
        _add_searcher(entry, source)
        return
    for fault in definition_faults(entry):
        raise _wrong(entry, source, fault, "compare it with examples/my_operator.py")
    if isinstance(entry, Operator):
        _operator_fits(entry, source)
        OPERATORS[entry.name] = entry
        ALIASES.update(dict.fromkeys(entry.aliases, entry.name))
    else:
        _statistic_fits(entry, source)
        INPUTS[entry.name] = entry


def _add_searcher(entry: Proposer | OwnStrategy, source: str) -> None:
    if not callable(entry.propose if isinstance(entry, Proposer) else entry.make):
        raise _wrong(entry, source, "what it gives is no function", "compare it with "
                     "examples/my_proposer.py")  # fmt: skip
    if isinstance(entry, Proposer):
        PROPOSERS[entry.name] = entry
    else:
        OWN_STRATEGIES[entry.name] = entry


def _free(name: str, source: str) -> None:
    kinds: tuple[tuple[Mapping[str, object], str], ...] = (
        (OPERATORS, "an operator"), (ALIASES, "an alias"), (INPUTS, "a statistic"),
        (PROPOSERS, "a proposer"), (OWN_STRATEGIES, "a strategy"),
        (STRATEGIES, "a strategy"),
        (library_files(), "a library proxy"), (dict.fromkeys(_RESERVED), "a word of the language"),
    )  # fmt: skip
    if not _NAME.match(name):
        raise InputError("E223", f"{source}: `{name}` is not a name",
                         "names are letters, digits and _")  # fmt: skip
    for table, what in kinds:
        if name in table:
            raise InputError("E223", f"{source}: `{name}` is already {what}", "choose another name")


def _wrong(entry: Entry, source: str, reason: str, help: str) -> InputError:
    return InputError("E224", f"{source}: {_WHAT[type(entry)]} `{entry.name}`: {reason}", help)


def _operator_fits(entry: Operator, source: str) -> None:
    if entry.signature not in _FORMS and not _PATTERN.fullmatch(entry.signature):
        raise _wrong(entry, source, f"`{entry.signature}` is no signature",
                     "such as x -> x, x -> less, a, b -> distance, B C ... -> B C")  # fmt: skip
    if not entry.is_named or entry.unicode != entry.text or entry.signs:
        raise _wrong(entry, source, "its text is not its name over its arguments",
                     "signs are those of the grammar: leave text, unicode and signs out")  # fmt: skip
    for attribute in entry.attrs:
        if not attribute.low <= attribute.default <= attribute.high:
            raise _wrong(entry, source, f"the default of {attribute.name} is out of its range",
                         "low <= default <= high")  # fmt: skip


def _statistic_fits(entry: Input, source: str) -> None:
    if entry.collect is None:
        raise _wrong(entry, source, "it has no `collect`",
                     "give a function of the model and the batch")  # fmt: skip
    if entry.group not in INPUT_GROUPS:
        raise _wrong(entry, source, f"there is no group `{entry.group}`",
                     f"groups are {', '.join(INPUT_GROUPS)}")  # fmt: skip


def _try_example(entry: Operator, source: str) -> None:
    """The example of a new operator must check."""
    help = "set `example` to a formula that uses it, and see that it fits the signature"
    try:
        text = example_of(entry)
        checked = kind_of_expression(parse(text)) if text else None
    except (FormulaError, KeyError, ValueError) as error:
        raise _wrong(entry, source, f"its example fails: {one_line(error)}", help) from None
    if checked is None:
        raise _wrong(entry, source, "no usual argument fits its signature", help)
    if not checked.ok:
        raise _wrong(entry, source, f"its example fails: {checked.diagnostics[0].message}", help)


_TORCH = ("0", "1", "axis", "dims", "ndim", "other_ndim", "others", "positions", "samples")
_OPERATOR_LATEX = ("0", "1", "axis", "within", "attrs")
_STATISTIC_LATEX = ("index", "probe", "parts")


def definition_faults(entry: Operator | Input) -> Iterator[str]:
    """What would fail only when a formula uses the entry, in words."""
    if isinstance(entry, Input):
        if entry.kind.layers not in (None, "lin"):
            yield f"its layer list is `{entry.kind.layers}`; it can be none, or lin"
        yield from _template("latex", entry.latex, _STATISTIC_LATEX)
        return
    if entry.left.startswith("list("):
        yield "only built-in operators take whole layer lists"
    own = [attribute.name for attribute in entry.attrs]
    allowed = [name for name in (*_TORCH, *own) if name != "1" or entry.arity == 2]
    if entry.is_reduction or not (entry.axes or entry.is_distance):
        allowed.remove("axis")
    wrong = list(_template("torch", entry.torch, allowed))
    yield from wrong or _python(entry.torch)
    yield from _template("latex", entry.latex, (*_OPERATOR_LATEX, *own))


def _template(what: str, text: str, allowed: Collection[str]) -> Iterator[str]:
    try:
        fields = [name for _, name, _, _ in Formatter().parse(text) if name is not None]
    except ValueError as error:
        yield f"its {what} template {text!r} does not read: {error}; braces are doubled"
        return
    for name in fields:
        if name not in allowed:
            known = ", ".join(f"{{{word}}}" for word in allowed)
            yield f"its {what} names {{{name}}}; there are {known}"


def _python(template: str) -> Iterator[str]:
    fields = {name for _, name, _, _ in Formatter().parse(template) if name and not name.isdigit()}
    text = template.format("x", "y", **dict.fromkeys(fields, "1"))
    try:
        ast.parse(text, mode="eval")
    except SyntaxError as error:
        yield f"its torch text {text!r} is no Python expression: {error.msg}"

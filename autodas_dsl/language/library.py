"""The library of proxies: the shipped folder, looked up by name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

from autodas_dsl.language.check import kind_of_expression
from autodas_dsl.language.documents import expression_proxy, read_document
from autodas_dsl.language.errors import FormulaError, InputError
from autodas_dsl.language.folders import data_folder
from autodas_dsl.language.proxy import Proxy
from autodas_dsl.language.resolve import suggest
from autodas_dsl.language.tree import Expr
from autodas_dsl.language.typed import TypedFormula


@cache
def library_files() -> dict[str, Path]:
    """Library names and their files, sorted by name."""
    found = {path.stem: path for path in sorted(data_folder("proxies").rglob("*.proxy"))}
    return dict(sorted(found.items()))


def library_names() -> list[str]:
    return list(library_files())


class _Library(Mapping[str, Proxy]):
    """The proxies of the library by name, read when they are asked for."""

    def __getitem__(self, name: str) -> Proxy:
        return _read(library_files()[name])

    def __iter__(self) -> Iterator[str]:
        return iter(library_files())

    def __len__(self) -> int:
        return len(library_files())

    def __contains__(self, name: object) -> bool:
        return name in library_files()


LIBRARY = _Library()
_read = cache(read_document)


def library_proxy(name: str) -> Proxy:
    """A library proxy by name.

    Raises
    ------
    InputError
        E318, with a suggestion, when there is none.
    """
    if name not in LIBRARY:
        raise InputError(
            "E318", f"there is no library proxy `{name}`",
            suggest(name, LIBRARY) or "autodas-dsl show --list lists them",
        )  # fmt: skip
    return LIBRARY[name]


def load(spec: str) -> Proxy:
    """A proxy from what a user wrote.

    Parameters
    ----------
    spec : str
        A path (it contains ``/`` or ends in ``.proxy``), an exact library name, or an expression.

    Returns
    -------
    Proxy
        Parsed and checked.

    Raises
    ------
    InputError
        When the file cannot be read or the formula is wrong.
    """
    if names_file(spec):
        proxy = read_document(Path(spec))
    elif spec in library_files():
        proxy = library_proxy(spec)
    else:
        proxy = expression_proxy(spec)
    proxy.typed()
    return proxy


def shadowed(proxy: Proxy) -> bool:
    """Whether a document has the name of another formula of the library."""
    other = LIBRARY.get(proxy.name)
    return other is not None and (proxy.lets, proxy.score) != (other.lets, other.score)


def names_file(spec: str) -> bool:
    """Whether a PROXY is a path; a quotient such as ``params / flops`` is an expression."""
    if spec.endswith(".proxy"):
        return True
    return "/" in spec and (not (set(spec) & set(" (")) or exists(spec))


def exists(path: str) -> bool:
    """Whether there is such a file or folder; a text that cannot be a path is none."""
    try:
        return path != "" and Path(path).exists()
    except OSError:
        return False


def typed(formula: Proxy | Expr) -> TypedFormula:
    """The typed trees of a document, or of an expression of any kind.

    Raises
    ------
    FormulaError
        When it does not check.
    """
    if isinstance(formula, Proxy):
        return formula.typed()
    found = kind_of_expression(formula, LIBRARY)
    if found.typed is None:
        raise FormulaError(found.errors, None)
    return found.typed

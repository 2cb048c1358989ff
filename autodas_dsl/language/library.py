"""The library of proxies: the shipped folder, looked up by name."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from autodas_dsl.language.check import Proxied
from autodas_dsl.language.documents import Proxy, expression_proxy, read_document
from autodas_dsl.language.errors import FormulaError, InputError
from autodas_dsl.language.folders import data_folder
from autodas_dsl.language.proxy import format_document, inputs_fault
from autodas_dsl.language.resolve import suggest


@cache
def library_files() -> dict[str, Path]:
    """Library names and their files, sorted by name."""
    found = {path.stem: path for path in sorted(data_folder("proxies").rglob("*.proxy"))}
    return dict(sorted(found.items()))


def library_names() -> list[str]:
    return list(library_files())


@cache
def library_proxy(name: str) -> Proxy:
    """A library proxy by name.

    Raises
    ------
    InputError
        E318, with a suggestion, when there is none.
    """
    path = library_files().get(name)
    if path is None:
        raise InputError(
            "E318", f"there is no library proxy `{name}`",
            suggest(name, library_names()) or "autodas-dsl show --list lists them",
        )  # fmt: skip
    return read_document(path)


def proxied(name: str) -> Proxied | None:
    """What another formula inlines when it names a library proxy; None when there is none."""
    return library_proxy(name).as_proxied() if name in library_files() else None


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
    verify(proxy)
    return proxy


def shadowed(proxy: Proxy) -> bool:
    """Whether a document has the name of another formula of the library."""
    return (
        proxy.name in library_files()
        and proxy.as_proxied() != library_proxy(proxy.name).as_proxied()
    )


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


def verify(proxy: Proxy) -> None:
    """Raise every error that the checker finds.

    Raises
    ------
    FormulaError
    """
    checked = proxy.check(proxied, library_names)
    errors = [d for d in checked.diagnostics if d.severity == "error"]
    fault = inputs_fault(proxy, checked)
    if fault is not None:
        errors.append(fault)
    if errors:
        raise FormulaError(errors, proxy.text)


def canonical(proxy: Proxy) -> str:
    """The canonical text of a document that may name library proxies."""
    return format_document(proxy, proxy.check(proxied, library_names))

"""The computation graph of a proxy as a file: drawn, or as data for other tools."""

from __future__ import annotations

from pathlib import Path

from autodas_dsl.language.errors import InputError
from autodas_dsl.language.files import require_place, write_atomic
from autodas_dsl.language.proxy import Proxy
from autodas_dsl.language.resolve import suggest
from autodas_dsl.printing.show import show

FORMS = {".svg": "svg", ".dot": "dot", ".graphml": "graphml", ".json": "json"}


def draw(proxy: Proxy, path: Path, force: bool = False) -> None:
    """Write the computation graph of a proxy; the suffix of the file says in which form.

    Shared values stand once, kinds on the edges. An ``.svg`` is drawn in layers from the statistics
    on the left to the score on the right.

    Parameters
    ----------
    proxy : Proxy
    path : Path
        ``.svg``, ``.dot``, ``.graphml`` or ``.json``.
    force : bool
        Replace a file that exists.

    Raises
    ------
    FormulaError
        When the proxy does not check.
    InputError
        E680 the file exists, E661 its suffix names no form of a graph.
    """
    suffix = path.suffix.lower()
    if suffix not in FORMS:
        raise InputError(
            "E661", f"{path} names no form of a graph",
            suggest(suffix, FORMS) or f"end it in {', '.join(FORMS)}",
        )  # fmt: skip
    text = show(proxy, FORMS[suffix])
    keep_existing(path, force)
    write_atomic(path, text)


def keep_existing(path: Path, force: bool) -> None:
    """Refuse to replace a file without being told to, and a place that cannot be written.

    Raises
    ------
    InputError
        E680, E517.
    """
    if path.exists() and not force:
        raise InputError("E680", f"{path} exists", "choose another file, or add --force")
    require_place(path)

"""The parser of expressions, from tables that are kept in the user's cache folder as JSON."""

from __future__ import annotations

import hashlib
import json
import re
import sys
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import lark
from lark.exceptions import LarkError
from lark.grammar import Rule
from lark.lexer import TerminalDef

from autodas_dsl.language.errors import InputError
from autodas_dsl.language.files import read_file, write_atomic
from autodas_dsl.language.folders import cache_folder, data_folder

MAX_BYTES = 1024 * 1024
_OPTIONS: dict[str, Any] = {
    "parser": "lalr", "propagate_positions": True, "maybe_placeholders": False,
}  # fmt: skip
_SHIFT, _REDUCE = 0, 1
_MALFORMED = (LookupError, TypeError, ValueError, AttributeError, AssertionError, RecursionError,
              LarkError, re.error)  # fmt: skip


@cache
def parser() -> lark.Lark:
    """The parser: building its tables takes longer than most commands, so they are kept."""
    grammar = (data_folder("grammar") / "proxy.lark").read_text(encoding="utf-8")
    folder = cache_folder()
    if folder is None:
        return lark.Lark(grammar, **_OPTIONS)
    key = hashlib.sha256(f"{lark.__version__} {sys.version} {grammar}".encode()).hexdigest()
    path = folder / f"grammar-{key[:16]}.json"
    return _kept(path) or _built(grammar, path)


def _kept(path: Path) -> lark.Lark | None:
    """The parser of kept tables, if they are there and whole; nothing in the file is ever run."""
    try:
        data = read_file(path, MAX_BYTES)
        digest, _, body = data.partition(b"\n")
        if hashlib.sha256(body).hexdigest().encode() != digest:
            return None
        found = json.loads(body)
        tables = {"data": _numbered_states(found["data"]), "memo": _numbered(found["memo"])}
        return lark.Lark.load(tables)
    except (OSError, *_MALFORMED):
        return None


def _built(grammar: str, path: Path) -> lark.Lark:
    """The parser of the grammar; a place that cannot be written costs only time."""
    built = lark.Lark(grammar, **_OPTIONS)
    data, memo = built.memo_serialize([TerminalDef, Rule])
    body = json.dumps({"data": data, "memo": memo}).encode()
    with suppress(InputError):
        write_atomic(path, hashlib.sha256(body).hexdigest().encode() + b"\n" + body)
    return built


def _numbered_states(data: Any) -> Any:
    """Serialised tables with numbers as keys again, which JSON writes as texts.

    Raises
    ------
    LookupError, TypeError, ValueError, AttributeError
        When they are not tables of this grammar.
    """
    table = data["parser"]["parser"]
    tokens = _numbered(table["tokens"])
    states = {
        state: _actions(actions, len(table["states"]), tokens)
        for state, actions in _numbered(table["states"]).items()
    }
    table.update(states=states, tokens=tokens)
    for ends in (table["start_states"], table["end_states"]):
        if list(ends) != ["start"] or ends["start"] not in states:
            raise ValueError("a start or end that is no state")
    if any(data["options"][name] != value for name, value in _OPTIONS.items()):
        raise ValueError("tables of another kind of parser")
    return data


def _actions(actions: Any, states: int, tokens: dict[int, Any]) -> dict[int, Any]:
    found = _numbered(actions)
    for token, (action, argument) in found.items():
        known = argument in range(states) if action == _SHIFT else action == _REDUCE
        if token not in tokens or not known:
            raise ValueError("an action that leads nowhere")
    return found


def _numbered(held: Any) -> dict[int, Any]:
    return {int(key): value for key, value in held.items()}

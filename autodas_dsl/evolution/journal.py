"""The journal, our own: SQLite takes four times as long to keep an evaluation, for as much code.

It is a cache of facts, ``(table, half, core text) -> scores or reasons``, one checksummed line
each, and of what a proposer said, ``(proposer, generation) -> texts``. The order of lines means
nothing, a line may be missing, and a torn or damaged one is dropped: its formula is evaluated again,
its proposer asked again.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from autodas_dsl.compiler.outcome import Outcome
from autodas_dsl.language.errors import InputError

_DIGEST = 16
_SCORES = "<f8"
Proposed = tuple[str, int]
"""Which proposer, in which generation."""
_AS_IT_IS: int = getattr(os, "O_BINARY", 0)  # Windows changes line ends otherwise


@dataclass(frozen=True, slots=True)
class Fact:
    """Which formula, on which networks.

    `table` and `half` name the networks, `text` is the canonical text of the core tree.
    """

    table: str
    half: str
    text: str


def encode(fact: Fact, outcome: Outcome) -> bytes:
    """One line of the journal, its end included."""
    content = [
        fact.table, fact.half, fact.text,
        base64.b64encode(outcome.scores.astype(_SCORES).tobytes()).decode("ascii"),
        {str(i): reason for i, reason in enumerate(outcome.reasons) if reason},
    ]  # fmt: skip
    return _line(content)


def encode_proposals(key: Proposed, texts: Sequence[str]) -> bytes:
    """One line of the journal about what a proposer said, its end included."""
    return _line([*key, list(texts)])


def decode_proposals(line: bytes) -> tuple[Proposed, tuple[str, ...]] | None:
    """What a line says about proposals, or None when it is damaged or about something else."""
    try:
        name, generation, texts = json.loads(_body(line) or b"null")
    except (ValueError, TypeError, RecursionError):
        return None
    whole = isinstance(name, str) and isinstance(generation, int) and isinstance(texts, list)
    if not whole or not all(isinstance(text, str) for text in texts):
        return None
    return (name, generation), tuple(texts)


def _line(content: list[Any]) -> bytes:
    body = json.dumps(content, ensure_ascii=True, separators=(",", ":")).encode("ascii")
    return _digest(body) + b" " + body + b"\n"


def _body(line: bytes) -> bytes | None:
    digest, _, body = line.partition(b" ")
    return body if digest == _digest(body) else None


def decode(line: bytes) -> tuple[Fact, Outcome] | None:
    """What a line says about a formula, or None when it is damaged or about something else."""
    try:
        table, half, text, packed, reasons = json.loads(_body(line) or b"null")
        scores = np.frombuffer(base64.b64decode(packed), dtype=_SCORES).astype(np.float64)
        told = tuple(reasons.get(str(i), "") for i in range(len(scores)))
    except (ValueError, binascii.Error, TypeError, AttributeError, RecursionError):
        return None
    if not all(isinstance(word, str) for word in (table, half, text, *told)):
        return None
    if np.isinf(scores).any() or any(
        t and not np.isnan(s) for s, t in zip(scores, told, strict=True)
    ):
        return None
    return Fact(table, half, text), Outcome(scores, told)


def _digest(body: bytes) -> bytes:
    return hashlib.sha256(body).hexdigest()[:_DIGEST].encode("ascii")


class Memory:
    """Facts without a file."""

    def __init__(self, facts: Mapping[Fact, Outcome] | None = None) -> None:
        self.facts: dict[Fact, Outcome] = dict(facts or {})
        self.proposals: dict[Proposed, tuple[str, ...]] = {}

    def append(self, entries: Iterable[tuple[Fact, Outcome]]) -> None:
        self.facts.update(entries)

    def propose(self, key: Proposed, texts: Sequence[str]) -> None:
        self.proposals[key] = tuple(texts)


class Journal(Memory):
    """An append-only file of facts, and those already in it.

    Parameters
    ----------
    path : Path
        Created when it is not there; its torn tail is cut off.

    Raises
    ------
    InputError
        E605 when it cannot be read or written.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path
        self.dropped = 0
        try:
            self._handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | _AS_IT_IS, 0o666)
        except OSError as error:
            raise unwritable(path, error) from error
        try:
            self._read()
        except OSError as error:
            os.close(self._handle)
            raise unwritable(path, error) from error

    def _read(self) -> None:
        data = self.path.read_bytes()
        whole = data.rfind(b"\n") + 1
        for line in data[:whole].splitlines():
            fact, said = decode(line), decode_proposals(line)
            if fact is not None:
                self.facts[fact[0]] = fact[1]
            elif said is not None:
                self.proposals[said[0]] = said[1]
            else:
                self.dropped += 1
        if whole < len(data):
            self.dropped += 1
            os.ftruncate(self._handle, whole)

    def append(self, entries: Iterable[tuple[Fact, Outcome]]) -> None:
        """Write facts and wait until they are on disk.

        Raises
        ------
        InputError
            E605, with what had been written before kept.
        """
        fresh = list(entries)
        if not fresh:
            return
        self._write(b"".join(encode(fact, outcome) for fact, outcome in fresh))
        super().append(fresh)

    def propose(self, key: Proposed, texts: Sequence[str]) -> None:
        """Write what a proposer said and wait until it is on disk; raises as `append`."""
        self._write(encode_proposals(key, texts))
        super().propose(key, texts)

    def _write(self, lines: bytes) -> None:
        data = memoryview(lines)
        try:
            while data:
                data = data[os.write(self._handle, data) :]
            os.fsync(self._handle)
        except OSError as error:
            raise unwritable(self.path, error) from error

    def close(self) -> None:
        os.close(self._handle)


def unwritable(path: Path, error: OSError) -> InputError:
    return InputError(
        "E605", f"cannot write {path}: {error.strerror or error}",
        "everything evaluated before is kept: free the folder or the disk, then use --resume",
    )  # fmt: skip

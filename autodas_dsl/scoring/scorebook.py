"""Scores that were computed before, so that a second run is served and an interrupted one goes on.

One SQLite file in the user's cache folder; a score is a fact about a network, a batch and a
formula, and its key says all of that.
"""

from __future__ import annotations

import hashlib
import json
import math
import sqlite3
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

import torch
from torch import nn

import autodas_dsl
from autodas_dsl.data.batches import Batch
from autodas_dsl.language.errors import InputError
from autodas_dsl.language.folders import cache_folder
from autodas_dsl.scoring.scorer import Score
from autodas_dsl.scoring.setting import Setting
from autodas_dsl.statistics.fingerprint import device_name, hash_tensors

REVISION = 4
"""Raised when the meaning of a statistic or an operator changes; stored scores then expire."""


_IN_MEMORY = ":memory:"


def setting_key(
    batch: Batch,
    teacher: nn.Module | None,
    teacher_size: int | None,
    setting: Setting,
    seed: int,
) -> str:
    """Everything besides network and formula that a score depends on."""
    facts: Mapping[str, object] = {
        "version": autodas_dsl.__version__,
        "revision": REVISION,
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "batch": hash_tensors({"x": batch.x, "y": batch.y}),
        "classes": batch.classes,
        "teacher": hash_tensors(teacher.state_dict()) if teacher is not None else "",
        "teacher_type": type(teacher).__qualname__,
        "teacher_size": teacher_size,
        "dtype": str(setting.dtype),
        "device": device_name(setting.device),
        "seed": seed,
    }
    return hashlib.blake2b(json.dumps(facts, sort_keys=True).encode(), digest_size=12).hexdigest()


def _score(value: object, reason: object, unmet: object) -> Score | None:
    """A stored score; None where it is none that was ever stored, and is to be computed again."""
    if not isinstance(reason, str) or unmet not in (0, 1):
        return None
    if value is None:
        return Score(math.nan, reason, bool(unmet)) if reason else None
    valid = isinstance(value, float) and math.isfinite(value) and not reason and not unmet
    return Score(value) if valid else None  # type: ignore[arg-type]


class ScoreBook:
    """Stored scores.

    Parameters
    ----------
    path : Path, optional
        The file; by default in the user's cache folder, and in memory where that may not be used.

    Raises
    ------
    InputError
        E651 when the file cannot be opened.
    """

    def __init__(self, path: Path | None = None) -> None:
        folder = path.parent if path else cache_folder()
        self.path = path or (folder / "scores.sqlite" if folder else Path(_IN_MEMORY))
        try:
            if folder is not None:
                folder.mkdir(parents=True, exist_ok=True)
            self._base = sqlite3.connect(self.path, timeout=30, isolation_level=None)
            self._base.execute("PRAGMA trusted_schema=OFF")
            self._base.execute("PRAGMA journal_mode=WAL")
            self._base.execute(
                "CREATE TABLE IF NOT EXISTS scores (setting TEXT, network TEXT, formula TEXT,"
                " value REAL, reason TEXT, unmet INTEGER, PRIMARY KEY (setting, network, formula))"
            )
        except (OSError, sqlite3.Error) as error:
            raise InputError(
                "E651", f"cannot open the score store {self.path}: {error}", "delete the file"
            ) from None

    def __enter__(self) -> ScoreBook:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._base.close()

    def get(self, setting: str, network: str) -> dict[str, Score]:
        """The stored scores of one network, by formula digest."""
        try:
            rows = self._base.execute(
                "SELECT formula, value, reason, unmet FROM scores"
                " WHERE setting = ? AND network = ?",
                (setting, network),
            ).fetchall()
        except sqlite3.Error as error:
            raise InputError(
                "E651", f"cannot read the score store {self.path}: {error}", "delete the file"
            ) from None
        read = ((formula, _score(*values)) for formula, *values in rows)
        return {formula: score for formula, score in read if score is not None}

    def put(self, setting: str, network: str, scores: Mapping[str, Score]) -> None:
        """Store scores of one network, all or none."""
        rows = [
            (setting, network, formula, one.value if one.valid else None, one.reason, one.unmet)
            for formula, one in scores.items()
        ]
        try:
            with self._base:
                self._base.execute("BEGIN")
                self._base.executemany(
                    "INSERT OR REPLACE INTO scores VALUES (?, ?, ?, ?, ?, ?)", rows
                )
        except sqlite3.Error as error:
            raise InputError("E651", f"cannot write the score store {self.path}: {error}") from None

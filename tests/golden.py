"""Golden files: expected text in tests/data, rewritten when AUTODAS_GOLDEN=write is set."""

from __future__ import annotations

import os
from pathlib import Path

DATA = Path(__file__).parent / "data"


def check_golden(name: str, text: str) -> None:
    path = DATA / name
    if os.environ.get("AUTODAS_GOLDEN") == "write":
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    assert path.read_text(encoding="utf-8") == text, f"{name} differs; see tests/golden.py"

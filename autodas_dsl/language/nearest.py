"""The known word that somebody who wrote an unknown one meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def nearest(word: str, known: Iterable[str]) -> str:
    """The most similar of known words, its case aside; the empty text where none is similar."""
    names = sorted(set(known))
    close = [name for name in names if name.lower() == word.lower()]
    return next(iter(close or difflib.get_close_matches(word, names, n=1)), "")

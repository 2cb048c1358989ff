"""The known word that somebody who wrote an unknown one meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

SHORTEST = 4
"""Words with fewer letters are near too many others for one slip to tell what was meant."""


def nearest(word: str, known: Iterable[str]) -> str:
    """The most similar of known words, its case aside; the empty text where none is similar."""
    names = sorted(set(known))
    close = [name for name in names if name.lower() == word.lower()]
    return next(iter(close or difflib.get_close_matches(word, names, n=1)), "")


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """The start of a line of help: the nearest known word, or nothing."""
    near = nearest(word, known)
    return f'did you mean "{near}"? ' if near else ""


def slips(word: str, known: Iterable[str]) -> list[str]:
    """The known words that differ in their case alone; else those that are one slip away.

    A slip puts in, leaves out or replaces one letter, or swaps two neighbours.
    """
    names = sorted(set(known))
    close = [name for name in names if name.lower() == word.lower()]
    if close or len(word) < SHORTEST:
        return close
    return [name for name in names if len(name) >= SHORTEST - 1 and _is_slip(word, name)]


def _is_slip(one: str, other: str) -> bool:
    if abs(len(one) - len(other)) > 1:
        return False
    start = next((i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), None)
    if start is None:
        return one != other
    one, other = one[start:], other[start:]
    return (one[2:] == other[2:] and one[:2] == other[1::-1]) or any(
        one[a:] == other[b:] for a, b in ((1, 1), (1, 0), (0, 1))
    )

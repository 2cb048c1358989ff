"""Where else a name stands, and what it takes to give it another."""

from __future__ import annotations

from autodas_dsl.editing.draft import Draft
from autodas_dsl.editing.words import Word, name_at, words
from autodas_dsl.language.documents import require_let_name, require_name
from autodas_dsl.language.errors import InputError

_RENAMED = "lets are renamed, and documents by the name in their first line"
_GIVEN = {
    "proxy": "a proxy of the library", "statistic": "a statistic", "operator": "an operator",
}  # fmt: skip


def uses(draft: Draft, meant: Word) -> list[Word]:
    """The words of a document that name the same as one of this document or of another."""
    return [word for word in words(draft) if (word.sort, word.name) == (meant.sort, meant.name)]


def renamable(draft: Draft, offset: int, shipped: bool = False) -> Word:
    """The name at an offset, if it can be another.

    Parameters
    ----------
    draft : Draft
    offset : int
    shipped : bool
        Whether the document is one of the library.

    Returns
    -------
    Word
        A let, or the name of the document.

    Raises
    ------
    InputError
        E652 where no name stands, E653 for one that the language or the library has given.
    """
    word = name_at(draft, offset)
    if word is None:
        raise InputError("E652", "no name stands here", _RENAMED)
    if word.sort == "let" or (word.defines and not shipped):
        return word
    raise InputError("E653", f"`{word.name}` is {_GIVEN[word.sort]}: its name stays", _RENAMED)


def renamed(draft: Draft, word: Word, name: str) -> list[Word]:
    """The words to replace so that a let or a document has another name.

    Raises
    ------
    InputError
        E308 for what cannot be such a name, E311 for that of another let, E654 where a formula means
        something else by it, which would be the let then.
    """
    if word.sort == "proxy":
        require_name(name)
        return [word]
    require_let_name(name, draft.lets.keys() - {word.name})
    if any(one.name == name and one.sort in ("proxy", "unknown") and not one.defines
           for one in words(draft)):  # fmt: skip
        raise InputError("E654", f"a formula names `{name}` already", "choose another name")
    return uses(draft, word)

"""Text from files made safe to show: no character of it moves a cursor or turns the line around."""

from __future__ import annotations

import html
import json
import re

_UNSEEN = (
    "\x00-\x1f\x7f-\x9f"  # control characters
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # directions
    "\u200b\u2028\u2029\u206a-\u206f\ufeff\ufff9-\ufffb"  # separators and other format characters
    "\ud800-\udfff\U000e0000-\U000e007f"  # half characters and tags
)
UNSEEN = re.compile(f"[{_UNSEEN}]")
"""Characters that are not shown, and change what is: those of control and of direction."""
_BETWEEN_LINES = re.compile(f"(?![\n\t])[{_UNSEEN}]")
_SHORT = {"\n": r"\n", "\r": r"\r", "\t": r"\t"}


def visible(text: str) -> str:
    """One line: control and bidirectional characters written as ``\\n``, ``\\x1b``, ``\\u202e``."""
    return UNSEEN.sub(_escaped, text)


def visible_lines(text: str) -> str:
    """As `visible`, for text of several lines: line ends and tabs stay."""
    return _BETWEEN_LINES.sub(_escaped, text)


def escape(text: str, quote: bool = True) -> str:
    """Text inside HTML, SVG or XML; as `html.escape`, of text that is visible."""
    return html.escape(visible_lines(text), quote)


def json_text(value: object) -> str:
    """JSON, two spaces deep and without NaN, that is safe to show and reads back the same."""
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)
    return _BETWEEN_LINES.sub(lambda found: json.dumps(found.group())[1:-1], text)


def _escaped(found: re.Match[str]) -> str:
    char = found.group()
    code = ord(char)
    if char in _SHORT:
        return _SHORT[char]
    return (
        f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}" if code < 65536 else f"\\U{code:08x}"
    )

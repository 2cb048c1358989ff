"""``.proxy`` documents: read by lines, checked, written in one canonical rendering.

Reading a document never executes anything.
"""

from __future__ import annotations

import errno
import re
from collections.abc import Container
from dataclasses import replace
from pathlib import Path

from autodas_dsl.language.check import NO_LIBRARY
from autodas_dsl.language.errors import Diagnostic, Fault, Fix, FormulaError, InputError
from autodas_dsl.language.files import read_file
from autodas_dsl.language.format import Comment
from autodas_dsl.language.inputs import INPUTS
from autodas_dsl.language.lines import Item, Note, read_items
from autodas_dsl.language.operators import ALIASES, OPERATORS
from autodas_dsl.language.parse import MAX_TOKENS, parse, parse_expression
from autodas_dsl.language.proxy import Formula, Proxy, Written
from autodas_dsl.language.references import Reference, read_reference
from autodas_dsl.language.resolve import meant, suggestion
from autodas_dsl.language.spans import Source, Span
from autodas_dsl.language.tree import moved

MAX_DOCUMENT_BYTES = 1024 * 1024
MAX_LETS = 256
MAX_WORDS = 4 * MAX_TOKENS  # words and signs of all formulas together
MAX_SHOWN = 50
EXPRESSION = "expression"
"""The name of a proxy that is a bare expression, without a document."""
HEADERS = ("about", "source", "better", "inputs")
FACTS = ("reported", "measured")
REFERENCE = "reference"
_BASELINES = ("params", "flops")  # statistics that are proxies, too
_NAMING = "names are letters, digits and _, and not taken"
_FORMULA_LINES = "formulas are written `let name = …` and `score = …`"
_LINES = "a line is `key: …`, `let name = …` or `score = …`"
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*\Z")
_KEY = re.compile(r"(x-[a-z0-9-]+|[a-z]+):")
_FORMULA = re.compile(r"let\b|score\b")
_WORD = re.compile(r"\w+|[^\w\s]")
_QUOTED = re.compile(r'"((?:[^"\\]|\\["\\n])*)"\Z')


def expression_proxy(text: str, name: str = EXPRESSION) -> Proxy:
    """A proxy made of one expression.

    Raises
    ------
    FormulaError
        When the text does not parse.
    """
    return Proxy(name, Formula("score", parse(text, "<expression>")),
                 text=Source("<expression>", text))  # fmt: skip


def read_document(path: Path) -> Proxy:
    """Read a ``.proxy`` file.

    Raises
    ------
    FormulaError
        With all diagnostics, when the document is not well formed.
    InputError
        When the file cannot be read.
    """
    return parse_document(decode(stored(path), str(path)), str(path), stem=path.stem)


def stored(path: Path) -> bytes:
    """The bytes of a file.

    Raises
    ------
    InputError
        E301 when it cannot be read, E302 when it is too large for a document; it is not read then.
    """
    try:
        return read_file(path, MAX_DOCUMENT_BYTES)
    except OSError as error:
        if error.errno == errno.EFBIG:
            raise _too_large(str(path)) from None
        absent = error.errno == errno.ENOENT and not path.suffix
        quotient = "a quotient is written with spaces, a / b" if absent else ""
        raise InputError("E301", f"cannot read {path}: {error.strerror}", quotient) from None


def _too_large(name: str) -> InputError:
    return InputError("E302", f"{name} is larger than 1 MiB", "a document holds one formula")


def decode(data: bytes, name: str) -> str:
    """The text of a document: UTF-8, without byte order mark, ``\\n`` line ends.

    Raises
    ------
    InputError
    """
    if len(data) > MAX_DOCUMENT_BYTES:
        raise _too_large(name)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise InputError("E303", f"{name}:{line}: not UTF-8", "save the file as UTF-8") from None
    return text.replace("\r\n", "\n").replace("\r", "\n")


def parse_document(text: str, name: str = "<document>", stem: str | None = None) -> Proxy:
    """Parse the text of a document.

    Raises
    ------
    FormulaError
        With every mistake found.
    """
    source = Source(name, text)
    reader = _Reader(source)
    proxy = reader.read(stem)
    if reader.diagnostics or proxy is None:
        found = [*reader.diagnostics, *(_formula_faults(proxy) if proxy else ())]
        found.sort(key=lambda one: one.span.start if one.span else 0)
        more = len(found) - MAX_SHOWN
        if more > 0:
            found[MAX_SHOWN:] = [Diagnostic("E320", f"{more} more mistakes are not shown")]
        raise FormulaError(found, source)
    return proxy


def formulas_of(text: str) -> list[Formula]:
    """The lets and the score of a document that may be wrong elsewhere, as far as they are right."""
    reader = _Reader(Source("<document>", text))
    for item in read_items(text)[0]:
        if _FORMULA.match(item.text):
            reader._formula(item)
    return [*reader.lets, *([reader.score] if reader.score else [])]


def _formula_faults(proxy: Proxy) -> list[Diagnostic]:
    """What is wrong with the formulas of a document that is wrong elsewhere too.

    The library is not asked here, so a name that is not known may be one of its proxies.
    """
    return [found for found in proxy.check(NO_LIBRARY).errors if found.code not in ("E201", "E315")]


class _Reader:
    """Collects the items of one document and everything that is wrong with them."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.diagnostics: list[Diagnostic] = []
        self.name = ""
        self.lets: list[Formula] = []
        self.score: Formula | None = None
        self.headers: dict[str, str] = {}
        self.extra: list[tuple[str, str]] = []
        self.facts: dict[str, list[str]] = {key: [] for key in FACTS}
        self.notes: list[tuple[str, str]] = []
        self.inputs: Written | None = None
        self.references: list[Reference] = []
        self._room = MAX_WORDS
        self._broken = False

    def report(
        self, code: str, message: str, span: Span, help: str = "", fix: Fix | None = None
    ) -> None:
        self.diagnostics.append(Diagnostic(code, message, span, help, fix=fix))

    def read(self, stem: str | None) -> Proxy | None:
        items, notes, self.diagnostics = read_items(self.source.text)
        if not items:
            self.report("E305", "the document is empty", Span(0, 1), "start it with `proxy/1 name`")
            return None
        if not self._first_line(items[0], stem):
            return None
        for item in items[1:]:
            self._item(item)
        notes += [
            Note(comment.text, number)
            for number, item in enumerate(items)
            if not _FORMULA.match(item.text)
            for comment in item.comments
        ]
        notes.sort(key=lambda note: note.before)
        anchors = [*(_key_of(item.text) for item in items), "end"]
        self.notes = [(anchors[note.before], note.text) for note in notes]
        if self.score is None:
            if not self._broken:
                end = len(self.source.text.rstrip())
                self.report("E306", "the document has no score", Span(end, end + 1),
                            "add a line `score = …`")  # fmt: skip
            return None
        proxy = self._proxy(self.score)
        self._verify_inputs(proxy)
        return proxy

    def _proxy(self, score: Formula) -> Proxy:
        return Proxy(
            self.name, score, tuple(self.lets), self.headers.get("about", ""),
            self.headers.get("source", ""), self.headers.get("better", "higher"),
            tuple(self.extra), tuple(self.facts["reported"]), tuple(self.facts["measured"]),
            tuple(self.notes), self.source, self.inputs, tuple(self.references),
        )  # fmt: skip

    def _first_line(self, item: Item, stem: str | None) -> bool:
        text, _, below = item.text.partition("\n")
        if below:
            self._broken = True  # the score may be among the lines below
            at = item.span.start + len(text) + 1
            self.report("E304", "an indented line continues the line above it",
                        Span(at, item.span.end), "items start in the first column")  # fmt: skip
        version = re.match(r"proxy/(\d+)", text)
        if version and version.group(1) != "1":
            self.report("E307", f"this is a `proxy/{version.group(1)}` document",
                        _head(item, version.end()),
                        "this version reads proxy/1; install a newer one")  # fmt: skip
            return False
        match = re.fullmatch(r"proxy/1\s+(\S+)\s*", text)
        if not match:
            self.report("E305", "a document starts with `proxy/1 name`", _head(item, len(text)),
                        _head_help(stem), _head_fix(item, stem))  # fmt: skip
            return False
        self.name = match.group(1)
        self._own_name(Span(item.span.start + match.start(1), item.span.start + match.end(1)), stem)
        return True

    def _own_name(self, span: Span, stem: str | None) -> None:
        reserved = _is_reserved(self.name)
        if reserved or not _NAME.match(self.name):
            self.report("E308", f"`{self.name}` {_unfit(reserved)}", span, _NAMING)
        elif stem is not None and stem != self.name:
            self.report("E309", f"the document is named `{self.name}`, the file `{stem}`", span,
                        "give both the same name", Fix(stem, sure=False))  # fmt: skip

    def _item(self, item: Item) -> None:
        key = _KEY.match(item.text)
        if key:
            self._header(item, key.group(1), item.text[key.end() :])
        elif _FORMULA.match(item.text):
            self._formula(item)
        else:
            self._broken = True  # it may have been meant as the score
            word = re.split(r"[\s:=]", item.text, maxsplit=1)[0]
            fix = meant(word, [*HEADERS, *FACTS, REFERENCE, "let", "score"])
            self.report("E310", f"unknown line `{word[:40]}`", _head(item, len(word)),
                        _line_help(word) or suggestion(fix) or _LINES, fix)  # fmt: skip

    def _header(self, item: Item, key: str, rest: str) -> None:
        value = " ".join(rest.split())
        if key in ("let", "score"):
            self._broken = True
            colon = item.span.start + len(key)
            self.report("E313", f"`{key}` is followed by =, not :", _head(item, len(key) + 1),
                        _FORMULA_LINES, Fix(" =", key == "score", Span(colon, colon + 1)))  # fmt: skip
        elif key in FACTS:
            self.facts[key].append(value)
        elif key == REFERENCE:
            self._reference(item, value)
        elif key.startswith("x-"):
            self.extra.append((key, value))
        elif key not in HEADERS:
            fix = meant(key, [*HEADERS, *FACTS, REFERENCE])
            self.report("E310", f"unknown header `{key}`", _head(item, len(key)),
                        suggestion(fix) or "own headers start with x-", fix)  # fmt: skip
        elif key in self.headers:
            self.report("E311", f"`{key}` is given twice", _head(item, len(key)))
        else:
            self._known_header(item, key, value)

    def _reference(self, item: Item, value: str) -> None:
        try:
            self.references.append(read_reference(value, item.span))
        except Fault as fault:
            self.diagnostics.append(fault.diagnostic)

    def _known_header(self, item: Item, key: str, value: str) -> None:
        if key in ("about", "source"):
            quoted = _QUOTED.match(value)
            if not quoted:
                self.report("E312", f"the text of `{key}` stands in double quotes", item.span,
                            'write \\" for a quote inside')  # fmt: skip
                value = ""
            else:
                value = _unescape(quoted.group(1))
        if key == "better" and value not in ("higher", "lower"):
            self.report("E312", "`better` is higher or lower", item.span)
        if key == "inputs":
            names = tuple(word.strip() for word in value.split(",") if word.strip())
            self.inputs = Written(names, item.span)
        self.headers[key] = value

    def _formula(self, item: Item) -> None:
        match = re.match(r"(?:let\s+(\S+?)|score)\s*(=|\Z)", item.text)
        if not match or match.group(2) != "=":
            self._broken = True
            first = item.text.partition("\n")[0]
            self.report("E313", "expected `let name = …` or `score = …`", _head(item, len(first)))
            return
        name = match.group(1)
        body = item.text[match.end() :]
        start = item.span.start + match.end()
        if not self._fits(item, body):
            return
        if name is not None:
            at = item.span.start + match.start(1)
            self._let_name(item, name, Span(at, at + len(name)))
        elif self.score is not None:
            self.report("E311", "there are two scores", _head(item, 5), "name the other with let")
            return
        try:
            expr = parse_expression(body)
        except Fault as fault:
            self._broken = True
            self.diagnostics.append(fault.diagnostic.moved(start))
            return
        here = item.span.start
        comments = tuple(Comment(c.text, c.offset + here, c.trailing) for c in item.comments)
        formula = Formula(name or "score", moved(expr, start), comments, item.span)
        if name is not None:
            self.lets.append(formula)
        else:
            self.score = formula

    def _fits(self, item: Item, body: str) -> bool:
        """Whether a formula is within the limits of a document; the first that is not is told."""
        if self._room < 0:
            return False
        self._room -= len(_WORD.findall(body))
        if len(self.lets) >= MAX_LETS:
            self._room = -1
        if self._room < 0:
            self._broken = True
            self.report("E319", "the formulas are too long or too many", _head(item, 3),
                        f"at most {MAX_LETS} lets and {MAX_WORDS} words and signs")  # fmt: skip
        return self._room >= 0

    def _let_name(self, item: Item, name: str, span: Span) -> None:
        if self.score is not None:
            self.report("E314", "a let stands before the score", _head(item, 3),
                        "move the line up")  # fmt: skip
        try:
            require_let_name(name, [let.name for let in self.lets])
        except InputError as error:
            self.diagnostics += [replace(found, span=span) for found in error.diagnostics]

    def _verify_inputs(self, proxy: Proxy) -> None:
        """Compare `inputs` with the formula, as far as it can be told without the library."""
        if proxy.inputs is not None and not self.diagnostics:
            found = proxy.check(NO_LIBRARY).errors
            self.diagnostics += [wrong for wrong in found if wrong.code == "E315"]


def _head(item: Item, length: int) -> Span:
    return Span(item.span.start, item.span.start + max(1, length))


def require_name(name: str) -> None:
    """Refuse what cannot be the name of a document.

    Raises
    ------
    InputError
        E308.
    """
    reserved = _is_reserved(name)
    if reserved or not _NAME.match(name):
        raise InputError("E308", f"`{name}` {_unfit(reserved)}", _NAMING)


def require_let_name(name: str, others: Container[str]) -> None:
    """Refuse what cannot be the name of a let.

    Parameters
    ----------
    name : str
    others : container of str
        The other lets of the document.

    Raises
    ------
    InputError
        E308 for what is no name or that of a statistic or operator, E311 for another let's.
    """
    taken = name in INPUTS or name in OPERATORS or name in ALIASES
    if taken or not _NAME.match(name) or name in ("let", "score"):
        raise InputError("E308", f"`{name}` {_unfit(taken)}", _NAMING)
    if name in others:
        raise InputError("E311", f"`{name}` is defined twice", "choose another name")


def _is_reserved(name: str) -> bool:
    return (name in INPUTS or name in OPERATORS) and name not in _BASELINES


def _head_help(stem: str | None) -> str:
    """What to write as the first line of this file; no other file is spoken of as if it were it."""
    if stem is None:
        return "a document named snip starts with the line `proxy/1 snip`"
    if _NAME.match(stem):
        return f"write `proxy/1 {stem}` above it"
    return f"`{stem}` is no name: {_NAMING}; rename the file and write `proxy/1` and the name above"


def _head_fix(item: Item, stem: str | None) -> Fix | None:
    """The first line, above what stands where it should, unless that is one written wrongly."""
    if stem is None or not _NAME.match(stem) or item.text.startswith("proxy"):
        return None
    return Fix(f"proxy/1 {stem}\n", True, Span(item.span.start, item.span.start))


def _unfit(taken: bool) -> str:
    return "is the name of a statistic or operator" if taken else "is not a name"


def _line_help(word: str) -> str:
    """What is wrong with a line that is neither header nor formula, where its word tells."""
    if not word[:1].isalpha():
        return "lines that continue a formula are indented"
    if word in (*HEADERS, *FACTS, REFERENCE):
        return f"a header is written `{word}: …`"
    return ""


def _key_of(text: str) -> str:
    """What a note is anchored to: a header key, ``let name``, ``score``, or the first line."""
    key = _KEY.match(text)
    if key:
        return key.group(1)
    let = re.match(r"let\s+([^\s=]+)", text)
    if let:
        return f"let {let.group(1)}"
    return "score" if text.startswith("score") else "proxy"


def _unescape(text: str) -> str:
    return re.sub(r"\\(.)", lambda m: "\n" if m.group(1) == "n" else m.group(1), text)

"""The language server: a thin layer of pygls over drafts, explanations and proposals.

Positions: a document counts characters, the protocol lines and (mostly) UTF-16 units.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Sequence
from functools import partial
from pathlib import PurePath
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlparse

from autodas_dsl import __version__
from autodas_dsl.editing.complete import Proposal, proposals
from autodas_dsl.editing.draft import Draft, draft
from autodas_dsl.editing.explain import hover
from autodas_dsl.editing.fixes import Edit, edit_of
from autodas_dsl.language.errors import Diagnostic, InputError
from autodas_dsl.language.library import library_files
from autodas_dsl.language.spans import Span

if TYPE_CHECKING:
    from lsprotocol import types as lsp
    from pygls.lsp.server import LanguageServer

NAME = "autodas-dsl"
_TRIGGERS = ("[", "(", " ")


def main() -> None:
    """Serve one editor over standard input and output until it says exit.

    Raises
    ------
    InputError
        E660 when pygls is not installed.
    """
    if importlib.util.find_spec("pygls") is None:
        raise InputError(
            "E660", "the language server needs pygls, which is not installed",
            "pip install pygls, or pip install autodas-dsl[lsp]",
        )  # fmt: skip
    server().start_io()


def server() -> LanguageServer:
    """A server with every feature, not yet started."""
    types = importlib.import_module("lsprotocol.types")
    made: LanguageServer = importlib.import_module("pygls.lsp.server").LanguageServer(
        NAME, __version__, text_document_sync_kind=types.TextDocumentSyncKind.Incremental
    )
    answers = _Answers(made, types)
    for method, answer, options in (
        (types.TEXT_DOCUMENT_DID_OPEN, answers.changed, None),
        (types.TEXT_DOCUMENT_DID_CHANGE, answers.changed, None),
        (types.TEXT_DOCUMENT_DID_CLOSE, answers.closed, None),
        (types.TEXT_DOCUMENT_HOVER, answers.hover, None),
        (types.TEXT_DOCUMENT_COMPLETION, answers.completion,
         types.CompletionOptions(trigger_characters=list(_TRIGGERS))),
        (types.TEXT_DOCUMENT_FORMATTING, answers.formatting, None),
        (types.TEXT_DOCUMENT_DEFINITION, answers.definition, None),
        (types.TEXT_DOCUMENT_DOCUMENT_SYMBOL, answers.symbols, None),
        (types.TEXT_DOCUMENT_CODE_ACTION, answers.fixes,
         types.CodeActionOptions(code_action_kinds=[types.CodeActionKind.QuickFix])),
    ):  # fmt: skip
        made.feature(method, options)(partial(answer))  # pygls marks what it registers
    return made


class _Answers:
    """What the server says to each message."""

    def __init__(self, server: LanguageServer, types: Any) -> None:
        self.server, self.types = server, types

    def changed(self, params: lsp.DidOpenTextDocumentParams) -> None:
        uri = params.text_document.uri
        document = self.server.workspace.get_text_document(uri)
        page = self._page(uri)
        found = [self._diagnostic(page, one) for one in page.draft.diagnostics]
        self.server.text_document_publish_diagnostics(
            self.types.PublishDiagnosticsParams(uri, found, document.version)
        )

    def closed(self, params: lsp.DidCloseTextDocumentParams) -> None:
        self.server.text_document_publish_diagnostics(
            self.types.PublishDiagnosticsParams(params.text_document.uri, [])
        )

    def hover(self, params: lsp.HoverParams) -> lsp.Hover | None:
        page = self._page(params.text_document.uri)
        found = hover(page.draft, page.offset(params.position))
        if found is None:
            return None
        text, span = found
        markdown = self.types.MarkupContent(self.types.MarkupKind.Markdown, text)
        return self.types.Hover(markdown, page.range(span))

    def completion(self, params: lsp.CompletionParams) -> lsp.CompletionList:
        page = self._page(params.text_document.uri)
        found, span = proposals(page.draft, page.offset(params.position))
        items = [self._item(one, page.range(span)) for one in found]
        return self.types.CompletionList(is_incomplete=False, items=items)

    def _item(self, one: Proposal, where: lsp.Range) -> lsp.CompletionItem:
        kinds, order = self.types.CompletionItemKind, ("attribute", "line", "let", "statistic")
        kind = {"let": kinds.Variable, "statistic": kinds.Field, "operator": kinds.Function,
                "proxy": kinds.Reference, "attribute": kinds.Property, "line": kinds.Keyword}  # fmt: skip
        rank = order.index(one.sort) if one.sort in order else len(order)
        return self.types.CompletionItem(
            label=one.label,
            kind=kind[one.sort],
            detail=one.detail or None,
            documentation=self.types.MarkupContent(self.types.MarkupKind.Markdown, one.doc),
            sort_text=f"{rank}{one.label}",
            text_edit=self.types.TextEdit(where, one.label + one.after),
        )

    def formatting(self, params: lsp.DocumentFormattingParams) -> list[lsp.TextEdit] | None:
        page = self._page(params.text_document.uri)
        text = page.draft.formatted()
        if text is None or text == page.raw:
            return None
        return [self.types.TextEdit(page.whole, text)]

    def definition(self, params: lsp.DefinitionParams) -> lsp.Location | None:
        uri = params.text_document.uri
        page = self._page(uri)
        offset = page.offset(params.position)
        span = page.draft.word_at(offset)
        if span is None or page.draft.formula_at(offset) is None:
            return None
        word = page.draft.text[span.start : span.end]
        if word in page.draft.lets:
            return self.types.Location(uri, page.range(page.draft.lets[word].span))
        path = library_files().get(word)
        start = self.types.Position(0, 0)
        at = self.types.Range(start, start)
        return None if path is None else self.types.Location(path.resolve().as_uri(), at)

    def symbols(self, params: lsp.DocumentSymbolParams) -> list[lsp.DocumentSymbol]:
        page = self._page(params.text_document.uri)
        named = [(name, item) for name, item in page.draft.lets.items()]
        named += [("score", item) for item in page.draft.items if item.text.startswith("score")]
        kind = self.types.SymbolKind.Variable
        return [
            self.types.DocumentSymbol(name, kind, page.range(item.span), page.range(item.span))
            for name, item in named
        ]

    def fixes(self, params: lsp.CodeActionParams) -> list[lsp.CodeAction]:
        """A quick fix for each diagnostic in range that has a suggestion."""
        uri = params.text_document.uri
        page = self._page(uri)
        start, end = (page.offset(p) for p in (params.range.start, params.range.end))
        found = []
        for one in page.draft.diagnostics:
            edit = edit_of(one, page.draft.text)
            if edit is None or one.span is None or one.span.start > end or one.span.end < start:
                continue
            found.append(self._fix(uri, page, one, edit))
        return found

    def _fix(self, uri: str, page: _Page, one: Diagnostic, edit: Edit) -> lsp.CodeAction:
        written = self.types.TextEdit(page.range(edit.span), edit.text)
        return self.types.CodeAction(
            title=edit.title,
            kind=self.types.CodeActionKind.QuickFix,
            diagnostics=[self._diagnostic(page, one)],
            is_preferred=edit.sure,
            edit=self.types.WorkspaceEdit(changes={uri: [written]}),
        )

    def _page(self, uri: str) -> _Page:
        document = self.server.workspace.get_text_document(uri)
        return _Page(document.source, _stem(uri), document.position_codec, self.types)

    def _diagnostic(self, page: _Page, one: Diagnostic) -> lsp.Diagnostic:
        severity = self.types.DiagnosticSeverity
        return self.types.Diagnostic(
            range=page.range(one.span or Span(0, 1)),
            message=f"{one.message}\n{one.help}" if one.help else one.message,
            severity=severity.Warning if one.severity == "warning" else severity.Error,
            code=one.code,
            source=NAME,
        )


class _Page:
    """A draft and its positions in the protocol's units."""

    def __init__(self, raw: str, stem: str | None, codec: Any, types: Any) -> None:
        self.raw = raw
        self.draft: Draft = draft(raw, stem)
        self._codec, self._types = codec, types
        self._lines: Sequence[str] = self.draft.text.split("\n")

    def offset(self, position: lsp.Position) -> int:
        """The character at a position; past the end of a line, its end."""
        if position.line >= len(self._lines):
            return len(self.draft.text)
        inner = self._codec.position_from_client_units(self._lines, position)
        before = sum(len(line) + 1 for line in self._lines[: inner.line])
        return before + min(inner.character, len(self._lines[inner.line]))

    def position(self, offset: int) -> lsp.Position:
        offset = min(offset, len(self.draft.text))
        row, column = self.draft.source.position(offset)
        inner = self._types.Position(row - 1, column - 1)
        return self._codec.position_to_client_units(self._lines, inner)

    def range(self, span: Span) -> lsp.Range:
        return self._types.Range(self.position(span.start), self.position(span.end))

    @property
    def whole(self) -> lsp.Range:
        return self.range(Span(0, len(self.draft.text)))


def _stem(uri: str) -> str | None:
    """The stem of the file that an editor shows; None for one without a name yet."""
    parsed = urlparse(uri)
    if parsed.scheme != "file":
        return None
    return PurePath(unquote(parsed.path)).stem

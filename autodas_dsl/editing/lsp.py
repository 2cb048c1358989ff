"""The language server: a thin layer of pygls over what the other modules say about a draft."""

from __future__ import annotations

import importlib
import importlib.util
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autodas_dsl import __version__
from autodas_dsl.editing.complete import Proposal, proposals
from autodas_dsl.editing.explain import hover
from autodas_dsl.editing.fixes import Edit, edit_of
from autodas_dsl.editing.page import Page, file_of
from autodas_dsl.editing.rename import renamable, renamed, uses
from autodas_dsl.editing.signature import Signature, signatures
from autodas_dsl.editing.words import Word, name_at, words
from autodas_dsl.language.documents import decode, stored
from autodas_dsl.language.errors import Diagnostic, InputError
from autodas_dsl.language.library import library_files
from autodas_dsl.language.spans import Span

if TYPE_CHECKING:
    from lsprotocol import types as lsp
    from pygls.lsp.server import LanguageServer

NAME = "autodas-dsl"
_TRIGGERS = ("[", "(", " ")
_TOKEN_TYPES = {
    "item": "keyword", "header": "property", "proxy": "class", "let": "variable",
    "statistic": "variable", "derivative": "keyword", "operator": "function", "sign": "operator",
    "attribute": "parameter", "value": "enumMember", "number": "number", "text": "string",
    "comment": "comment",
}  # fmt: skip
_LEGEND = sorted(set(_TOKEN_TYPES.values()))
_MODIFIERS = ("declaration", "defaultLibrary")


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
        (types.TEXT_DOCUMENT_SIGNATURE_HELP, answers.signature,
         types.SignatureHelpOptions(trigger_characters=["(", "[", ","])),
        (types.TEXT_DOCUMENT_FORMATTING, answers.formatting, None),
        (types.TEXT_DOCUMENT_DEFINITION, answers.definition, None),
        (types.TEXT_DOCUMENT_REFERENCES, answers.references, None),
        (types.TEXT_DOCUMENT_DOCUMENT_HIGHLIGHT, answers.highlights, None),
        (types.TEXT_DOCUMENT_PREPARE_RENAME, answers.prepare_rename, None),
        (types.TEXT_DOCUMENT_RENAME, answers.rename, None),
        (types.TEXT_DOCUMENT_SEMANTIC_TOKENS_FULL, answers.tokens,
         types.SemanticTokensLegend(_LEGEND, list(_MODIFIERS))),
        (types.TEXT_DOCUMENT_INLAY_HINT, answers.hints, None),
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

    def signature(self, params: lsp.SignatureHelpParams) -> lsp.SignatureHelp | None:
        page = self._page(params.text_document.uri)
        found, fitting = signatures(page.draft, page.offset(params.position))
        if not found:
            return None
        told = [self._signature(one) for one in found]
        return self.types.SignatureHelp(told, fitting, found[fitting].active)

    def _signature(self, one: Signature) -> lsp.SignatureInformation:
        kind = self.types.MarkupKind.Markdown
        parameters = [
            self.types.ParameterInformation(
                (span.start, span.end), self.types.MarkupContent(kind, doc) if doc else None
            )
            for span, doc in one.parameters
        ]
        doc = self.types.MarkupContent(kind, one.doc)
        return self.types.SignatureInformation(one.label, doc, parameters, one.active)

    def definition(self, params: lsp.DefinitionParams) -> lsp.Location | None:
        page = self._page(params.text_document.uri)
        word = name_at(page.draft, page.offset(params.position))
        if word is None:
            return None
        return next((home.location(one.span) for home, one in self._definitions(page, word)), None)

    def references(self, params: lsp.ReferenceParams) -> list[lsp.Location] | None:
        page = self._page(params.text_document.uri)
        word = name_at(page.draft, page.offset(params.position))
        if word is None:
            return None
        own = word.sort == "let" or (word.defines and not page.is_shipped)
        found = [(home, use) for home in ([page] if own else self._pages())
                 for use in uses(home.draft, word) if not use.defines]  # fmt: skip
        if params.context.include_declaration:
            found[:0] = self._definitions(page, word)
        return [home.location(use.span) for home, use in found]

    def _definitions(self, page: Page, word: Word) -> list[tuple[Page, Word]]:
        """Where a let or a proxy is named; the language's own names have no such place."""
        if word.sort == "proxy" and not word.defines:
            page = self._stored(library_files()[word.name].resolve())
        return [(page, one) for one in uses(page.draft, word) if one.defines]

    def _pages(self) -> Iterator[Page]:
        """The open documents, and the files of the workspace that can be read."""
        workspace = self.server.workspace
        opened = [self._page(uri) for uri in list(workspace.text_documents)]
        yield from opened
        seen = {page.file for page in opened}
        roots = [file_of(folder.uri) for folder in workspace.folders.values()]
        for file in sorted({file for root in roots if root for file in _files(root)} - seen):
            with suppress(InputError):  # what cannot be read names nothing
                yield self._stored(file)

    def highlights(self, params: lsp.DocumentHighlightParams) -> list[lsp.DocumentHighlight] | None:
        page = self._page(params.text_document.uri)
        word = name_at(page.draft, page.offset(params.position))
        if word is None:
            return None
        kinds = self.types.DocumentHighlightKind
        return [
            self.types.DocumentHighlight(
                page.range(one.span), kinds.Write if one.defines else kinds.Read
            )
            for one in uses(page.draft, word)
        ]

    def prepare_rename(self, params: lsp.PrepareRenameParams) -> lsp.PrepareRenamePlaceholder:
        page = self._page(params.text_document.uri)
        with self._refused():
            word = renamable(page.draft, page.offset(params.position), page.is_shipped)
        return self.types.PrepareRenamePlaceholder(page.range(word.span), word.name)

    def rename(self, params: lsp.RenameParams) -> lsp.WorkspaceEdit:
        page = self._page(params.text_document.uri)
        name = params.new_name
        with self._refused():
            word = renamable(page.draft, page.offset(params.position), page.is_shipped)
            edits = [
                self.types.TextEdit(page.range(one.span), name)
                for one in renamed(page.draft, word, name)
            ]
            if word.sort == "proxy" and page.file:
                return self._moved(page, edits, name)
        return self.types.WorkspaceEdit(changes={page.uri: edits})

    def _moved(self, page: Page, edits: list[lsp.TextEdit], name: str) -> lsp.WorkspaceEdit:
        """The edit that names a document and its file.

        Raises
        ------
        InputError
            E655 when there is such a file, E656 when the editor cannot move one.
        """
        new = page.uri.rpartition("/")[0] + f"/{name}.proxy"
        there = file_of(new)
        if there != page.file and there is not None and there.exists():
            raise InputError("E655", f"there is a file {there.name} already", "choose another name")
        can = self.server.client_capabilities.workspace
        known = can and can.workspace_edit and can.workspace_edit.resource_operations
        if self.types.ResourceOperationKind.Rename not in (known or ()):
            raise InputError("E656", "this editor does not rename files for a server",
                             "rename the file, then the name in its first line")  # fmt: skip
        document = self.server.workspace.get_text_document(page.uri)
        here = self.types.OptionalVersionedTextDocumentIdentifier(page.uri, document.version)
        return self.types.WorkspaceEdit(document_changes=[
            self.types.TextDocumentEdit(here, edits), self.types.RenameFile(page.uri, new),
        ])  # fmt: skip

    @contextmanager
    def _refused(self) -> Iterator[None]:
        """Context in which wrong input is the answer to a request, in one line."""
        try:
            yield
        except InputError as error:
            told = error.diagnostics[0]
            raise importlib.import_module("pygls.exceptions").JsonRpcException(
                f"{told.message}: {told.help}", self.types.LSPErrorCodes.RequestFailed
            ) from None

    def tokens(self, params: lsp.SemanticTokensParams) -> lsp.SemanticTokens:
        page = self._page(params.text_document.uri)
        data: list[int] = []
        line = column = 0
        for word in words(page.draft):
            if word.sort not in _TOKEN_TYPES:
                continue
            where = page.range(word.span)
            if where.start.line != line:
                column = 0
            data += [
                where.start.line - line, where.start.character - column,
                where.end.character - where.start.character,
                _LEGEND.index(_TOKEN_TYPES[word.sort]), _modifiers(word),
            ]  # fmt: skip
            line, column = where.start.line, where.start.character
        return self.types.SemanticTokens(data)

    def hints(self, params: lsp.InlayHintParams) -> list[lsp.InlayHint]:
        """The kinds of lets and of the score, behind their names."""
        page = self._page(params.text_document.uri)
        found = [(page.position(offset), kind) for offset, kind in page.draft.kinds()]
        return [
            self.types.InlayHint(
                place, f": {kind}", self.types.InlayHintKind.Type, tooltip=kind.describe()
            )
            for place, kind in found
            if params.range.start.line <= place.line <= params.range.end.line
        ]

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
        page = self._page(params.text_document.uri)
        start, end = (page.offset(p) for p in (params.range.start, params.range.end))
        found = []
        for one in page.draft.diagnostics:
            edit = edit_of(one, page.draft.text)
            if edit is None or one.span is None or one.span.start > end or one.span.end < start:
                continue
            found.append(self._fix(page, one, edit))
        return found

    def _fix(self, page: Page, one: Diagnostic, edit: Edit) -> lsp.CodeAction:
        written = self.types.TextEdit(page.range(edit.span), edit.text)
        return self.types.CodeAction(
            title=edit.title,
            kind=self.types.CodeActionKind.QuickFix,
            diagnostics=[self._diagnostic(page, one)],
            is_preferred=edit.sure,
            edit=self.types.WorkspaceEdit(changes={page.uri: [written]}),
        )

    def _page(self, uri: str) -> Page:
        document = self.server.workspace.get_text_document(uri)
        return Page(uri, document.source, document.position_codec, self.types)

    def _stored(self, file: Path) -> Page:
        text = decode(stored(file), str(file))
        return Page(file.as_uri(), text, self.server.workspace.position_codec, self.types)

    def _diagnostic(self, page: Page, one: Diagnostic) -> lsp.Diagnostic:
        severity = self.types.DiagnosticSeverity
        return self.types.Diagnostic(
            range=page.range(one.span or Span(0, 1)),
            message=f"{one.message}\n{one.help}" if one.help else one.message,
            severity=severity.Warning if one.severity == "warning" else severity.Error,
            code=one.code,
            source=NAME,
        )


def _modifiers(word: Word) -> int:
    """The modifiers of a word as bits: where it is named, and what the language has given."""
    given = word.sort in ("statistic", "operator") or (word.sort == "proxy" and not word.defines)
    return word.defines * 1 + given * 2


def _files(folder: Path) -> Iterator[Path]:
    """The documents below a folder; hidden folders are passed over."""
    for here, below, names in os.walk(folder):
        below[:] = [name for name in below if not name.startswith(".")]
        yield from (Path(here, name) for name in names if name.endswith(".proxy"))

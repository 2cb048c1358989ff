"""A real client session with the language server, over pipes."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("pygls", reason="pygls (extra lsp) is not installed")
from lsprotocol import types
from pygls.lsp.client import LanguageClient

from autodas_dsl.editing import lsp
from autodas_dsl.language.errors import InputError
from autodas_dsl.language.library import library_files, library_names

# torch and sympy are made impossible to import: an editor must not wait seconds for them
SERVER = """
import sys
sys.modules["torch"] = sys.modules["sympy"] = None
from autodas_dsl.editing.lsp import main
main()
"""
URI = "file:///work%20space/mine.proxy"
GOOD = """proxy/1 mine

better: higher
inputs: W, grad W

let part = |grad W|_F
score = mean(part) + sum(sum(|W * grad W|))
"""


class Session:
    """A client with one open document."""

    def __init__(self) -> None:
        self.client = LanguageClient("test", "1")
        self.published: dict[str, list[types.PublishDiagnosticsParams]] = {}
        self.arrived = asyncio.Event()
        self.version = 0

        @self.client.feature(types.TEXT_DOCUMENT_PUBLISH_DIAGNOSTICS)
        def received(params: types.PublishDiagnosticsParams) -> None:
            self.published.setdefault(params.uri, []).append(params)
            self.arrived.set()

    async def start(self, encodings: list[str] | None = None) -> types.InitializeResult:
        await self.client.start_io(sys.executable, "-c", SERVER)
        general = types.GeneralClientCapabilities(position_encodings=encodings)  # type: ignore[arg-type]
        result = await self.client.initialize_async(
            types.InitializeParams(types.ClientCapabilities(general=general))
        )
        self.client.initialized(types.InitializedParams())
        return result

    async def stop(self) -> None:
        await self.client.shutdown_async(None)
        self.client.exit(None)
        await self.client.stop()

    async def show(self, text: str, uri: str = URI) -> list[types.Diagnostic]:
        """Open or replace the document, and wait for its diagnostics."""
        self.version += 1
        self.arrived.clear()
        if self.version == 1 or uri not in self.published:
            item = types.TextDocumentItem(uri, "autodas-proxy", self.version, text)
            self.client.text_document_did_open(types.DidOpenTextDocumentParams(item))
        else:
            self._change(types.TextDocumentContentChangeWholeDocument(text), uri)
        await asyncio.wait_for(self.arrived.wait(), 20)
        assert self.published[uri][-1].version == self.version
        return list(self.published[uri][-1].diagnostics)

    async def type(self, line: int, column: int, text: str) -> list[types.Diagnostic]:
        """Insert some characters, as an editor sends them."""
        self.version += 1
        self.arrived.clear()
        at = types.Position(line, column)
        self._change(types.TextDocumentContentChangePartial(types.Range(at, at), text), URI)
        await asyncio.wait_for(self.arrived.wait(), 20)
        return list(self.published[URI][-1].diagnostics)

    def _change(self, change: Any, uri: str) -> None:
        document = types.VersionedTextDocumentIdentifier(self.version, uri)
        self.client.text_document_did_change(types.DidChangeTextDocumentParams(document, [change]))

    def place(self, line: int, column: int) -> dict[str, Any]:
        return {
            "text_document": types.TextDocumentIdentifier(URI),
            "position": types.Position(line, column),
        }


def run(talk: Callable[[Session], Awaitable[None]], encodings: list[str] | None = None) -> None:
    async def session() -> None:
        one = Session()
        await one.start(encodings)
        try:
            await talk(one)
        finally:
            await one.stop()

    asyncio.run(session())


def span(found: types.Diagnostic) -> tuple[int, int, int, int]:
    start, end = found.range.start, found.range.end
    return start.line, start.character, end.line, end.character


def test_a_session_from_typing_to_formatting() -> None:
    async def talk(one: Session) -> None:
        assert await one.show(GOOD) == []
        # while typing: an unfinished formula, then a finished one
        found = await one.type(6, 18, " + ")
        assert [d.code for d in found] == ["E110"]
        assert await one.type(6, 21, "1") == []
        # a kind error with its span, help and severity
        found = await one.show(GOOD.replace("mean(part)", "part"))
        assert [(d.code, d.severity, d.source) for d in found] == [
            ("E203", types.DiagnosticSeverity.Error, "autodas-dsl")
        ]
        assert span(found[0]) == (6, 8, 6, 37)
        assert "wrap it in mean" in found[0].message
        # hover: an operator, a statistic, a let, a norm; with its place and kind here
        await one.show(GOOD)
        shown = await one.client.text_document_hover_async(types.HoverParams(**one.place(6, 9)))
        assert shown is not None
        assert shown.range == types.Range(types.Position(6, 8), types.Position(6, 12))
        assert shown.contents.value.startswith("**mean**")
        assert "here: `number`" in shown.contents.value
        shown = await one.client.text_document_hover_async(types.HoverParams(**one.place(5, 17)))
        assert shown is not None
        assert "Gradient of the loss" in shown.contents.value
        # completion replaces the word being written
        listed = await one.client.text_document_completion_async(
            types.CompletionParams(**one.place(6, 10))
        )
        assert isinstance(listed, types.CompletionList)
        edits = {item.label: item.text_edit for item in listed.items}
        assert {"part", "F_s", "median", "KL", "grad", *library_names()} <= set(edits) | {
            "params", "flops"
        }  # fmt: skip
        assert edits["median"] == types.TextEdit(
            types.Range(types.Position(6, 8), types.Position(6, 10)), "median("
        )
        # formatting is the canonical formatter's
        await one.show(
            GOOD.replace("mean(part) + ", "mean( part )+").replace("W, grad W", "grad W, W")
        )
        options = types.FormattingOptions(tab_size=4, insert_spaces=True)
        edited = await one.client.text_document_formatting_async(
            types.DocumentFormattingParams(types.TextDocumentIdentifier(URI), options)
        )
        assert edited is not None
        assert [edit.new_text for edit in edited] == [GOOD.replace("W, grad W", "W, grad W")]
        assert edited[0].range.start == types.Position(0, 0)
        # what is formatted already, or is broken, stays
        for text in (GOOD, GOOD + "score = "):
            await one.show(text)
            edited = await one.client.text_document_formatting_async(
                types.DocumentFormattingParams(types.TextDocumentIdentifier(URI), options)
            )
            assert not edited

    run(talk)


def test_going_to_definitions_the_outline_and_quick_fixes() -> None:
    async def talk(one: Session) -> None:
        await one.show(GOOD.replace("sum(sum(|W * grad W|))", "diswot"))
        there = await one.client.text_document_definition_async(
            types.DefinitionParams(**one.place(6, 14))
        )
        assert isinstance(there, types.Location)
        assert (there.uri, there.range.start.line) == (URI, 5)
        there = await one.client.text_document_definition_async(
            types.DefinitionParams(**one.place(6, 24))
        )
        assert isinstance(there, types.Location)
        assert there.uri == library_files()["diswot"].resolve().as_uri()
        outline = await one.client.text_document_document_symbol_async(
            types.DocumentSymbolParams(types.TextDocumentIdentifier(URI))
        )
        assert outline is not None
        assert [symbol.name for symbol in outline] == ["part", "score"]
        found = await one.show(GOOD.replace("mean(part)", "maen(part)"))
        assert [d.code for d in found] == ["E202"]
        actions = await one.client.text_document_code_action_async(
            types.CodeActionParams(
                types.TextDocumentIdentifier(URI), found[0].range, types.CodeActionContext(found)
            )
        )
        assert actions is not None
        assert [action.title for action in actions] == ["Write mean"]
        edit = actions[0].edit
        assert edit is not None
        assert edit.changes is not None
        assert list(edit.changes[URI]) == [types.TextEdit(found[0].range, "mean")]

    run(talk)


@pytest.mark.parametrize(("encoding", "end"), [("utf-8", 15), ("utf-16", 13), ("utf-32", 12)])
def test_positions_are_in_the_units_of_the_client(encoding: str, end: int) -> None:
    async def talk(one: Session) -> None:
        # the face is one character, two UTF-16 units and four bytes
        found = await one.show('proxy/1 mine\n\nabout: "🙂" ;\n\nscore = params\n')
        assert [d.code for d in found] == ["E312"]
        assert span(found[0]) == (2, 0, 2, end)

    run(talk, [encoding])


def test_bad_documents_get_diagnostics_and_do_not_stop_the_server() -> None:
    async def talk(one: Session) -> None:
        assert [d.code for d in await one.show("")] == ["E305"]
        assert [d.code for d in await one.show("\x00" * 10)][:1] == ["E304"]
        assert [d.code for d in await one.show("x" * (1024 * 1024 + 1))] == ["E302"]
        assert [d.code for d in await one.show("proxy/1 other\nscore = params\n")] == ["E309"]
        deep = "proxy/1 mine\nscore = " + "abs(" * 300 + "params" + ")" * 300 + "\n"
        assert [d.code for d in await one.show(deep)] == ["E103"]
        for line, column in ((0, 0), (1, 500), (99, 3)):
            await one.client.text_document_hover_async(types.HoverParams(**one.place(line, column)))
            listed = await one.client.text_document_completion_async(
                types.CompletionParams(**one.place(line, column))
            )
            assert listed is not None
        assert await one.show(GOOD.replace("\n", "\r\n")) == []
        # a document that has no file yet may have any name
        assert await one.show(GOOD, "untitled:Untitled-1") == []

    run(talk)


def test_closing_a_document_clears_its_diagnostics() -> None:
    async def talk(one: Session) -> None:
        assert await one.show("proxy/1 mine\n")
        one.arrived.clear()
        one.client.text_document_did_close(
            types.DidCloseTextDocumentParams(types.TextDocumentIdentifier(URI))
        )
        await asyncio.wait_for(one.arrived.wait(), 20)
        assert list(one.published[URI][-1].diagnostics) == []

    run(talk)


def test_without_pygls_one_clear_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lsp.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match="pip install autodas-dsl") as caught:
        lsp.main()
    assert caught.value.diagnostics[0].code == "E660"


def test_the_stem_of_a_file_comes_from_its_uri() -> None:
    assert lsp._stem("file:///a%20b/snip%5Fx.proxy") == "snip_x"
    assert lsp._stem(Path("/tmp/x.proxy").as_uri()) == "x"
    assert lsp._stem("untitled:Untitled-1") is None

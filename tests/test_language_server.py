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
from pygls.exceptions import JsonRpcException
from pygls.lsp.client import LanguageClient

from autodas_dsl.editing import lsp
from autodas_dsl.editing.page import file_of
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
        self.text = ""
        self.started: types.InitializeResult

        @self.client.feature(types.TEXT_DOCUMENT_PUBLISH_DIAGNOSTICS)
        def received(params: types.PublishDiagnosticsParams) -> None:
            self.published.setdefault(params.uri, []).append(params)
            self.arrived.set()

    async def start(
        self, encodings: list[str] | None = None, folder: Path | None = None
    ) -> types.InitializeResult:
        await self.client.start_io(sys.executable, "-c", SERVER)
        able = types.ClientCapabilities(
            general=types.GeneralClientCapabilities(position_encodings=encodings),  # type: ignore[arg-type]
            text_document=types.TextDocumentClientCapabilities(
                rename=types.RenameClientCapabilities(prepare_support=True)
            ),
        )
        folders = []
        if folder:
            kinds = [types.ResourceOperationKind.Rename]
            edits = types.WorkspaceEditClientCapabilities(True, resource_operations=kinds)
            able.workspace = types.WorkspaceClientCapabilities(workspace_edit=edits)
            folders = [types.WorkspaceFolder(folder.as_uri(), "work")]
        result = await self.client.initialize_async(
            types.InitializeParams(able, workspace_folders=folders)
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
        self.text = text.replace("\r\n", "\n")
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

    def place(self, line: int, column: int, uri: str = URI) -> dict[str, Any]:
        return {
            "text_document": types.TextDocumentIdentifier(uri),
            "position": types.Position(line, column),
        }

    async def rename(self, line: int, column: int, name: str, uri: str = URI) -> Any:
        return await self.client.text_document_rename_async(
            types.RenameParams(**self.place(line, column, uri), new_name=name)
        )

    async def refusal(self, line: int, column: int, name: str, uri: str = URI) -> str:
        """What the editor shows where a renaming is not possible."""
        with pytest.raises(JsonRpcException) as caught:
            await self.rename(line, column, name, uri)
        assert caught.value.code == types.LSPErrorCodes.RequestFailed
        return caught.value.message

    async def references(
        self, line: int, column: int, uri: str = URI, declared: bool = True
    ) -> list[tuple[str, tuple[int, int, int, int]]]:
        context = types.ReferenceContext(include_declaration=declared)
        found = await self.client.text_document_references_async(
            types.ReferenceParams(context, **self.place(line, column, uri))
        )
        return [(one.uri, span(one)) for one in found or []]

    async def coloured(self, result: types.InitializeResult) -> list[tuple[str, str, str]]:
        """The semantic tokens of the document: the text, its type and its modifiers."""
        options = result.capabilities.semantic_tokens_provider
        assert isinstance(options, types.SemanticTokensOptions)
        answer = await self.client.text_document_semantic_tokens_full_async(
            types.SemanticTokensParams(types.TextDocumentIdentifier(URI))
        )
        assert answer is not None
        lines = self.text.encode("utf-16-le").split("\n".encode("utf-16-le"))
        found, line, column = [], 0, 0
        for down, right, length, sort, bits in zip(*[iter(answer.data)] * 5, strict=True):
            line, column = line + down, right if down else column + right
            text = lines[line][2 * column : 2 * (column + length)].decode("utf-16-le")
            words = [m for n, m in enumerate(options.legend.token_modifiers) if bits >> n & 1]
            found.append((text, options.legend.token_types[sort], " ".join(words)))
        return found

    async def hinted(self, first: int = 0, last: int = 99) -> list[tuple[int, int, object]]:
        where = types.Range(types.Position(first, 0), types.Position(last, 0))
        found = await self.client.text_document_inlay_hint_async(
            types.InlayHintParams(types.TextDocumentIdentifier(URI), where)
        )
        return [(one.position.line, one.position.character, one.label) for one in found or []]


def run(
    talk: Callable[[Session], Awaitable[None]],
    encodings: list[str] | None = None,
    folder: Path | None = None,
) -> None:
    async def session() -> None:
        one = Session()
        one.started = await one.start(encodings, folder)
        try:
            await talk(one)
        finally:
            await one.stop()

    asyncio.run(session())


def span(found: types.Diagnostic | types.Location | types.TextEdit) -> tuple[int, int, int, int]:
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


TWO = """proxy/1 mine

let part = |grad W|_F  # part
let twice = part * 2

score = mean(part) + sum(twice) + diswot
"""


def test_a_let_is_found_and_renamed_in_its_document() -> None:
    async def talk(one: Session) -> None:
        for text in (TWO, TWO.replace("\n", "\r\n")):
            await one.show(text)
            places = [(2, 4, 2, 8), (3, 12, 3, 16), (5, 13, 5, 17)]
            for line, column in ((2, 4), (3, 16), (5, 15)):
                assert await one.references(line, column) == [(URI, place) for place in places]
            assert await one.references(2, 4, declared=False) == [(URI, p) for p in places[1:]]
            found = await one.client.text_document_document_highlight_async(
                types.DocumentHighlightParams(**one.place(5, 13))
            )
            kinds = types.DocumentHighlightKind
            assert [one.kind for one in found or []] == [kinds.Write, kinds.Read, kinds.Read]
            ready = await one.client.text_document_prepare_rename_async(
                types.PrepareRenameParams(**one.place(5, 13))
            )
            assert isinstance(ready, types.PrepareRenamePlaceholder)
            assert ready.placeholder == "part"
            edit = await one.rename(5, 13, "share")
            assert [(span(e), e.new_text) for e in edit.changes[URI]] == [
                (place, "share") for place in places
            ]
        # what cannot be, with the reason in one line
        assert "`2nd` is not a name" in await one.refusal(2, 4, "2nd")
        assert "`twice` is defined twice" in await one.refusal(2, 4, "twice")
        assert "`sum` is the name of a statistic or operator" in await one.refusal(2, 4, "sum")
        assert "a formula names `diswot` already" in await one.refusal(2, 4, "diswot")
        assert "no name stands here: lets are renamed" in await one.refusal(1, 0, "x")
        assert "no name stands here" in await one.refusal(3, 19, "x")
        assert "`mean` is an operator" in await one.refusal(5, 9, "x")
        assert "`diswot` is a proxy of the library" in await one.refusal(5, 36, "x")
        with pytest.raises(JsonRpcException, match="`grad W` is a statistic"):
            await one.client.text_document_prepare_rename_async(
                types.PrepareRenameParams(**one.place(2, 17))
            )
        # without the means to move a file, a document keeps its name
        assert "this editor does not rename files" in await one.refusal(0, 9, "yours")
        assert await one.references(1, 0) == []
        # a broken document is no reason
        await one.show(TWO.replace("sum(twice)", "sum(twice"))
        assert len((await one.rename(5, 13, "share")).changes[URI]) == 3

    run(talk)


def test_a_proxy_is_found_in_the_workspace_and_renamed_with_its_file(tmp_path: Path) -> None:
    mine, other = tmp_path / "mine.proxy", tmp_path / "in" / "other.proxy"
    (tmp_path / ".hidden").mkdir()
    other.parent.mkdir()
    for file in (mine, other, tmp_path / ".hidden" / "mine.proxy"):
        file.write_text(f"proxy/1 {file.stem}\n\nscore = diswot + 1\n", encoding="utf-8")
    (tmp_path / "odd.proxy").write_bytes(b"\xff diswot")

    async def talk(one: Session) -> None:
        uri = mine.as_uri()
        # the text in the editor counts, not that of the file
        await one.show("proxy/1 mine\n\nscore = 2 * diswot\n", uri)
        shipped = library_files()["diswot"].resolve().as_uri()
        uses = [(uri, (2, 12, 2, 18)), (other.as_uri(), (2, 8, 2, 14))]
        assert await one.references(2, 12, uri, declared=False) == uses
        assert await one.references(2, 12, uri) == [(shipped, (0, 8, 0, 14)), *uses]
        there = await one.client.text_document_definition_async(
            types.DefinitionParams(**one.place(2, 12, uri))
        )
        assert isinstance(there, types.Location)
        assert (there.uri, span(there)) == (shipped, (0, 8, 0, 14))
        assert await one.references(0, 9, uri) == [(uri, (0, 8, 0, 12))]
        # the name of a document is that of its file
        edit = await one.rename(0, 9, "yours", uri)
        text, move = edit.document_changes
        assert (text.text_document.uri, text.text_document.version) == (uri, one.version)
        assert [(span(e), e.new_text) for e in text.edits] == [((0, 8, 0, 12), "yours")]
        assert (move.old_uri, move.new_uri) == (uri, (tmp_path / "yours.proxy").as_uri())
        (tmp_path / "taken.proxy").touch()
        assert "there is a file taken.proxy already" in await one.refusal(0, 9, "taken", uri)
        assert "`a-b` is not a name" in await one.refusal(0, 9, "a-b", uri)
        assert "`mean` is the name of" in await one.refusal(0, 9, "mean", uri)
        assert "`diswot` is a proxy of the library" in await one.refusal(0, 9, "x", shipped)
        # one without a file yet has a name only
        draft = "untitled:Untitled-1"
        await one.show("proxy/1 mine\nscore = params\n", draft)
        assert list((await one.rename(0, 9, "yours", draft)).changes) == [draft]

    run(talk, folder=tmp_path)


def test_colours_hints_and_signatures_while_typing() -> None:
    async def talk(one: Session) -> None:
        text = 'proxy/1 mine\n\nabout: "🙂 a"  # 🙂 b\n\nlet part = |grad W|_F\n'
        text += "score = mean[C](part) + diswot ⊙ nothing + KL[T=8](F_s, F_t"
        for raw in (text, text.replace("\n", "\r\n")):
            assert [d.code for d in await one.show(raw)] == ["E109"]
            given = "defaultLibrary"
            assert await one.coloured(one.started) == [
                ("proxy/1", "keyword", ""), ("mine", "class", "declaration"),
                ("about", "property", ""), ('"🙂 a"', "string", ""), ("# 🙂 b", "comment", ""),
                ("let", "keyword", ""), ("part", "variable", "declaration"),
                ("|", "operator", ""), ("grad", "keyword", ""), ("W", "variable", given),
                ("|_F", "operator", ""), ("score", "keyword", ""), ("mean", "function", given),
                ("C", "enumMember", ""), ("part", "variable", ""), ("+", "operator", ""),
                ("diswot", "class", given), ("⊙", "operator", ""), ("+", "operator", ""),
                ("KL", "function", given), ("T", "parameter", ""), ("8", "number", ""),
                ("F_s", "variable", given), ("F_t", "variable", given),
            ]  # fmt: skip
            assert await one.hinted() == [(4, 8, ": lin number")]
            shown = await one.client.text_document_signature_help_async(
                types.SignatureHelpParams(**one.place(5, 56))
            )
            assert shown is not None
            found = shown.signatures[shown.active_signature or 0]
            assert found.label == "KL[T=1](a, b)"
            assert found.parameters is not None
            assert shown.active_parameter == found.active_parameter == 2
            assert [tuple(p.label) for p in found.parameters] == [(3, 6), (8, 9), (11, 12)]
            assert "KL(softmax" in found.documentation.value  # type: ignore[union-attr]
        await one.show(TWO)
        expected = [(2, 8, ": lin number"), (3, 9, ": lin number"), (5, 5, ": number")]
        assert await one.hinted() == expected
        assert await one.hinted(3, 4) == expected[1:2]
        shown = await one.client.text_document_signature_help_async(
            types.SignatureHelpParams(**one.place(3, 18))
        )
        assert shown is None

    run(talk)


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


def test_a_file_comes_from_its_uri() -> None:
    assert file_of("file:///a%20b/snip%5Fx.proxy") == Path("/a b/snip_x.proxy")
    assert file_of(Path("/tmp/x.proxy").as_uri()) == Path("/tmp/x.proxy")
    assert file_of("untitled:Untitled-1") is None

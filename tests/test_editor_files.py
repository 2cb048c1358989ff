"""What editors are given: grammars made from the tables, and an extension that starts the server."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import editor_files
import pytest
from conftest import REPOSITORY, Golden
from pygments.token import Comment, Keyword, Name, Number, Operator, String

from autodas_dsl import __version__
from autodas_dsl.language.library import library_files
from autodas_dsl.report.lexer import ProxyLexer

EDITORS = REPOSITORY / "editors"
GRAMMAR = EDITORS / "vscode" / "syntaxes" / "proxy.tmLanguage.json"
SYNTAX = EDITORS / "vim" / "syntax" / "proxy.vim"

# what a kind of token of Pygments is called in the grammars; signs, names and the rest of a line
SCOPES = {
    Keyword.Namespace: ("keyword.other.version", "Item"),
    Name.Class: ("entity.name.type", "Title"),
    Name.Attribute: ("support.type.property-name variable.parameter", "Header Parameter"),
    String.Doc: ("string.unquoted", "Fact"),
    String.Double: ("string.quoted.double constant.character.escape", "Text"),
    Keyword.Constant: ("constant.language", "Choice"),
    Keyword.Declaration: ("storage.type", "Item"),
    Name.Variable: ("variable.other.definition", "Let"),
    Comment.Single: ("comment.line.number-sign", "Comment"),
    Keyword.Type: ("keyword.operator.derivative", "Derivative"),
    Name.Function: ("support.function", "Operator"),
    Name.Builtin: ("support.variable", "Statistic"),
    Name: ("variable.other", "Name"),
    Number: ("constant.numeric", "Number"),
    Operator: ("keyword.operator", "Sign"),
}
MORE = """proxy/1 more  # of what the library has not

about: "\\"a\\" is mean(W)"  # b
x-note: sum(W) # no comment
reported: mean(F_s) = 1

let x2 = σ(Fₛ)⊙∂L/∂W - |norm_1[C](W)|_1 + |W|_inf − .5e-3
score = KL[T=8, C]([F_s[-2], F_t[noise]]) / √W + (x2)^2 + |W|_* + nothing(NTK[n=8]) + sumsum(W) · 3.
"""


def documents() -> str:
    return "\n".join([*(file.read_text("utf-8") for file in library_files().values()), MORE])


def expected(text: str, editor: int) -> list[tuple[str, set[str]]]:
    """Each character, and what it may be called in an editor."""
    found = []
    for kind, word in ProxyLexer(stripnl=False, ensurenl=False).get_tokens(text):
        names = set(SCOPES[kind][editor].split()) if kind in SCOPES else {"", "Attributes"}
        found += [(char, names) for char in word]
    return found


def rules(grammar: Any) -> Iterator[str]:
    """Every pattern of a TextMate grammar."""
    for rule in grammar["patterns"]:
        yield from (rule[key] for key in ("match", "begin", "end") if key in rule)
        if "patterns" in rule:
            yield from rules(rule)


def scopes(grammar: Any, text: str) -> Iterator[str]:
    """The innermost scope of each character, as TextMate finds it line by line."""
    opened: list[Any] = [{"patterns": grammar["patterns"]}]
    for line in text.split("\n"):
        found, at = [""] * len(line), 0
        while at < len(line):
            start, hit, rule = next_match(opened[-1], line, at)
            found[at:start] = [opened[-1].get("name", "")] * (start - at)
            if hit is None:
                break
            owner = rule or opened[-1]
            found[start : hit.end()] = [owner.get("name", "")] * (hit.end() - start)
            for group, scope in owner.get("captures", {}).items():
                found[slice(*hit.span(int(group)))] = [scope["name"]] * len(hit[int(group)])
            if rule is None:
                opened.pop()
            elif "begin" in rule:
                opened.append(rule)
            at = hit.end()
        yield from (scope.removesuffix(".proxy") for scope in [*found, ""])


def next_match(inside: Any, line: str, at: int) -> tuple[int, re.Match[str] | None, Any]:
    """The first match of a line, and its rule; of several at one place that of the first rule."""
    tried = [(inside["end"], None)] if "end" in inside else []
    tried += [(rule.get("match") or rule["begin"], rule) for rule in inside["patterns"]]
    hits = [(found.start(), found, rule) for pattern, rule in tried
            if (found := re.compile(pattern).search(line, at))]  # fmt: skip
    return min(hits, key=lambda hit: hit[0], default=(len(line), None, None))


def compare(text: str, found: list[str], editor: int) -> None:
    wanted = expected(text, editor)
    assert len(found) == len(wanted)
    for at, ((char, names), scope) in enumerate(zip(wanted, found, strict=True)):
        near = text[max(0, at - 30) : at + 30]
        assert char.isspace() or char == "=" or scope in names, (near, char, names, scope)


def test_grammars_are_what_the_tables_say(golden: Golden) -> None:
    golden(GRAMMAR, editor_files.textmate())
    golden(SYNTAX, editor_files.vim())


def test_the_textmate_grammar_colours_as_the_lexer_does() -> None:
    grammar = json.loads(GRAMMAR.read_text("utf-8"))
    assert all(re.compile(pattern) for pattern in rules(grammar))
    text = documents()
    compare(text, list(scopes(grammar, text))[:-1], 0)


@pytest.mark.skipif(shutil.which("vim") is None, reason="vim is not installed")
def test_the_syntax_file_of_vim_colours_as_the_lexer_does(tmp_path: Path) -> None:
    text = documents()
    (tmp_path / "all.proxy").write_text(text, encoding="utf-8")
    script = f"""
set encoding=utf-8 synmaxcol=0 runtimepath^={EDITORS}/vim
filetype plugin on
syntax on
edit all.proxy
let found = [&filetype .. ' ' .. &commentstring]
for row in range(1, line('$'))
  let column = 1
  for char in split(getline(row), '\\zs')
    call add(found, synIDattr(synID(row, column, 0), 'name'))
    let column += len(char)
  endfor
  call add(found, '')
endfor
call writefile(found, '{tmp_path}/found')
quitall!
"""
    (tmp_path / "script.vim").write_text(script, encoding="utf-8")
    command = ["vim", "-Nu", "NONE", "-i", "NONE", "-n", "-es", "-S", "script.vim"]
    subprocess.run(command, cwd=tmp_path, timeout=60, check=False)
    kind, *lines = (tmp_path / "found").read_text("utf-8").split("\n")[:-1]
    assert kind == "proxy # %s"
    compare(text, [name.removeprefix("proxy") for name in lines], 1)


def test_the_extension_of_vs_code_names_files_that_are_there() -> None:
    folder = EDITORS / "vscode"
    manifest = json.loads((folder / "package.json").read_text("utf-8"))
    (language,) = manifest["contributes"]["languages"]
    (grammar,) = manifest["contributes"]["grammars"]
    assert language["extensions"] == [".proxy"]
    assert grammar["language"] == language["id"]
    assert (
        json.loads((folder / grammar["path"]).read_text("utf-8"))["scopeName"]
        == grammar["scopeName"]
    )
    assert (folder / manifest["main"]).is_file()
    assert manifest["version"] == __version__
    settings = json.loads((folder / language["configuration"]).read_text("utf-8"))
    words = re.compile(settings["wordPattern"])
    assert words.findall("mean(|grad W|_F) + σ(Fₛ)") == ["mean", "grad", "W", "F", "σ", "Fₛ"]


@pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")
def test_the_extension_of_vs_code_starts_the_server_of_its_settings() -> None:
    manifest = json.loads((EDITORS / "vscode" / "package.json").read_text("utf-8"))
    (setting, described), *_ = manifest["contributes"]["configuration"]["properties"].items()
    section, _, key = setting.partition(".")
    program = f"""
const Module = require("module");
class LanguageClient {{
  constructor(...given) {{ console.log(JSON.stringify(given)); }}
  async start() {{ console.log("started"); }}
  async stop() {{ console.log("stopped"); }}
}}
const settings = {{{json.dumps(section)}: {{{json.dumps(key)}: {json.dumps(described["default"])}}}}};
const stubs = {{
  "vscode": {{ workspace: {{ getConfiguration: (s) => ({{ get: (k) => settings[s][k] }}) }} }},
  "vscode-languageclient/node": {{ LanguageClient }},
}};
const load = Module._load;
Module._load = (name, ...rest) => stubs[name] ?? load(name, ...rest);
const extension = require({json.dumps(str(EDITORS / "vscode" / "extension.js"))});
extension.deactivate();
extension.activate().then(extension.deactivate);
"""
    done = subprocess.run(
        ["node", "-e", program], check=True, capture_output=True, text=True, timeout=60
    )
    given, *after = done.stdout.splitlines()
    name, server, client = json.loads(given)
    assert (name, server) == ("autodas-dsl", {"command": "autodas-dsl", "args": ["lsp"]})
    assert client["documentSelector"] == [{"language": "proxy"}]
    assert after == ["started", "stopped"]

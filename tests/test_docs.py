"""The pages of docs/ that are written from tables or from commands are up to date."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner
from conftest import REPOSITORY, Golden

from autodas_dsl.cli.entry import cli
from autodas_dsl.language.inputs import INPUTS
from autodas_dsl.language.operators import OPERATORS
from autodas_dsl.report import reference

FIRST = REPOSITORY / "docs" / "first-proxy.md"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```\n", re.M | re.S)


def test_language_page_is_what_the_tables_say(golden: Golden) -> None:
    golden(REPOSITORY / "docs" / "language.md", reference.reference())


def test_language_page_names_everything() -> None:
    page = reference.reference()
    assert [name for name in INPUTS if f"| `{name}` |" not in page] == []
    missing = [o.name for o in OPERATORS.values() if f"#### `{reference.written(o)}`\n" not in page]
    assert missing == []


def test_first_proxy_shows_what_the_commands_print(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, golden: Golden
) -> None:
    monkeypatch.chdir(tmp_path)

    def done(block: re.Match[str]) -> str:
        kind, body = block.groups()
        if kind == "proxy":
            (tmp_path / "even.proxy").write_text(body, encoding="utf-8")
        if kind != "console":
            return block.group()
        command = body.partition("\n")[0]
        words = shlex.split(command.removeprefix("$ autodas-dsl "))
        printed = CliRunner().invoke(cli, words).output.strip()
        return f"```console\n{command}\n{printed}\n```\n"

    page = FIRST.read_text(encoding="utf-8")
    assert page.count("```console\n") >= 8
    golden(FIRST, BLOCK.sub(done, page))


def test_first_proxy_names_commands_and_files_that_exist() -> None:
    text = FIRST.read_text(encoding="utf-8")
    for path in re.findall(r"examples/[\w.]+\.py", text):
        assert (REPOSITORY / path).is_file()
    assert len(list((REPOSITORY / "examples").glob("*.proxy"))) == 3

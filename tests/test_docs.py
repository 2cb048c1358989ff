"""The pages of docs/ that are written from tables or from commands are up to date."""

from __future__ import annotations

import re
import shlex
from configparser import ConfigParser
from pathlib import Path

import language_page as reference
import pytest
from click.testing import CliRunner
from conftest import REPOSITORY, Golden

import autodas_dsl
from autodas_dsl.cli.entry import cli
from autodas_dsl.language.inputs import INPUTS
from autodas_dsl.language.operators import OPERATORS

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


# --- pages for those who change the code --------------------------------------------------------


def test_files_that_the_pages_for_contributors_name_exist() -> None:
    roots = [REPOSITORY, REPOSITORY / "autodas_dsl"]
    for page in ("ARCHITECTURE.md", "CONTRIBUTING.md"):
        text = (REPOSITORY / page).read_text(encoding="utf-8")
        named = re.findall(r"`([\w./-]+(?:\.(?:py|md|cfg|cff|txt|console)|/))`", text)
        named += [link.partition("#")[0] for link in re.findall(r"\]\(([^)]+)\)", text)]
        own = [path for path in named if "NAME" not in path and path != "journal.txt"]
        assert len(own) >= 10
        assert [path for path in own if not any((root / path).exists() for root in roots)] == []


def test_the_rooms_stand_in_the_order_of_their_imports() -> None:
    config = ConfigParser()
    config.read(REPOSITORY / "setup.cfg", encoding="utf-8")
    layers = config["importlinter:contract:layers"]["layers"].split("\n")
    contract = [set(layer.split(" | ")) for layer in filter(None, layers)]
    page = (REPOSITORY / "ARCHITECTURE.md").read_text(encoding="utf-8")
    rows = page.partition("| room of ")[2].partition("\n\n")[0].split("\n")[2:]
    assert [set(re.findall(r"`(\w+)`", row.split("|")[1])) for row in rows] == contract


def test_hooks_before_a_commit_are_the_linters_of_ci() -> None:
    hooks = (REPOSITORY / ".pre-commit-config.yaml").read_text(encoding="utf-8")
    ci = (REPOSITORY / ".ci" / "run").read_text(encoding="utf-8")
    linters = re.findall(r"^\.venv/bin/((?:ruff|mypy|lint-imports).*)$", ci, re.M)
    assert len(linters) == 4
    assert re.findall(r"entry: (.*)", hooks) == linters
    assert set(re.findall(r"repo: (.*)", hooks)) == {"local"}
    assert hooks.count("language: system") == 4


def test_the_version_is_one() -> None:
    config = ConfigParser()
    config.read(REPOSITORY / "setup.cfg", encoding="utf-8")
    version = config["metadata"]["version"]
    assert autodas_dsl.__version__ == version
    cited = (REPOSITORY / "CITATION.cff").read_text(encoding="utf-8")
    assert re.findall(r"^version: (.*)$", cited, re.M) == [version]
    assert f"\n## {version} (" in (REPOSITORY / "CHANGELOG.md").read_text(encoding="utf-8")

"""docs/errors.md: every code, what it says, and what a terminal shows."""

from __future__ import annotations

import json
import re
import shlex
from functools import cache
from pathlib import Path

import pytest
from click.testing import CliRunner
from commands import refused
from conftest import REPOSITORY, Golden, own_language
from errors_page import (
    FAMILIES,
    MEANINGS,
    UNSHOWN,
    by_code,
    error_index,
    sayings,
)
from fixtures import DATA, wrong_inputs

from autodas_dsl.cli.entry import cli
from autodas_dsl.language.documents import expression_proxy, parse_document
from autodas_dsl.language.error_pages import error_pages
from autodas_dsl.language.errors import Diagnostic, FormulaError
from autodas_dsl.language.spans import Source

PACKAGE = REPOSITORY / "autodas_dsl"
SESSION = DATA / "errors.console"
COMMAND = re.compile(r"^\$ (.*)$", re.M)


Codes = dict[str, dict[str, tuple[str, ...]]]


@pytest.fixture(scope="module")
def codes() -> Codes:
    return by_code(sayings(PACKAGE))


def shown(text: str, document: bool) -> dict[str, str]:
    """What the terminal shows about a wrong formula or document, by code."""
    source = Source("a.proxy" if document else "<expression>", text)
    found: tuple[Diagnostic, ...]
    try:
        proxy = parse_document(text, stem="a") if document else expression_proxy(text)
        found = tuple(proxy.check().diagnostics)
    except FormulaError as error:
        found = error.diagnostics
    return {diagnostic.code: diagnostic.render(source) for diagnostic in found}


@cache
def examples() -> dict[str, str]:
    """The first example of every code in ``errors.txt``, else in ``errors.console``."""
    found: dict[str, str] = {}
    for wrong in wrong_inputs():
        for code, text in shown(wrong.text, wrong.document).items():
            if code in {expected.code for expected in wrong.expected}:
                found.setdefault(code, text)
    for block in SESSION.read_text(encoding="utf-8").strip().split("\n\n"):
        code = re.search(r"(?:error|warning)\[(E\d+)\]", block)
        if code:
            found.setdefault(code[1], block)
    return found


def _files() -> list[Path]:
    """Without the byte code of imported files, which Python keeps beside them unless told not to."""
    return sorted(path for path in Path.cwd().rglob("*") if "__pycache__" not in path.parts)


def typed(line: str) -> str:
    """What a line of a session prints, in the folder it is typed in: one of our commands, or one
    that makes the files of the example, run here as a shell would.
    """
    command, *words = shlex.split(line)
    if command == "autodas-dsl":
        before = _files()
        done = CliRunner().invoke(cli, words)
        assert done.exit_code == (0 if "warning[" in done.output else 1), line
        assert _files() == before, f"{line} leaves something behind"
        return done.output.replace(f"{Path.cwd()}/", "")
    if command == "printf":
        text, _, name = words
        Path(name).write_bytes(text.encode("latin-1").decode("unicode_escape").encode("latin-1"))
    elif command == "mkdir":
        Path(words[0]).mkdir()
    else:
        assert [command, words[0]] == ["python", "-c"]
        exec(words[1], {})
    return ""


@pytest.mark.filterwarnings("ignore:.torch.jit.script:DeprecationWarning")
def test_a_session_of_wrong_commands_prints_what_it_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, golden: Golden
) -> None:
    blocks = []
    for number, block in enumerate(SESSION.read_text(encoding="utf-8").strip().split("\n\n")):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / "examples").symlink_to(REPOSITORY / "examples")
        monkeypatch.chdir(folder)
        with own_language():
            blocks.append("".join(f"$ {line}\n{typed(line)}" for line in COMMAND.findall(block)))
    golden("errors.console", "\n".join(blocks))


def test_every_code_has_an_example_or_says_when_it_occurs(codes: Codes) -> None:
    assert {code for code in codes if code not in examples()} == set(UNSHOWN)


def test_the_page_is_what_the_code_says(codes: Codes, golden: Golden) -> None:
    golden(REPOSITORY / "docs" / "errors.md", error_index(codes, examples()))


def test_the_page_has_every_code_in_the_source() -> None:
    page = (REPOSITORY / "docs" / "errors.md").read_text(encoding="utf-8")
    written = {
        code
        for path in PACKAGE.rglob("*.py")
        for code in re.findall(r'"(E\d{3})"', path.read_text(encoding="utf-8"))
    }
    assert written == set(re.findall(r"^### (E\d{3})$", page, re.M))
    assert {code[:2] for code in written} == set(FAMILIES)


def test_no_code_means_two_things(codes: Codes) -> None:
    """A code that is said in several ways has one meaning, or the second way needs a new code."""
    several = {code: [*ways] for code, ways in codes.items() if len(ways) != 1}
    assert {code: ways for code, ways in several.items() if code not in MEANINGS} == {}


def test_meanings_are_of_codes_that_exist_and_differ(
    codes: Codes,
) -> None:
    assert set(MEANINGS) <= set(codes)
    assert len(set(MEANINGS.values())) == len(MEANINGS)
    told = {way for ways in codes.values() for way in ways}
    assert len(told) > 250


def test_the_shipped_page_reads_back_as_what_the_code_says(
    codes: dict[str, dict[str, tuple[str, ...]]],
) -> None:
    pages = error_pages()
    assert {code: dict(page.messages) for code, page in pages.items()} == codes
    for code, page in pages.items():
        told = [text[code] for text in (MEANINGS, UNSHOWN) if code in text]
        assert page.meaning == " ".join(told)
        assert page.example == examples().get(code, "")
        assert page.subject.capitalize() == FAMILIES[code[:2]]
        assert page.title, code


def test_explain_prints_the_page_of_a_code() -> None:
    done = CliRunner().invoke(cli, ["explain", "e444"])
    assert done.exit_code == 0
    assert done.stdout.startswith(
        "E444: models, data and statistics\nA formula compares with a teacher, and there is none.\n"
    )
    assert "error[E444]: `…` reads a teacher\n    = help: add --teacher MODEL\n" in done.stdout
    assert "$ autodas-dsl score examples/resnet20.py -p rho_cnn\n" in done.stdout
    done = CliRunner().invoke(cli, ["explain", "E444", "E108", "--format", "json"])
    assert [page["code"] for page in json.loads(done.stdout)] == ["E444", "E108"]
    listed = CliRunner().invoke(cli, ["explain"]).stdout
    assert re.findall(r"^  (E\d+)  \S", listed, re.M) == [*error_pages()]


def test_explain_knows_codes_only() -> None:
    for word, help in (("E4444", "did you mean `E444`?"), ("KL", "autodas-dsl explain lists them")):
        refused(CliRunner().invoke(cli, ["explain", word]), "E663", help)


def source(tmp_path: Path, text: str) -> Path:
    (tmp_path / "module.py").write_text(text, encoding="utf-8")
    return tmp_path


def test_messages_are_read_from_the_code(tmp_path: Path) -> None:
    text = """
LIMIT = 64
FORMS = "one " f"or {LIMIT}"

def raises(name, known):
    hint = "write a" if name else FORMS
    Fault("E901", f"`{name}` of {len(known)} is over {LIMIT}", None, hint)
    sheet.error("E902", "no " + name, suggest(name, known) or "see the list", row=3)
    InputError("E903", "nothing", help=name)
    InputError("E903", what(name))

def what(name):
    return "less" if name else ""
"""
    found = by_code(sayings(source(tmp_path, text)))
    assert found == {
        "E901": {"`…` of … is over 64": ("write a", "one or 64")},
        "E902": {"no …": ("did you mean `…`?", "see the list")},
        "E903": {"nothing": (), "less": ()},
    }


def test_a_message_of_another_branch_is_not_taken(tmp_path: Path) -> None:
    text = """
def raises(found):
    for one in found:
        if one == 1:
            said = "first"
            Fault("E901", said, None)
        elif one == 2:
            said = "second"
            Fault("E902", said, None)
    help = "nothing"
    if found:
        help = "something"
    Fault("E903", "third", None, help)
"""
    assert by_code(sayings(source(tmp_path, text))) == {
        "E901": {"first": ()},
        "E902": {"second": ()},
        "E903": {"third": ("nothing", "something")},
    }


def test_a_code_given_to_something_unknown_is_no_entry_by_guess(tmp_path: Path) -> None:
    with pytest.raises(LookupError, match=r"module.py:1: where is the help of complain\(…\)"):
        sayings(source(tmp_path, 'complain("E901", "message", "help or not")\n'))

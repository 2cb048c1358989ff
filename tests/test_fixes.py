"""Fixes: what ``check --fix`` and the quick fixes of an editor write."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from commands import refused
from fixtures import wrong_inputs
from hypothesis import given
from hypothesis import strategies as st

from autodas_dsl.cli.entry import cli
from autodas_dsl.editing.draft import draft
from autodas_dsl.editing.fixes import mended
from autodas_dsl.language.nearest import slips
from autodas_dsl.language.operators import ALIASES, OPERATORS

DOCUMENTS = [wrong for wrong in wrong_inputs() if wrong.document]
NAMES = sorted([*OPERATORS, *ALIASES])


def run(*words: object, given: bytes | None = None) -> Result:
    return CliRunner().invoke(cli, ["check", *map(str, words)], input=given)


def score(formula: str) -> str:
    return f"proxy/1 a\nscore = {formula}\n"


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("mean(mean(sigmiod(W)))", "mean(mean(sigmoid(W)))"),
        ("mean(mean(log_softmx(W)))", "mean(mean(logsoftmax(W)))"),  # an alias by its own name
        ("Mean(|w|_F)", "mean(|W|_F)"),
        ("mean(|gradW|_F)", "mean(|grad W|_F)"),
        ("mean(|grad[flaw] W|_F)", "mean(|grad[flow] W|_F)"),
        ("KL[t=8](P_s, P_t)", "KL[T=8](P_s, P_t)"),
        ("KL[8](P_s, P_t)", "KL[T=8](P_s, P_t)"),
        ("mean(softmax[axis=B](F_s))", "mean(softmax[B](F_s))"),
        ("synflw ** 2", "synflow ^ 2"),
        ("params\N{NO-BREAK SPACE}* 2", "params * 2"),
        ("mean(|W_s|_F)", "mean(|W|_F)"),
    ],
)
def test_what_can_have_been_meant_in_one_way_is_mended(wrong: str, right: str) -> None:
    found = mended(score(wrong), "a")
    assert found.text == score(right)
    assert draft(found.text, "a").diagnostics == ()


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("L2(F_q, F_t)", "L2(F_t, F_t)"),
        ("naswot", "nwot"),
        ("mean(|W|_F))", "mean(|W|_F)"),
        ("mean(|W|_F]", "mean(|W|_F)"),
        ("params // 2", "params / 2"),
    ],
)
def test_what_may_have_been_meant_otherwise_is_mended_when_asked(wrong: str, right: str) -> None:
    assert mended(score(wrong), "a").fixed == 0
    assert mended(score(wrong), "a", unsafe=True).text == score(right)


def test_what_has_several_neighbours_or_few_letters_is_not_sure() -> None:
    assert slips("mean", ["meen", "meam"]) == ["meam", "meen"]
    assert slips("maen", ["mean", "max"]) == ["mean"]
    assert slips("kl", ["KL", "kk"]) == ["KL"]
    assert slips("su", ["sum"]) == []


@given(st.sampled_from([name for name in NAMES if len(name) >= 5]), st.data())
def test_a_slip_in_a_word_is_known_again(word: str, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(word) - 1))
    letter = data.draw(st.sampled_from("abcxyz"))
    before, here, after = word[:at], word[at], word[at + 1 :]
    slip = data.draw(st.sampled_from([
        before + after, before + letter + after, before + letter + here + after,
        before + after[:1] + here + after[1:],
    ]))  # fmt: skip
    if slip not in NAMES and slip.lower() not in map(str.lower, NAMES):
        assert word in slips(slip, NAMES)
        assert all(one == word or one in NAMES for one in slips(slip, NAMES))


@pytest.mark.parametrize("wrong", DOCUMENTS, ids=lambda w: f"errors.txt:{w.line}")
def test_fixes_settle_and_leave_what_is_right(wrong: object) -> None:
    assert isinstance(wrong, type(DOCUMENTS[0]))
    for unsafe in (False, True):
        once = mended(wrong.text, "a", unsafe)
        assert mended(once.text, "a", unsafe).text == once.text
        assert mended(wrong.neighbour, "a").text == wrong.neighbour


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("score = params\n", "proxy/1 a\nscore = params\n"),
        ("# mine\nscore = params\n", "# mine\nproxy/1 a\nscore = params\n"),
        ("proxy/1 a\nscore: params\n", "proxy/1 a\nscore = params\n"),
        ("proxy/1 a\ninputs: W, A\nscore = params\n", "proxy/1 a\ninputs: params\nscore = params\n"),
        ("proxy/1 a\nAbuot: \"x\"\nscore = params\n", "proxy/1 a\nAbuot: \"x\"\nscore = params\n"),
        ("proxy/1 a\nabuot: \"x\"\nscore = params\n", "proxy/1 a\nabout: \"x\"\nscore = params\n"),
    ],
)  # fmt: skip
def test_lines_of_documents_are_mended(wrong: str, right: str) -> None:
    assert mended(wrong, "a").text == right


def test_a_let_that_nothing_uses_is_deleted_when_asked_and_when_all_else_is_right() -> None:
    text = "proxy/1 a\nlet x = W\nlet y = x\nscore = params\n"
    assert mended(text, "a").fixed == 0
    assert mended(text, "a", unsafe=True).text == "proxy/1 a\nscore = params\n"
    broken = text.replace("params", "sum(")
    assert mended(broken, "a", unsafe=True).text == broken


# --- the command --------------------------------------------------------------------------------


def test_a_file_is_mended_in_place_with_its_line_ends_and_comments(tmp_path: Path) -> None:
    file = tmp_path / "a.proxy"
    text = "\ufeffproxy/1 a\r\n# of mine\r\nscore = paramz + Flops  # sum\r\n\r\n"
    file.write_bytes(text.encode())
    file.chmod(0o640)
    done = run("--fix", file)
    assert (done.exit_code, done.stderr) == (0, "Fixed 2 of 2 problems\n")
    assert file.read_bytes().decode() == text.replace("paramz", "params").replace("Flops", "flops")
    assert file.stat().st_mode & 0o777 == 0o640
    assert run("--fix", file).stderr == "No problems\n"


def test_what_is_not_sure_waits_for_its_own_option(tmp_path: Path) -> None:
    file = tmp_path / "a.proxy"
    file.write_text("proxy/1 a\nlet x = W\nscore = paramz + naswot + foo\n")
    before = file.read_bytes()
    assert run(file).stderr == "1 fixable with --fix, 1 more with --unsafe-fixes\n"
    assert file.read_bytes() == before
    done = run("--fix", file)
    assert (done.exit_code, done.stderr) == (
        1, "Fixed 1 of 4 problems; 1 more with --unsafe-fixes\n",
    )  # fmt: skip
    assert "error[E201]: there is no statistic, let or proxy `foo`" in done.stdout
    done = run("--fix", "--unsafe-fixes", file)
    assert (done.exit_code, done.stderr) == (1, "Fixed 1 of 3 problems\n")
    assert file.read_text() == "proxy/1 a\nlet x = W\nscore = params + nwot + foo\n"


def test_no_file_is_written_that_is_no_document_then(tmp_path: Path) -> None:
    file = tmp_path / "a.proxy"
    file.write_text('proxy/1 a\nabuot: "A."\nscore = sum(\n')
    before = file.read_bytes()
    done = run("--fix", file)
    assert done.exit_code == 1
    assert done.stderr == (
        f"{file} is left as it is: no fix makes it a document\nFixed 0 of 2 problems\n"
    )
    assert file.read_bytes() == before
    assert "fixable" not in run(file).stderr
    assert [found.name for found in tmp_path.iterdir()] == ["a.proxy"]


def test_standard_input_is_printed_with_its_fixes() -> None:
    done = run("--fix", "-", given=b"proxy/1 a\r\nscore = paramz + foo\r\n")
    assert done.exit_code == 1
    assert done.stdout_bytes == b"proxy/1 a\r\nscore = params + foo\r\n"
    assert "error[E201]: there is no statistic, let or proxy `foo`" in done.stderr
    assert done.stderr.endswith("Fixed 1 of 2 problems\n")
    done = run("--fix", "-", given=b"nothing")
    assert (done.exit_code, done.stdout) == (1, "nothing")


@pytest.mark.parametrize("spec", ["sum(sunm(W))", "snip"])
def test_only_files_are_mended(spec: str, tmp_path: Path) -> None:
    file = tmp_path / "a.proxy"
    file.write_text("proxy/1 a\nscore = paramz\n")
    refused(run("--fix", file, spec), "E662", f"`{spec}` is none")
    assert "paramz" in file.read_text()


@pytest.mark.parametrize(
    "words", [("--unsafe-fixes", "a.proxy"), ("--fix", "-", "--format", "json")]
)
def test_options_that_do_not_go_together(words: tuple[str, ...]) -> None:
    assert run(*words).exit_code == 2

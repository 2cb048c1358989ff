"""``check`` for programs and for those who write: its formats, and --watch."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlparse

import pytest
from click.testing import CliRunner, Result
from conftest import REPOSITORY
from fixtures import wrong_inputs

from autodas_dsl.cli import check
from autodas_dsl.cli.entry import cli

WRONG = "proxy/1 a\nlet x = W\nscore = paramz + foo\n"


def run(*words: object, given: str | None = None) -> Result:
    return CliRunner().invoke(cli, ["check", *map(str, words)], input=given)


@pytest.fixture
def wrong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("a b").mkdir()
    file = Path("a b/a.proxy")
    file.write_text(WRONG, encoding="utf-8")
    return file


def test_json_tells_the_fix_of_a_mistake(wrong: Path) -> None:
    first, second, third = json.loads(run(wrong, "--format", "json").stdout)
    assert first["fix"] == {
        "applicability": "safe", "text": "params",
        "line": 3, "column": 9, "end_line": 3, "end_column": 15,
    }  # fmt: skip
    assert "fix" not in second
    assert (third["severity"], third["fix"]["applicability"]) == ("warning", "unsafe")
    assert (third["fix"]["line"], third["fix"]["end_line"]) == (2, 3)


# --- SARIF ----------------------------------------------------------------------------------------


def sarif(*words: object) -> dict[str, Any]:
    """The one run of a log, whose form is what the standard asks for."""
    log = json.loads(run("--format", "sarif", *words).stdout)
    assert set(log) == {"$schema", "version", "runs"}
    assert (log["version"], len(log["runs"])) == ("2.1.0", 1)  # §3.13.2, §3.13.4
    found: dict[str, Any] = log["runs"][0]
    driver = found["tool"]["driver"]  # §3.18.2
    ids = [rule["id"] for rule in driver["rules"]]
    assert (driver["name"], len(set(ids))) == ("autodas-dsl", len(ids))  # §3.19.8, §3.49.3
    assert all(rule["shortDescription"]["text"] for rule in driver["rules"])
    assert found["columnKind"] in ("utf16CodeUnits", "unicodeCodePoints")  # §3.14.17
    for result in found["results"]:
        assert result["level"] in ("none", "note", "warning", "error")  # §3.27.10
        assert ids[result["ruleIndex"]] == result["ruleId"]  # §3.27.5, §3.27.6
        assert result["message"]["text"]  # §3.11.8
        places = [location["physicalLocation"] for location in result["locations"]]
        for fix in result.get("fixes", ()):  # §3.55
            assert fix["description"]["text"]
            for change in fix["artifactChanges"]:
                places.append({"artifactLocation": change["artifactLocation"]})
                for one in change["replacements"]:  # §3.57
                    assert isinstance(one["insertedContent"]["text"], str)
                    places.append({**places[0], "region": one["deletedRegion"]})
        for place in places:
            assert " " not in place["artifactLocation"]["uri"]  # §3.4.3: a URI, RFC 3986
            region = place.get("region")
            if region is not None:  # §3.30: counted from 1, the end past the last character
                start = (region["startLine"], region["startColumn"])
                end = (region["endLine"], region["endColumn"])
                assert (1, 1) <= start <= end
                assert min(*start, *end) >= 1
    return found


def test_sarif_has_the_form_of_the_standard(wrong: Path) -> None:
    found = sarif(wrong)
    assert [one["ruleId"] for one in found["results"]] == ["E201", "E201", "E316"]
    first = found["results"][0]["locations"][0]["physicalLocation"]
    assert first["artifactLocation"] == {"uri": "a%20b/a.proxy"}
    assert first["region"] == {"startLine": 3, "startColumn": 9, "endLine": 3, "endColumn": 15}
    assert [len(one.get("fixes", ())) for one in found["results"]] == [1, 0, 1]
    (whole,) = {
        one["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
        for one in sarif(wrong.resolve())["results"]
    }
    assert Path(unquote(urlparse(whole).path)) == wrong.resolve()
    assert sarif("params")["results"] == []


def test_sarif_takes_every_mistake() -> None:
    formulas = [one.text for one in wrong_inputs() if not one.document][::7]
    found = sarif("--", *formulas)
    assert len(found["results"]) >= len(formulas)


# --- GitHub ---------------------------------------------------------------------------------------


def test_github_reads_a_command_a_line(wrong: Path) -> None:
    done = run(wrong, "sum(summ(W))", "params", "--format", "github")
    assert done.exit_code == 1
    assert done.stdout.splitlines() == [
        "::error file=a b/a.proxy,line=3,col=9,title=E201::"
        "there is no statistic, let or proxy `paramz`%0Adid you mean `params`?",
        "::error file=a b/a.proxy,line=3,col=18,title=E201::"
        "there is no statistic, let or proxy `foo`%0Aautodas-dsl ops lists the statistics",
        "::warning file=a b/a.proxy,line=2,col=9,title=E316::the let `x` is never used%0Adelete it",
        "::error line=1,col=5,title=E202::there is no operator `summ`%0Adid you mean `sum`?",
    ]
    assert run("params", "--format", "github").stdout == ""


def test_github_reads_no_command_inside_a_name_or_message(tmp_path: Path) -> None:
    file = tmp_path / "a,b:c%.proxy"
    file.write_text("proxy/1 a\nscore = 50 % ::error::\n")
    lines = run(file, "--format", "github").stdout.splitlines()
    assert "a%2Cb%3Ac%25.proxy,line=2,col=12,title=E104::unexpected character `%25`" in lines[1]
    assert "the document is named `a`, the file `a,b:c%25`%0A" in lines[0]
    assert all(re.fullmatch(r"::error [^:]+::[^:].*", line) for line in lines)


# --- what is there ------------------------------------------------------------------------------


def test_a_folder_without_documents_is_said_to_be_one(tmp_path: Path) -> None:
    found = run(tmp_path)
    assert (found.exit_code, found.stdout, found.stderr) == (0, "", "no .proxy file found\n")
    assert run(tmp_path, "--format", "json").stdout == "[]\n"


def test_a_link_to_itself_is_an_unreadable_file(tmp_path: Path) -> None:
    loop = tmp_path / "loop.proxy"
    loop.symlink_to(loop)
    for named in (loop, tmp_path):
        found = run(named)
        assert found.exit_code == 1
        assert found.stdout.startswith(f"error[E301]: cannot read {loop}: ")


# --- watch ----------------------------------------------------------------------------------------


def _interruptible() -> None:
    """Jobs in the background of a shell do not hear interrupts, nor what they start."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def test_watch_checks_again_when_a_file_changes_and_ends_with_an_interrupt(wrong: Path) -> None:
    watching = subprocess.Popen(
        [sys.executable, "-m", "autodas_dsl", "check", "--watch", str(wrong.parent)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8",
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        preexec_fn=_interruptible,
    )  # fmt: skip
    assert watching.stdout is not None
    try:
        assert "error[E201]: there is no statistic" in watching.stdout.readline()
        wrong.write_text("proxy/1 a\nscore = params\n", encoding="utf-8")
        lines = iter(watching.stdout.readline, "")
        assert f"{wrong}: ok\n" in lines
        watching.send_signal(signal.SIGINT)
        rest, said = watching.communicate(timeout=20)
    finally:
        watching.kill()
    assert watching.returncode == 130
    assert said.startswith("1 fixable with --fix\nwatching; Ctrl-C ends\n")
    assert "Traceback" not in rest + said


def test_a_watched_folder_that_goes_is_no_formula(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def changes(watched: Sequence[str]) -> Iterator[None]:
        yield
        (tmp_path / "W" / "a.proxy").unlink()
        yield
        (tmp_path / "W").rmdir()
        yield
        raise KeyboardInterrupt

    (tmp_path / "W").mkdir()
    (tmp_path / "W" / "a.proxy").write_text("proxy/1 a\nscore = params\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(check, "changes", changes)
    watched = run("--watch", "W")
    assert watched.stdout.splitlines()[1:3] == [
        "  reads params", "error[E301]: cannot read W: No such file or directory",
    ]  # fmt: skip
    assert "E203" not in watched.stdout
    assert watched.stderr.splitlines()[1] == "no .proxy file found"


@pytest.mark.parametrize("words", [("W",), ("-",), ("a.proxy", "--fix"), (".", "--format", "json")])
def test_watch_is_for_files_and_for_people(words: tuple[str, ...]) -> None:
    assert run("--watch", *words).exit_code == 2

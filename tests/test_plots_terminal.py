"""Results on stdout as table, CSV or JSON; progress only on a terminal."""

from __future__ import annotations

import csv
import io
import json
import math
import re

import pytest

from autodas_dsl.report.terminal import (
    Column,
    for_people,
    note,
    progress_bar,
    render,
    score_text,
    show,
)

COLUMNS = (
    Column("proxy"),
    Column("n"),
    Column("spearman", "Spearman ρ", digits=3, signed=True),
    Column("valid"),
)
ROWS = [
    {"proxy": "snip", "n": 64, "spearman": 0.97654321, "valid": True, "hidden": "x"},
    {"proxy": "[bold]|W|_F", "n": 7, "spearman": None, "valid": False},
    {"proxy": "a, b", "spearman": math.nan},
]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_table_aligns_numbers_and_keeps_brackets() -> None:
    lines = render(ROWS, COLUMNS, title="Results").split("\n")
    assert lines[0] == "Results"
    assert lines[1].split() == ["proxy", "n", "Spearman", "ρ", "valid"]
    assert lines[2].split() == ["snip", "64", "+0.977", "yes"]
    assert lines[3].split() == ["[bold]|W|_F", "7", "–", "no"]
    assert lines[2].index("64") + 1 == lines[3].index("7")
    assert "hidden" not in "".join(lines)
    assert not any(line.endswith(" ") for line in lines)


def test_a_title_wider_than_the_table_stays_on_its_line() -> None:
    title = "what a formula finds among all the networks of a space, in one line"
    assert render(ROWS, COLUMNS, title=title).split("\n")[0] == title


def test_csv_has_full_precision_and_reads_back() -> None:
    rows = list(csv.DictReader(io.StringIO(render(ROWS, COLUMNS, "csv", title="Results"))))
    assert rows[0] == {"proxy": "snip", "n": "64", "spearman": "0.97654321", "valid": "true"}
    assert rows[2] == {"proxy": "a, b", "n": "", "spearman": "", "valid": ""}


def test_json_has_null_for_what_has_no_value() -> None:
    text = render(ROWS, COLUMNS, "json")
    assert text.endswith("]\n")
    assert json.loads(text) == [
        {"proxy": "snip", "n": 64, "spearman": 0.97654321, "valid": True},
        {"proxy": "[bold]|W|_F", "n": 7, "spearman": None, "valid": False},
        {"proxy": "a, b", "n": None, "spearman": None, "valid": None},
    ]


@pytest.mark.parametrize("format", ["table", "csv", "json"])
def test_no_rows(format: str) -> None:
    text = render([], COLUMNS, format)
    assert text.endswith("\n")
    assert ("proxy" in text) == (format != "json")


def test_an_unknown_format_is_an_error() -> None:
    with pytest.raises(ValueError, match="none of table, csv, json"):
        render(ROWS, COLUMNS, "xml")


def test_results_go_to_stdout_and_notes_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    show(ROWS, COLUMNS, "json")
    note("random weights [seed 0]")
    captured = capsys.readouterr()
    assert len(json.loads(captured.out)) == 3
    assert captured.err == "random weights [seed 0]\n"


def test_a_wide_table_is_not_cut_in_a_pipe(capsys: pytest.CaptureFixture[str]) -> None:
    formula = "KL(sigmoid(F_s), sigmoid(F_t)) + mean(|logsoftmax(grad W)|_F) " * 5
    show([{"proxy": formula.strip(), "n": 1}], COLUMNS)
    assert formula.strip() in capsys.readouterr().out


def test_colour_on_a_terminal_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    terminal, pipe = Terminal(), io.StringIO()
    show(ROWS, COLUMNS, out=terminal)
    show(ROWS, COLUMNS, out=pipe)
    assert "\x1b[" in terminal.getvalue()
    assert "\x1b[" not in pipe.getvalue()


def test_a_narrow_terminal_shows_every_name_and_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("NO_COLOR", "1")
    columns = [Column("proxy"), *(Column(f"number_{i}", digits=3) for i in range(6))]
    rows = [{"proxy": name, **{f"number_{i}": i + 0.125 for i in range(6)}}
            for name in ("params", "rho_cnn_s0", "sum(sum(|W * grad W|)) + mean(|W|_F)")]  # fmt: skip
    terminal = Terminal()
    show(rows, columns, title="ranks", out=terminal)
    text = re.sub(r"\x1b\[[0-9;]*m", "", terminal.getvalue())
    assert max(map(len, text.splitlines())) <= 40
    for number in range(6):
        assert text.count(f"{number}.125") == 3
    assert text.count("rho_cnn_s0") == text.count("proxy") > 1
    assert text.count("ranks") == 1


def test_progress_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    out = Terminal()
    with progress_bar("scoring [x]", 3, out=out) as advance:
        advance(3, "best 0.5")
    assert "scoring [x]" in out.getvalue()
    assert "best 0.5" in out.getvalue()


def test_no_progress_in_a_pipe() -> None:
    out = io.StringIO()
    with progress_bar("scoring", 3, out=out) as advance:
        advance(1)
    assert out.getvalue() == ""


def test_progress_ends_with_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    with pytest.raises(KeyError), progress_bar("scoring", None, out=Terminal()):
        raise KeyError


def test_counts_are_read_by_people_and_by_programs() -> None:
    rows = [{"proxy": "params", "params": 11_689_512, "score": 11_689_512.5, "n": 64}]
    columns = [Column(key) for key in rows[0]]
    assert render(rows, columns).split() == [
        "proxy", "params", "score", "n", "params", "11,689,512", "1.16895e+07", "64",
    ]  # fmt: skip
    assert render(rows, columns, "csv").split("\n")[1] == "params,11689512,11689512.5,64"
    assert '"params": 11689512,' in render(rows, columns, "json")


def test_a_score_that_is_a_count_is_shown_as_one() -> None:
    assert score_text(11_689_512.0, "params") == "11,689,512"
    assert score_text(253_149_824.0, "flops") == "253,149,824"
    assert score_text(float("nan"), "params") == "–"
    assert score_text(float("inf"), "params") == "inf"
    assert score_text(11_689_512.0, "snip") == "1.16895e+07"
    assert for_people(0.5, "params") == 0.5
